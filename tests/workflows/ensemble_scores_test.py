"""The mean of networks, compared with what each says alone."""

import pathlib
import tempfile

import chex
import jax.numpy as jnp
import numpy as np

from carvana_jax.datasets import folds
from carvana_jax.evaluation import scoring
from carvana_jax.masks import cleaning
from carvana_jax.parallel import devices
from carvana_jax.workflows import ensemble_scores, out_of_fold
from configs import default
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
    cls.part = folds.part(cls.builder, 'test')

  def run_(self, level):
    run = run_of()
    run.variables = devices.replicate({'level': jnp.float32(level)})
    return run

  def measure(self, levels, choice):
    runs = [self.run_(level) for level in levels]
    path = self.root / f'{self.id()}_{len(levels)}.npz'
    return ensemble_scores.measure(runs, choice, self.builder, self.part, path)

  def dice(self, level, choice):
    """Of one network by the way that evaluations go."""
    config = default.get_config().eval
    config.threshold = choice.threshold
    config.fill_holes, config.keep_largest = cleaning.WAYS[choice.cleaning]
    run = self.run_(level).with_flip(choice.flip)
    scored = scoring.score(run, self.builder, self.part, config)
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
