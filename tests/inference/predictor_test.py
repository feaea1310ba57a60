"""Photos to masks: order, batches, boxes, ensembles, damaged photos."""

import dataclasses
import pathlib
import subprocess
import sys
import tempfile
from unittest import mock

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from carvana_jax.configs import default
from carvana_jax.datasets import empty_studio
from carvana_jax.datasets.borders import tile_places
from carvana_jax.inference import predictor
from carvana_jax.masks import cleaning, from_logits
from carvana_jax.parallel import devices
from carvana_jax.system.errors import UserError
from carvana_jax.training import trained_run
from tests.helpers import commands

SIZE = (64, 96)


class Bright:
  """A network that takes what is bright for car."""

  def apply(self, variables, image, *, train):
    del train
    return image[..., 0] - variables['level']


class Sure(Bright):
  """The same, sure of it but at the border."""

  def apply(self, *args, train):
    return 12 * super().apply(*args, train=train)


class FineWithStudio:
  """A second network that says how red differs from the empty studio's."""

  def apply(self, variables, image, *, train):
    del variables, train
    return image[..., 4]


def run_of(size='32x48', multiview=False, fill_holes=False):
  config = default.get_config()
  config.data.size, config.data.multiview = size, multiview
  config.eval.update(batch_size=4, fill_holes=fill_holes)
  variables = devices.replicate({'level': jnp.float32(0.5)})
  return trained_run.Run(config, Bright(), variables, step=1, data='')


def photo_of(left, hole=False):
  """A dark photo with a bright square."""
  photo = np.full((*SIZE, 3), 20, np.uint8)
  photo[16:48, left : left + 32] = 250
  if hole:
    photo[24:32, left + 8 : left + 16] = 20
  return photo


def masks_of(run, cars, **kwargs):
  """Masks of lists of photos."""
  numbered = [[(i, j) for j in range(len(car))] for i, car in enumerate(cars)]

  def load(name):
    photo = cars[name[0]][name[1]]
    if photo is None:
      raise UserError(f'{name} is damaged.')
    return photo

  given = predictor.inputs(numbered, load, [run.config.data], **kwargs)
  return {
    name: from_logits.mask_of(prediction.levels(), run.config.eval)
    for name, prediction in predictor.predictions([run], given)
  }


class Fine:
  """A second network: half of red's level and half of the first one's."""

  def apply(self, variables, image, *, train):
    del variables, train
    return image[..., 0] + image[..., 3] / 2


class FineTest(chex.TestCase):
  def asked(
    self,
    photos,
    sizes=('32x48', '16x16'),
    studio=False,
    cars=None,
    wanted=None,
  ):
    """Predictions by the first network alone and by both."""
    first, second = map(run_of, sizes)
    second.config.data.coarse = 'coarse'
    second.config.data.empty_studio = studio
    second.model = Fine()
    if studio:
      first.model, second.model = Sure(), FineWithStudio()
    both = dataclasses.replace(first, fine=second)
    return [
      list(
        predictor.predictions(
          [run],
          predictor.inputs(
            cars or [range(len(photos))],
            photos.__getitem__,
            [first.config.data],
            keep_photos=True,
          ),
          lambda number: number in (wanted or range(len(photos))),
        )
      )
      for run in (first, both)
    ]

  def test_it_replaces_cells_with_doubt_and_no_other_pixel(self):
    photos = [photo_of(4 * i) for i in range(7)]
    coarse, fine = self.asked(photos)
    for number, photo in enumerate(photos):
      (index, one), (same, two) = coarse[number], fine[number]
      self.assertEqual((index, same), (number, number))
      before = from_logits.enlarge(one.logits[0], SIZE)
      after = two.logits[0]
      self.assertEqual(after.shape, SIZE)
      levels = from_logits.probabilities(from_logits.quantize(before))
      said = (photo[..., 0] + levels / 2) / 255
      cells = np.zeros(SIZE, bool)
      for (top, left), _ in tile_places.places_along_border(levels, (16, 16)):
        cells[top : top + 12, left : left + 12] = True  # tiles but for 2 pixels
      self.assertTrue(cells.any())
      np.testing.assert_allclose(after[cells], said[cells], atol=1e-6)
      np.testing.assert_array_equal(after[~cells], before[~cells])

  def test_no_doubt_or_a_small_photo(self):
    photos = [photo_of(30), np.full((8, 8, 3), 250, np.uint8), photo_of(20)]
    coarse, fine = self.asked(photos)
    self.assertEqual([number for number, _ in fine], [0, 1, 2])
    np.testing.assert_array_equal(fine[1][1].levels(), coarse[1][1].levels())
    self.assertTrue((fine[2][1].levels() != coarse[2][1].levels()).any())

  def test_photos_that_are_not_looked_at_do_not_pile_up(self):
    photos = [np.full((8, 8, 3), 250, np.uint8)] * 100
    first, second = map(run_of, ('32x48', '16x16'))
    second.config.data.coarse = 'coarse'
    second.model = Fine()
    taken = []

    def numbers():
      for number in range(len(photos)):
        taken.append(number)
        yield number

    given = predictor.inputs(
      [numbers()],
      photos.__getitem__,
      [first.config.data],
      keep_photos=True,
    )
    both = dataclasses.replace(first, fine=second)
    stream = predictor.predictions([both], given)
    self.assertEqual(next(stream)[0], 0)
    self.assertLess(len(taken), 90)

  def test_views_are_compared_with_the_empty_studio(self):
    random = np.random.default_rng(0)
    studio = random.integers(0, 60, (*SIZE, 3)).astype(np.uint8)
    photos = []
    for number in range(4):
      photo = photo_of(16 * number)
      photos.append(np.where(photo == 20, studio, photo))
    photos.append(photos[0].copy())
    photos[4][12:16] += 9  # beside the car
    cars = [[4, 1, 2, 3], [0]]
    coarse, found = self.asked(photos, studio=True, cars=cars)
    _, some = self.asked(photos, studio=True, cars=cars, wanted={4, 0})
    for (number, one), (_, two), (_, first) in zip(
      some, found, coarse, strict=True
    ):
      expected = two.logits[0]
      if number not in (4, 0):
        expected = from_logits.enlarge(first.logits[0], SIZE)
      np.testing.assert_array_equal(one.logits[0], expected)
    self.assertEqual([number for number, _ in found], [4, 1, 2, 3, 0])
    first, alone = found[0][1].logits[0], found[4][1].logits[0]
    in_cells = alone == 0  # a single photo is given zeros
    shown = empty_studio.find(
      [photos[i] for i in cars[0]],
      [
        from_logits.probabilities(
          from_logits.quantize(from_logits.enlarge(one.logits[0], SIZE))
        )
        for _, one in coarse[:4]
      ],
    )
    expected = empty_studio.difference(shown, 0, photos[4])[..., 0]
    self.assertGreater(np.sum(expected[12:16][in_cells[12:16]] > 128), 20)
    np.testing.assert_allclose(
      first[in_cells], expected[in_cells] / 255, atol=1e-6
    )


class MasksTest(chex.TestCase):
  @parameterized.parameters(1, 4, 7)
  def test_every_photo_gets_its_own_mask_in_order(self, count):
    photos = [photo_of(2 * i) for i in range(count)]
    found = masks_of(run_of(), [photos])
    self.assertEqual(list(found), [(0, i) for i in range(count)])
    for (_, i), mask in found.items():
      chex.assert_trees_all_equal(mask[:, 48], photos[i][:, 48, 0] > 100)
      overlap = np.mean(mask == (photos[i][..., 0] > 100))
      self.assertGreater(overlap, 0.995)  # but for corners

  def test_views_of_a_car_are_cut_and_pasted_back(self):
    cars = [[photo_of(8 * i) for i in range(8)], [photo_of(20)]]
    found = masks_of(run_of('64x96', multiview=True), cars)
    self.assertLen(found, 9)
    for (i, j), mask in found.items():
      truth = cars[i][j][..., 0] > 100
      dice = 2 * np.sum(mask & truth) / (mask.sum() + truth.sum())
      self.assertGreater(dice, 0.96)

  def test_holes_are_filled_if_asked(self):
    photo = photo_of(30, hole=True)
    kept = masks_of(run_of(), [[photo]])[0, 0]
    filled = masks_of(run_of(fill_holes=True), [[photo]])[0, 0]
    self.assertFalse(kept[28, 42])
    self.assertTrue(filled[28, 42])
    chex.assert_trees_all_equal(filled, cleaning.fill_holes(kept))

  def test_photos_of_several_sizes_share_a_batch(self):
    photos = [photo_of(30), np.repeat(photo_of(30), 2, axis=0)]
    found = masks_of(run_of(), [photos])
    self.assertEqual(found[0, 0].shape, SIZE)
    self.assertEqual(found[0, 1].shape, (2 * SIZE[0], SIZE[1]))
    overlap = np.mean(found[0, 1] == (photos[1][..., 0] > 100))
    self.assertGreater(overlap, 0.99)

  @parameterized.parameters(False, True)
  def test_damaged_photos_are_left_out_and_told(self, multiview):
    cars = [[photo_of(8 * i) for i in range(5)], [None]]
    cars[0][2] = None
    run = run_of('64x96', multiview)
    told = {}
    found = masks_of(run, cars, failed=told.__setitem__)
    self.assertEqual(list(found), [(0, 0), (0, 1), (0, 3), (0, 4)])
    self.assertEqual(list(told), [(0, 2), (1, 0)])
    self.assertEqual(str(told[0, 2]), '(0, 2) is damaged.')
    with self.assertRaisesRegex(UserError, 'is damaged'):
      masks_of(run, cars)

  def test_several_networks_average_their_logits(self):
    """Networks of other sizes, one given crops; thresholds 0.3 and 0.6."""
    runs = [run_of('32x48'), run_of('64x96', multiview=True)]
    for run, level in zip(runs, (0.3, 0.6), strict=True):
      run.variables = devices.replicate({'level': jnp.float32(level)})
    photos = [photo_of(8 * i) for i in range(6)]
    configs = [run.config.data for run in runs]
    given = predictor.inputs([range(6)], photos.__getitem__, configs)
    for number, both in predictor.predictions(runs, given):
      alone = [
        from_logits.enlarge(logits, SIZE, item.box)
        for logits, item in zip(both.logits, both.given.inputs, strict=True)
      ]
      # Bright is 250 / 255, dark 20 / 255.
      middle = (32, 8 * number + 16)
      self.assertAlmostEqual(alone[0][middle], 250 / 255 - 0.3, places=3)
      self.assertAlmostEqual(alone[1][middle], 250 / 255 - 0.6, places=3)
      mean = (alone[0] + alone[1]) / 2
      expected = np.clip(np.floor(16 * mean + 128), 0, 255)
      unlike = expected != both.levels()
      self.assertLess(unlike.mean(), 1e-3)  # rounding at the steps' ends

  def test_without_memory_for_the_networks(self):
    text = 'RESOURCE_EXHAUSTED: Out of memory while trying to allocate 1 byte.'
    error = jax.errors.JaxRuntimeError(text)
    photo = photo_of(left=8)
    for number, advice in (
      (1, 'end other programs on the device.'),
      (2, 'end other programs on the device, or give fewer --workdir.'),
    ):
      with (
        mock.patch.object(devices, 'to_host', side_effect=error),
        self.assertRaisesRegex(
          UserError,
          r'out of device memory on cpu with 1 image\(s\) of 32x48 at a time; '
          + advice,
        ),
      ):
        runs = [run_of()] * number
        configs = [run.config.data for run in runs]
        given = predictor.inputs([[photo]], lambda x: x, configs)
        list(predictor.predictions(runs, given))

  def test_the_same_for_any_batch_size_and_number_of_devices(self):
    """At full size, enlarged, with mirrored photos, crops and padding."""
    folder = self.enterContext(tempfile.TemporaryDirectory())
    results = []
    for count in (1, 2, 4):
      path = f'{folder}/{count}.npz'
      module = 'tests.helpers.predictions_on_devices'
      subprocess.run(
        [sys.executable, '-m', module, str(count), path],
        cwd=pathlib.Path(__file__).parents[2],
        env=commands.environment(count),
        check=True,
      )
      with np.load(path) as file:
        results.append(dict(file))
    first = results[0]
    self.assertLen(first, 7 * 3 * 2)
    self.assertGreater(len(np.unique(first['levels 0 1'])), 10)
    for result in results:
      for name, value in result.items():
        what, number, _ = name.split()
        np.testing.assert_array_equal(value, first[f'{what} {number} 1'], name)
