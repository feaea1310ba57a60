"""Photos to masks: order, batches, boxes, holes."""

import chex
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from carvana_jax import checkpoint, parallel, predictor
from configs import default

SIZE = (64, 96)


class Bright:
  """A network that takes what is bright for car."""

  def apply(self, variables, image, *, train):
    del train
    return image[..., 0] - variables['level']


def run_of(size='32x48', multiview=False, fill_holes=False):
  config = default.get_config()
  config.data.size, config.data.multiview = size, multiview
  config.eval.update(batch_size=4, fill_holes=fill_holes)
  variables = parallel.replicate({'level': jnp.float32(0.5)})
  return checkpoint.Run(config, Bright(), variables, step=1)


def photo_of(left, hole=False):
  """A dark photo with a bright square."""
  photo = np.full((*SIZE, 3), 20, np.uint8)
  photo[16:48, left : left + 32] = 250
  if hole:
    photo[24:32, left + 8 : left + 16] = 20
  return photo


def masks_of(run, cars):
  """Masks of lists of photos."""
  numbered = [[(i, j) for j in range(len(car))] for i, car in enumerate(cars)]
  load = lambda name: cars[name[0]][name[1]]
  given = predictor.inputs(numbered, load, run.config.data)
  return {
    name: predictor.mask_of(levels, run.config.eval)
    for name, levels in predictor.levels(run, given, SIZE)
  }


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
    chex.assert_trees_all_equal(filled, predictor.fill_holes(kept))

  def test_fill_holes_by_hand(self):
    before = """
      .#..####
      #.#.#..#
      .#..####
      ......#.
      ##....##
      .#....#."""
    after = """
      .#..####
      ###.####
      .#..####
      ......#.
      ##....##
      .#....#."""
    parse = lambda text: np.array(
      [[c == '#' for c in line.strip()] for line in text.strip().split('\n')]
    )
    result = predictor.fill_holes(parse(before))
    chex.assert_trees_all_equal(result, parse(after))
    full = np.ones((3, 4), bool)
    chex.assert_trees_all_equal(predictor.fill_holes(full), full)
    chex.assert_trees_all_equal(predictor.fill_holes(~full), ~full)
