"""The mean of networks, compared with what each says alone."""

import pathlib
import tempfile

import chex
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from carvana_jax.configs import default
from carvana_jax.datasets import folds
from carvana_jax.evaluation import scoring
from carvana_jax.masks import cleaning
from carvana_jax.parallel import devices
from carvana_jax.workflows import ensemble_scores, out_of_fold
from tests.helpers import folded
from tests.inference.predictor_test import run_of


class EnsembleTest(chex.TestCase):
  """Networks that take for car what is brighter than a level of their own."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.root = pathlib.Path(
      cls.enterClassContext(tempfile.TemporaryDirectory())
    )
    cls.builder = folded.prepare(cls.root)
    cls.part = folds.select(cls.builder, 'test')

  def run_(self, level):
    run = run_of()
    run.variables = devices.replicate({'level': jnp.float32(level)})
    return run

  def measure(self, levels, choice):
    runs = [self.run_(level) for level in levels]
    path = self.root / f'{self.id()}_{len(levels)}.npz'
    return ensemble_scores.measure_ensemble(
      runs, choice, self.builder, self.part, path
    )

  def dice(self, level, choice):
    """Of one network by the way that evaluations go."""
    config = default.get_config().eval
    config.threshold = choice.threshold
    config.fill_holes, config.keep_largest = cleaning.WAYS[choice.cleaning]
    run = self.run_(level).with_flip(choice.flip)
    scored = scoring.score_images(run, self.builder, self.part, config)
    return [one.dice_tuned for one in scored]

  def test_of_one_network_repeated_is_that_network(self):
    choice = out_of_fold.Choice(True, 0.525, 'holes+largest')
    plain = choice._replace(flip=False, threshold=0.5, cleaning='none')
    found = self.measure([0.6] * 3, choice)
    expected = self.dice(0.6, plain)
    chex.assert_shape(found.single, (3, folded.VIEWS))
    for single in found.single:
      self.assertEqual(single.tolist(), expected)
    self.assertEqual(found.mean.tolist(), expected)
    self.assertEqual(
      found.flip.tolist(), self.dice(0.6, plain._replace(flip=True))
    )
    self.assertEqual(
      found.threshold.tolist(), self.dice(0.6, choice._replace(cleaning='none'))
    )
    self.assertEqual(found.cleaning.tolist(), self.dice(0.6, choice))
    self.assertNotEqual(found.cleaning.tolist(), found.mean.tolist())

  def test_mean_of_logits(self):
    """Brightness less 0.4 and less 0.8 are in the mean brightness less 0.6."""
    choice = out_of_fold.Choice(False, 0.5, 'none')
    found = self.measure([0.4, 0.8], choice)
    for level, single in zip((0.4, 0.8), found.single, strict=True):
      self.assertEqual(single.tolist(), self.dice(level, choice))
    # The mean of floats rounds in another order.
    np.testing.assert_allclose(found.mean, self.dice(0.6, choice), atol=1e-3)
    self.assertGreater(abs(found.single - found.mean).min(), 0.01)
    self.assertEqual(found.flip.tolist(), found.mean.tolist())


CARS = np.array(['a', 'a', 'b', 'b'])
SCORES = ensemble_scores.Scores(
  car_id=CARS,
  single=np.array([[0.5, 0.5, 0.5, 0.1], [0.7, 0.7, 0.7, 0.3]]),
  mean=np.array([0.71, 0.71, 0.71, 0.61]),
  flip=np.array([0.72, 0.72, 0.72, 0.62]),
  threshold=np.array([0.73, 0.73, 0.73, 0.63]),
  cleaning=np.array([0.74, 0.74, 0.74, 0.64]),
)


def figures(rows):
  """{name: (mean, worst)}"""
  return {
    row['name']: (round(row['dice_mean'], 9), round(row['dice_worst'], 9))
    for row in rows
  }


class GainsTest(chex.TestCase):
  @parameterized.parameters(True, False)
  def test_on_test(self, flip):
    choice = out_of_fold.Choice(flip, 0.45, 'holes')
    expected = {
      'one network, mean of 2': (0.5, 0.2),
      'their ensemble': (0.685, 0.61),
      'flip': (0.695, 0.62),
      'threshold 0.450': (0.705, 0.63),
      'cleaning: holes': (0.715, 0.64),
    }
    if not flip:
      del expected['flip']
    rows = ensemble_scores.gains_on_test(SCORES, choice)
    self.assertEqual(figures(rows), expected)
    for row in rows:
      self.assertEqual((row['images'], row['cars']), (4, 2))
      low, high = row['dice_interval']
      self.assertBetween(row['dice_mean'], low, high)

  @parameterized.parameters(
    (True, 'flip', 0.7), (False, 'flip, not chosen', 0.6)
  )
  def test_on_folds(self, flip, name, threshold):
    columns = {
      'dice': 0.4, 'dice_flip': 0.5, 'dice_threshold': 0.6,
      'dice_flip_threshold': 0.7, 'dice_chosen': 0.8,
    }  # fmt: skip
    rows = [{'car_id': car, **columns} for car in CARS]
    choice = out_of_fold.Choice(flip, 0.45, 'none')
    self.assertEqual(
      figures(ensemble_scores.gains_out_of_fold(rows, choice)),
      {
        'one network': (0.4, 0.4),
        name: (0.5, 0.5),
        'threshold 0.450': (threshold, threshold),
        'cleaning: none': (0.8, 0.8),
      },
    )
