"""The data set `multiview`: cars found by comparing views, and cropped."""

import pathlib
import tempfile
import unittest

import numpy as np
import tensorflow_datasets as tfds
from absl.testing import absltest, parameterized

from carvana_jax.datasets import folds, images, spec
from carvana_jax.datasets.carvana import verify
from carvana_jax.datasets.multiview import cropping
from carvana_jax.datasets.multiview.multiview_dataset_builder import Builder

REAL = pathlib.Path(__file__).parents[2].parent / 'shared' / 'carvana'
FRAME = np.array([320, 480])
# How much brighter a car is than the studio. Its outline's slope has a mean of
# 75 / 9 = 8.3 over a square of 9 pixels, just above the threshold of 8; the
# trace that it leaves in the mean of two others or more is below.
CONTRAST = 75
# The slope of a step is in the two pixels beside it; both are in the squares of
# 9 up to 4 pixels further out. And then there is the margin of 6.
AROUND = 4 + 6


def rectangle(view, size=FRAME):
  """Where a made-up car is in a view, 1..16: top, left, bottom, right.

  In views 1 to 8 and 9 to 16 it moves along a row each; no two overlap.
  """
  row, column = divmod(view - 1, 8)
  top, left = 0.2 + 0.35 * row, 0.05 + 0.11 * column
  corners = np.array([top, left, top + 0.25, left + 0.08])
  return np.rint(corners * np.tile(size, 2)).astype(int)


def studio(size=FRAME):
  """A background with steps as high as a car's, and colours."""
  pattern = np.random.default_rng(0).integers(0, 100, (*size // 8, 3), np.uint8)
  return np.kron(pattern, np.ones((8, 8, 1), np.uint8))


def mask_of(view, size=FRAME):
  top, left, bottom, right = rectangle(view, size)
  mask = np.zeros(size, np.uint8)
  mask[top:bottom, left:right] = 255
  return mask


def photo(view, size=FRAME):
  car = (mask_of(view, size) // 255 * CONTRAST).astype(np.uint8)
  return studio(size) + car[..., None]


def photos(count, size=FRAME):
  return [photo(view, size) for view in range(1, count + 1)]


def grow(box, pixels):
  return box + pixels * np.array([-1, -1, 1, 1])


class StepsTest(parameterized.TestCase):
  def test_mean_and_median(self):
    values = np.array([0, 10, 21, 200], np.uint8)
    frames = np.tile(values[:, None, None, None], (1, 20, 2, 3))
    mean, median = cropping.mean_of(frames), cropping.median_of(frames)
    np.testing.assert_array_equal(mean, np.full((20, 2, 3), 57.75))
    np.testing.assert_array_equal(median, np.full((20, 2, 3), 15.5))
    np.testing.assert_array_equal(
      cropping.median_of(frames[:3])[0, 0], [10] * 3
    )
    self.assertEqual((mean.dtype, median.dtype), (np.float32, np.float32))

  def test_two_views_have_their_mean_as_median(self):
    frames = np.random.default_rng(0).integers(0, 256, (2, 9, 7, 3), np.uint8)
    mean, median = cropping.mean_of(frames), cropping.median_of(frames)
    np.testing.assert_array_equal(mean, median)

  def test_median_shows_the_empty_studio(self):
    for count in (3, 16):
      median = cropping.median_of(np.stack(photos(count)))
      np.testing.assert_array_equal(median, studio())

  def test_difference(self):
    frame = np.array([[[0, 100, 255]]], np.uint8)
    reference = np.array([[[255, 100.6, 0]]], np.float32)
    difference = cropping.difference_of(frame, reference)
    np.testing.assert_array_equal(difference, [[[255, 1, 255]]])
    self.assertEqual(difference.dtype, np.uint8)

  def test_place_rounds_outwards(self):
    box = np.array([1, 1, 2, 3], np.int32)
    for size, expected in (
      ((320, 480), [1, 1, 2, 3]),
      ((1280, 1918), [4, 3, 8, 12]),  # 3.996 pixels a column
      ((64, 96), [0, 0, 1, 1]),
    ):
      np.testing.assert_array_equal(cropping.place(box, *size), expected)
    whole = cropping.place(np.array([0, 0, 320, 480], np.int32), 1280, 1918)
    np.testing.assert_array_equal(whole, [0, 0, 1280, 1918])
    self.assertEqual(whole.dtype, np.int32)

  def test_cut_averages_areas(self):
    pixels = np.full((6, 7), 99, np.uint8)
    pixels[1:3, 2:6] = [[0, 10, 40, 40], [20, 30, 40, 60]]
    box = np.array([1, 2, 3, 6])
    np.testing.assert_array_equal(cropping.cut(pixels, box, 1, 2), [[15, 45]])
    colour = cropping.cut(np.stack([pixels] * 3, 2), box, 1, 2)
    np.testing.assert_array_equal(colour, [[[15] * 3, [45] * 3]])

  def test_cut_of_a_small_box_is_linear(self):
    pixels = np.array([[0, 100]], np.uint8)
    small = cropping.cut(pixels, np.array([0, 0, 1, 2]), 2, 4)
    np.testing.assert_array_equal(small, [[0, 25, 75, 100]] * 2)

  def test_cut_that_averages_one_axis_and_stretches_the_other(self):
    pixels = np.array([[0, 80], [20, 100], [40, 200], [60, 220]], np.uint8)
    both = cropping.cut(pixels, np.array([0, 0, 4, 2]), 2, 4)
    np.testing.assert_array_equal(both, [[10, 30, 70, 90], [50, 90, 170, 210]])


class ViewsTest(parameterized.TestCase):
  @parameterized.parameters(3, 16)
  def test_box_is_the_car_and_a_margin(self, count):
    for number, view in enumerate(cropping.views(photos(count), 40, 40), 1):
      expected = grow(rectangle(number), AROUND)
      np.testing.assert_array_equal(view.box, expected)
      self.assertEqual(view.box.dtype, np.int32)

  def test_box_in_a_photo_of_another_size(self):
    large = [photo.repeat(4, 0).repeat(4, 1) for photo in photos(3)]
    for number, view in enumerate(cropping.views(large, 40, 40), 1):
      expected = 4 * grow(rectangle(number), AROUND)
      np.testing.assert_array_equal(view.box, expected)

  @parameterized.parameters((256, 384), (64, 96))
  def test_box_in_a_photo_smaller_than_the_frame(self, *size):
    size = np.array(size)
    for number, view in enumerate(cropping.views(photos(16, size), 40, 40), 1):
      inner = rectangle(number, size)
      outer = grow(inner, -(-AROUND * size[0] // FRAME[0]) + 2)
      self.assertTrue(np.all(view.box[:2] <= inner[:2]))
      self.assertTrue(np.all(view.box[2:] >= inner[2:]))
      self.assertTrue(np.all(view.box[:2] >= outer[:2]))
      self.assertTrue(np.all(view.box[2:] <= outer[2:]))

  def test_box_of_a_car_beyond_the_edge_ends_there(self):
    scene = photos(5)
    scene[2][100:] = np.minimum(studio()[100:], 20) + 200
    box = cropping.views(scene, 40, 40)[2].box
    self.assertEqual(box.tolist()[1:], [0, *FRAME])

  def test_crops(self):
    crops = cropping.views(photos(16), 300, 200)
    for number, view in enumerate(crops, 1):
      image = cropping.cut(photo(number), view.box, 300, 200)
      np.testing.assert_array_equal(view.image, image)
      self.assertEqual(view.difference.dtype, np.uint8)
      # Nothing but the car differs from the median, and it by its contrast.
      car = cropping.cut(mask_of(number), view.box, 300, 200) / 255 * CONTRAST
      error = np.abs(view.difference - car[..., None])
      self.assertLess(error.max(), 1)

  def test_mask_moves_with_the_image(self):
    masks = [mask_of(view) for view in (1, 2, 3)]
    pictures = [np.stack([mask] * 3, 2) for mask in masks]
    for mask, view in zip(masks, cropping.views(pictures, 50, 30), strict=True):
      cut = cropping.cut(mask, view.box, 50, 30)
      self.assertEqual((cut.min(), cut.max()), (0, 255))
      np.testing.assert_array_equal(view.image[..., 1], cut)

  def test_one_view_is_all_there_is(self):
    (view,) = cropping.views([photo(1)], *FRAME)
    np.testing.assert_array_equal(view.box, [0, 0, *FRAME])
    np.testing.assert_array_equal(view.image, photo(1))
    self.assertEqual(view.difference.max(), 0)

  def test_of_two_views_either_might_show_the_car(self):
    one, other = rectangle(1), rectangle(2)
    both = [*np.minimum(one, other)[:2], *np.maximum(one, other)[2:]]
    for view in cropping.views(photos(2), 40, 40):
      np.testing.assert_array_equal(view.box, grow(np.array(both), AROUND))
      # Half of the contrast; no pixel of the crop is all car.
      self.assertBetween(view.difference.max(), 30, (CONTRAST + 1) // 2)

  def test_noise_does_not_widen_the_box(self):
    rng = np.random.default_rng(0)
    noisy = [
      np.clip(photo + rng.normal(0, 5, photo.shape), 0, 255).astype(np.uint8)
      for photo in photos(16)
    ]
    for number, view in enumerate(cropping.views(noisy, 40, 40), 1):
      error = np.abs(view.box - grow(rectangle(number), AROUND))
      self.assertLessEqual(error.max(), 4)

  def test_shadows_are_no_part_of_the_car(self):
    rows, columns = np.indices(FRAME)
    scene = []
    for number in range(1, 17):
      _, left, bottom, right = rectangle(number)
      far = (rows - bottom) ** 2 + (columns - (left + right) / 2) ** 2
      floor = 120 - 50 * np.exp(-far / (2 * 60**2))
      picture = np.where(mask_of(number), 120 + CONTRAST, floor)
      scene.append(np.stack([picture.astype(np.uint8)] * 3, 2))
    mean = cropping.mean_of(np.stack(scene))
    for number, view in enumerate(cropping.views(scene, 40, 40), 1):
      # The car is a fiftieth of the frame, what differs a tenth and more.
      differs = np.abs(scene[number - 1] - mean).max(2) > 8
      self.assertGreater(differs.mean(), 0.1)
      error = np.abs(view.box - grow(rectangle(number), AROUND))
      self.assertLessEqual(error.max(), 1)


class Turntable(tfds.core.GeneratorBasedBuilder):
  """A small full-size data set: three cars, of 16, of 3 and of one view."""

  VERSION = tfds.core.Version('1.0.0')
  SIZE = (64, 96)
  CARS = {  # noqa: RUF012 - never changed
    'train': {'aaaaaaaaaaaa': range(1, 17), 'bbbbbbbbbbbb': (2, 9, 14)},
    'unlabeled': {'cccccccccccc': (5,)},
  }

  def _info(self):
    return tfds.core.DatasetInfo(builder=self, features=spec.features('64x96'))

  def _split_generators(self, dl_manager):
    return {split: self._generate_examples(split) for split in self.CARS}

  def _generate_examples(self, split):
    for car, numbers in self.CARS[split].items():
      for view in numbers:
        mask = mask_of(view, np.array(self.SIZE))
        name = spec.photo_name(car, view)
        yield (
          name,
          {
            'image': images.encode_png(photo(view, np.array(self.SIZE))),
            'mask': images.encode_png(mask * (split == 'train')),
            'filename': f'{name}.jpg',
            'car_id': car,
            'view': view,
            'fold': 7,
            **dict.fromkeys(('make', 'model', 'year', 'trim'), car[:3]),
          },
        )


class BuilderTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = cls.enterClassContext(tempfile.TemporaryDirectory())
    options = {'data_dir': folder, 'file_format': 'array_record'}
    cls.source = Turntable(**options)
    cls.source.download_and_prepare()
    cls.builder = Builder(source=cls.source, config='100x100', **options)
    cls.builder.download_and_prepare()

  def rows(self, split):
    """Pairs of an example of the source and one of the result."""
    return zip(
      self.source.as_data_source(split),
      self.builder.as_data_source(split),
      strict=True,
    )

  def test_name_and_configs(self):
    self.assertEqual(Builder.name, 'multiview')
    expected = {'64x96', '100x100', *spec.SIZES} - {spec.ORIGINAL_SIZE}
    names = [config.name for config in Builder.BUILDER_CONFIGS]
    self.assertCountEqual(names, expected)

  def test_splits(self):
    counts = {
      split: info.num_examples
      for split, info in self.builder.info.splits.items()
    }
    self.assertEqual(counts, {'train': 19, 'unlabeled': 1})

  def test_features(self):
    features = self.builder.info.features
    added = {'difference', 'box'}
    self.assertEqual(set(features), set(spec.features('100x100')) | added)
    self.assertEqual(features['difference'].shape, (100, 100, 3))
    self.assertEqual(features['box'].shape, (4,))
    self.assertEqual(features['box'].np_dtype, np.int32)

  def test_labels_and_order_are_those_of_the_source(self):
    for split in self.source.info.splits:
      for before, after in self.rows(split):
        for name in before.keys() - {'image', 'mask'}:
          self.assertEqual(after[name], before[name])

  def test_cars_of(self):
    for split, expected in Turntable.CARS.items():
      rows = self.source.as_data_source(split)
      found = folds.cars_of(rows)
      shown = {
        car: [int(rows[position]['view']) for position in positions]
        for car, positions in found.items()
      }
      self.assertEqual(shown, {car: [*seen] for car, seen in expected.items()})
      firsts = [min(positions) for positions in found.values()]
      self.assertEqual(firsts, sorted(firsts))
      for car, positions in found.items():
        for position in positions:
          self.assertEqual(rows[position]['car_id'].decode(), car)

  def test_pixels(self):
    size = np.array(Turntable.SIZE)
    expected = {
      (car, number): view
      for car, numbers in Turntable.CARS['train'].items()
      for number, view in zip(
        numbers,
        cropping.views([photo(view, size) for view in numbers], 100, 100),
        strict=True,
      )
    }
    for before, after in self.rows('train'):
      view = expected[after['car_id'].decode(), int(after['view'])]
      np.testing.assert_array_equal(after['image'], view.image)
      np.testing.assert_array_equal(after['difference'], view.difference)
      np.testing.assert_array_equal(after['box'], view.box)
      mask = cropping.cut(before['mask'][..., 0], view.box, 100, 100)
      np.testing.assert_array_equal(after['mask'][..., 0], mask)
      top, left, bottom, right = after['box']
      inside = before['mask'][top:bottom, left:right]
      self.assertEqual(np.sum(inside > 0), np.sum(before['mask'] > 0))
      self.assertLess((bottom - top) * (right - left), size.prod() / 4)

  def test_car_with_one_view_and_no_mask(self):
    ((_, after),) = self.rows('unlabeled')
    np.testing.assert_array_equal(after['box'], [0, 0, *Turntable.SIZE])
    self.assertEqual(after['difference'].max(), 0)
    self.assertEqual(after['mask'].max(), 0)
    self.assertEqual(after['image'].shape, (100, 100, 3))


@unittest.skipUnless(REAL.is_dir(), f'{REAL} is absent')
class RealPhotosTest(parameterized.TestCase):
  @parameterized.parameters(('0ce66b539f52', 16), ('bf92e198d9b6', 8))
  def test_the_whole_car_is_in_the_box(self, car, count):
    self.assertEqual(spec.split_of(car), 'train')
    files = sorted((REAL / 'train').glob(f'{car}_*.jpg'))
    self.assertLen(files, count)
    pictures = [images.decode_photo(file.read_bytes()) for file in files]
    shares = []
    crops = cropping.views(pictures, 100, 100)
    for file, view in zip(files, crops, strict=True):
      data = (REAL / 'train_masks' / f'{file.stem}_mask.gif').read_bytes()
      mask = verify.decode_mask(data) > 0
      top, left, bottom, right = view.box
      inside = np.count_nonzero(mask[top:bottom, left:right])
      self.assertGreater(inside / np.count_nonzero(mask), 0.999)
      shares.append((bottom - top) * (right - left) / mask.size)
    self.assertLess(np.mean(shares), 0.6)


if __name__ == '__main__':
  absltest.main()
