"""The builder `studio` and its renderer."""

import tempfile

import jax
import jax.numpy as jnp
import numpy as np
import tensorflow_datasets as tfds
from absl.testing import absltest, parameterized
from scipy import ndimage

from carvana_jax.datasets import images, spec
from carvana_jax.datasets.studio import cars, march, render, scene, shape
from carvana_jax.datasets.studio.studio_dataset_builder import Builder, Config

SEED = 2372
SIZE = (64, 96)


def photo(car, view=4, size=SIZE, seed=SEED):
  return render.render(car, view, *size, seed)


def mask_of(car, view, size=SIZE):
  return photo(car, view, size)[1].astype(int)


def first_car(model):
  index = cars.TYPE_CYCLE.index(model)
  return cars.sample_car(SEED, index)


def brute_force_mask(car, view, height, width):
  """The share of 2x2 samples in the car, by small steps over all of the ray.

  Uses nothing of the marcher: no tiles, no boxes, no sorting out, no early
  end. A sample is in the car where the distance gets (nearly) zero anywhere.
  """
  place = scene.placement(car.studio, view)
  camera = scene.camera_in_car(place, scene.room_camera(car.studio))
  u = (np.arange(2 * width) + 0.5) / width - 1
  v = (np.arange(2 * height) + 0.5) / height - 1
  ray = camera.ray(*jnp.meshgrid(u, v))

  @jax.jit
  def nearest_on(car, eye, ray):
    def advance(_, state):
      t, nearest = state
      gap = shape.distance(car, *eye.along(ray, t))
      return t + jnp.clip(0.5 * gap, 0.0005, 0.5), jnp.minimum(nearest, gap)

    far = jnp.full(ray.x.shape, jnp.inf)
    return jax.lax.fori_loop(0, 400, advance, (jnp.full_like(far, 4.0), far))

  _, nearest = nearest_on(car.shape, camera.eye, ray)
  hits = np.asarray(nearest <= march.HIT, np.float32)
  return 255 * hits.reshape(height, 2, width, 2).mean((1, 3))


class CarsTest(absltest.TestCase):
  def test_thirteen_cars_hold_every_body_type_and_paint(self):
    some = [cars.sample_car(SEED, index) for index in range(13)]
    self.assertEqual({car.model for car in some}, set(cars.BODY_TYPES))
    self.assertLen(cars.BODY_TYPES, 6)
    self.assertEqual({car.trim for car in some}, set(cars.PAINTS))

  def test_hard_cases_are_common(self):
    some = [cars.sample_car(SEED, index) for index in range(56)]
    paints = [car.trim for car in some]
    self.assertGreater(paints.count('black'), 10)
    self.assertGreater(paints.count('white'), 10)
    rods = [car.shape.aerial for car in some if car.shape.aerial[3] > 0]
    self.assertGreater(len(rods), 25)
    self.assertGreater(sum(rod[5] < 0.007 for rod in rods), 15)

  def test_a_car_follows_from_seed_and_index_alone(self):
    np.testing.assert_equal(cars.sample_car(1, 5), cars.sample_car(1, 5))
    ids = {cars.sample_car(s, i).car_id for s in (1, 2) for i in range(60)}
    self.assertLen(ids, 120)
    for car_id in ids:
      self.assertRegex(car_id, '^[0-9a-f]{12}$')

  def test_wheels_stand_on_the_ground(self):
    for model in cars.BODY_TYPES:
      car = first_car(model).shape
      below = shape.distance(
        car, car.half_base, car.half_width - 0.12, jnp.float32(0)
      )
      self.assertAlmostEqual(float(below), 0, delta=1e-3)

  def test_distance_is_never_far_too_long(self):
    rng = np.random.default_rng(0)
    for model in cars.BODY_TYPES:
      car = first_car(model).shape
      low, high = (np.array(end) for end in shape.bounds(car))
      p = rng.uniform(low - 1, high + 1, (20000, 3)).astype(np.float32)
      q = p + rng.normal(0, 0.02, p.shape).astype(np.float32)
      gap = np.abs(
        shape.distance(car, *p.T) - np.asarray(shape.distance(car, *q.T))
      )
      slope = gap / np.linalg.norm(p - q, axis=1)
      self.assertLess(np.max(slope) * shape.SAFETY, 1.25)
      self.assertLess(np.quantile(slope, 0.99) * shape.SAFETY, 1.0)


class RenderTest(parameterized.TestCase):
  def test_same_seed_car_and_view_give_the_same_pixels(self):
    for one, other in zip(
      photo(first_car('SUV')), photo(first_car('SUV')), strict=True
    ):
      np.testing.assert_array_equal(one, other)

  def test_seed_car_and_view_each_change_the_picture(self):
    car = cars.sample_car(SEED, 0)
    image, mask = photo(car)
    noisy, same = photo(car, seed=SEED + 1)
    self.assertTrue(np.any(noisy != image))
    np.testing.assert_array_equal(mask, same)
    for other in (photo(car, 5)[1], photo(cars.sample_car(SEED, 1))[1]):
      self.assertGreater(np.mean(other != mask), 0.02)

  def test_views_turn_the_car_as_in_the_photos(self):
    masks = {view: mask_of(first_car('pickup'), view) for view in (1, 5, 9, 13)}
    width = {view: np.ptp(np.nonzero(masks[view])[1]) for view in masks}
    self.assertGreater(width[5], 1.8 * width[1])
    self.assertGreater(width[13], 1.8 * width[9])
    # The cab is nearer to the nose: left in view 5, right in view 13.
    for view, side in ((5, -1), (13, 1)):
      columns = np.nonzero(masks[view])[1]
      middle = (columns.min() + columns.max()) / 2
      top = masks[view][: np.nonzero(masks[view])[0].min() + 6]
      self.assertGreater(side * (np.nonzero(top)[1].mean() - middle), 0)

  @parameterized.parameters(*cars.BODY_TYPES)
  def test_masks_are_exact(self, model):
    car = first_car(model)
    mask = mask_of(car, 3, (32, 48))
    expected = brute_force_mask(car, 3, 32, 48)
    # Both stop at a distance, not at zero: a sample may fall between.
    self.assertLess(np.mean(np.abs(mask - expected) > 1), 0.003)
    self.assertLess(np.abs(mask - expected).max(), 129)

  @parameterized.parameters(*cars.BODY_TYPES)
  def test_the_whole_car_is_in_the_picture(self, model):
    for view in (1, 4, 5, 9, 14):
      mask = mask_of(first_car(model), view)
      border = [mask[0], mask[-1], mask[:, 0], mask[:, -1]]
      self.assertEqual(max(edge.max() for edge in border), 0)
      self.assertBetween(mask.mean() / 255, 0.06, 0.40)
      self.assertGreater(np.sum((mask > 0) & (mask < 255)), 20)

  @parameterized.parameters(*cars.BODY_TYPES)
  def test_no_part_floats_and_no_tile_is_missing(self, model):
    for view in (2, 7, 11):
      mask = mask_of(first_car(model), view, (256, 384))
      _, parts = ndimage.label(mask > 0)
      self.assertEqual(parts, 1)
      # A tile given up too early is an empty square amid the car.
      tiles, count = ndimage.label(mask == 0)
      sizes = np.bincount(tiles.ravel(), minlength=count + 1)[1:]
      for hole in np.array(ndimage.find_objects(tiles), object)[sizes == 64]:
        self.assertNotEqual([part.start % march.TILE for part in hole], [0, 0])

  def test_two_sizes_show_the_same(self):
    for index, view in ((1, 3), (3, 8)):
      car = cars.sample_car(SEED, index)
      image, mask = photo(car, view)
      large, large_mask = photo(car, view, (128, 192))
      small_mask = images.reduce(large_mask, *SIZE).astype(int)
      self.assertLess(np.abs(small_mask - mask).mean(), 1.5)
      small = images.reduce(large, *SIZE).astype(int)
      self.assertLess(np.abs(small - image).mean(), 2.5)

  def test_mirrors_and_aerial_belong_to_the_mask(self):
    none = np.zeros(6, np.float32)
    for index in range(60):
      car = cars.sample_car(SEED, index)
      if car.shape.aerial[3] > 0.3:
        break
    mask = mask_of(car, 1, (256, 384))
    bare = car.shape._replace(aerial=none)
    rod = mask - mask_of(car._replace(shape=bare), 1, (256, 384))
    rows, columns = np.nonzero(rod)
    self.assertGreater(len(rows), 5)
    self.assertLess(np.bincount(rows).max(), 5)
    self.assertGreater(np.ptp(rows), np.ptp(columns))

    mirrorless = car.shape._replace(mirror=none[:3])
    ears = mask - mask_of(car._replace(shape=mirrorless), 1, (256, 384))
    columns = np.nonzero(ears)[1]
    self.assertBetween(np.mean(ears > 0), 0.0003, 0.01)
    middle = np.nonzero(mask)[1].mean()
    self.assertGreater(np.mean(columns < middle), 0.3)
    self.assertGreater(np.mean(columns > middle), 0.3)

  def test_black_cars_are_dark_and_white_ones_like_the_wall(self):
    means = {}
    for paint in ('black', 'white'):
      index = cars.PAINT_CYCLE.index(paint)
      image, mask = photo(cars.sample_car(SEED, index))
      means[paint] = image[mask > 250].mean()
    wall = photo(cars.sample_car(SEED, 1))[0][:4].mean()
    self.assertLess(means['black'], 80)
    self.assertGreater(means['white'], 130)
    self.assertGreater(wall, 200)


class SmallStudio(Builder):
  """Two cars with masks, one without."""

  VERSION = Builder.VERSION
  BUILDER_CONFIGS = [  # noqa: RUF012 - TFDS's own
    Config(name='32x48', cars=2, unlabeled_cars=1, seed=SEED)
  ]


class TfdsTest(tfds.testing.DatasetBuilderTestCase):
  """What TFDS asks of every builder."""

  DATASET_CLASS = SmallStudio
  SKIP_CHECKSUMS = True
  SPLITS = {'train': 32, 'unlabeled': 16}  # noqa: RUF012

  @classmethod
  def setUpClass(cls):
    cls.EXAMPLE_DIR = cls.enterClassContext(tempfile.TemporaryDirectory())
    super().setUpClass()


class BuilderTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.enterContext(tempfile.TemporaryDirectory())

  def prepare(self, **options):
    builder = SmallStudio(
      data_dir=self.folder,
      config=Config(seed=SEED, **options),
    )
    builder.download_and_prepare()
    return builder

  def test_name_and_configs(self):
    self.assertEqual(Builder.name, 'studio')
    names = {config.name for config in Builder.BUILDER_CONFIGS}
    self.assertEqual(names, {'64x96', *spec.SIZES})

  def test_default_splits(self):
    config = Builder.BUILDER_CONFIGS[0]
    self.assertEqual((config.cars, config.unlabeled_cars), (56, 4))
    folds = {
      index: spec.split_of(cars.car_id_of(config.seed, index))
      for index in range(config.cars)
    }
    splits = list(folds.values())
    self.assertEqual(splits.count('test'), 6)
    self.assertEqual(splits.count('validation'), 5)
    tested = [i for i, split in folds.items() if split == 'test']
    models = {cars.sample_car(config.seed, index).model for index in tested}
    self.assertLen(models, 6)

  def test_examples(self):
    builder = self.prepare(name='24x36', cars=2, unlabeled_cars=1)
    self.assertEqual(set(builder.info.splits), {'train', 'unlabeled'})
    for split, first in (('train', 0), ('unlabeled', 2)):
      rows = list(tfds.as_numpy(builder.as_dataset(split)))
      by_car = {}
      for row in rows:
        by_car.setdefault(row['car_id'].decode(), []).append(row)
      known = {
        car.car_id: car
        for car in (
          cars.sample_car(SEED, first + i) for i in range(len(by_car))
        )
      }
      self.assertEqual(set(by_car), set(known))
      for car_id, views in by_car.items():
        car = known[car_id]
        self.assertEqual(sorted(row['view'] for row in views), [*range(1, 17)])
        for row in views:
          name = spec.photo_name(car_id, row['view'])
          self.assertEqual(row['filename'].decode(), f'{name}.jpg')
          self.assertEqual(row['fold'], spec.fold_of(car_id))
          for key in ('make', 'model', 'year', 'trim'):
            self.assertEqual(row[key].decode(), getattr(car, key))
          _, mask = render.render(car, int(row['view']), 24, 36, SEED)
          if split == 'unlabeled':
            mask = np.zeros_like(mask)
          np.testing.assert_array_equal(row['mask'][..., 0], mask)

  def test_pictures_were_jpg_once(self):
    builder = SmallStudio(data_dir=self.folder)
    flat = np.random.default_rng(0).integers(0, 255, (32, 48, 3), np.uint8)
    stored = images.decode_photo(builder._encode_image(flat, quality=85))
    self.assertEqual(stored.shape, flat.shape)
    self.assertTrue(np.any(stored != flat))

  def test_original_size_keeps_jpg_and_hard_masks(self):
    builder = Builder(config=spec.ORIGINAL_SIZE, data_dir=self.folder)
    data = builder._encode_image(np.zeros((8, 8, 3), np.uint8), quality=90)
    self.assertEqual(data[:2], b'\xff\xd8')
    mask = np.array([[0, 127, 128, 255]], np.uint8)
    hard = images.decode_mask(builder._encode_mask(mask))
    np.testing.assert_array_equal(hard, [[0, 0, 255, 255]])


if __name__ == '__main__':
  absltest.main()
