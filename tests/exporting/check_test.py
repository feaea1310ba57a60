"""Which files say the same as JAX, and which are refused."""

import dataclasses

import jax
import numpy as np
from absl.testing import absltest, parameterized

from benchmarks import bright_network
from carvana_jax.configs import cnn256
from carvana_jax.exporting import check, onnx_network, references
from carvana_jax.inference import predictor
from carvana_jax.inference.prediction import Given, Input, Prediction
from carvana_jax.models import cnn
from carvana_jax.system.errors import UserError
from carvana_jax.training import trained_run

SIZE = (6, 9)


def run_of():
  """A network of two layers, whose kernels are of one pixel."""
  config = cnn256.get_config()
  config.eval.flip = False
  rng = np.random.default_rng(0)
  array = lambda *shape: np.float32(rng.normal(0, 1, shape))
  params = {
    'conv0': {'kernel': array(1, 1, 3, 4), 'bias': array(4)},
    'logits': {'kernel': array(1, 1, 4, 1), 'bias': array(1)},
  }
  model = cnn.CNN((4,), (1,), 1)
  return trained_run.Run(config, model, {'params': params}, 7, '')


def graph_of(run, shift=0.0):
  """The network in ONNX, whose logits are too large by so much."""
  params = jax.tree.map(np.copy, run.variables['params'])
  params['logits']['bias'] += np.float32(shift)
  arrays = {
    f'params/{layer}/{name}': array
    for layer, of in params.items()
    for name, array in of.items()
  }
  about = dataclasses.replace(bright_network.FACTS, size=SIZE)
  return onnx_network.model(run, arrays, about)


def image():
  return np.random.default_rng(1).integers(0, 256, (*SIZE, 3), np.uint8)


def prediction_of(run, shift=0.0):
  """What JAX says, too large by so much."""
  logits = predictor.logits(run.model, False, run.variables, image()[None])[0]
  given = Given((Input(image(), None),), SIZE, None)
  return Prediction((np.asarray(logits) + np.float32(shift),), given)


def compare(run, of_file=0.0, of_jax=0.0):
  pairs = [('a.jpg', prediction_of(run, of_jax))]
  model = graph_of(run, of_file)
  return check.compare(run, pairs, 'photos', model, 'float32', 128)


class CheckTest(parameterized.TestCase):
  def test_the_same(self):
    found = compare(run_of())
    self.assertLess(found.logits, 2e-6)
    self.assertRegex(
      found.exact_line(),
      r'^checked on 1 photos: logits differ by at most \de[-+]\d\d, masks in '
      '0 of 54 pixels$',
    )

  def test_up_to_the_limit(self):
    found = compare(run_of(), 9e-5)
    self.assertAlmostEqual(found.logits, 9e-5, delta=2e-6)

  @parameterized.parameters(1.1e-4, -1.1e-4, np.nan)
  def test_beyond_the_limit(self, shift):
    with self.assertRaisesRegex(UserError, 'logits of a.jpg .*no file'):
      compare(run_of(), shift)

  @parameterized.parameters(
    (0, 5e-4, 0),  # what each is too large by, and what is found
    (9e-5, -9e-5, 9e-5),
    (9e-4, 5e-4, 9e-4),
    (-9e-4, 5e-4, 9e-4),
  )
  def test_where_both_round_float64_decides(self, of_file, of_jax, differ):
    found = compare(run_of(), of_file, of_jax)
    self.assertAlmostEqual(found.logits, differ, delta=2e-6)

  @parameterized.parameters(
    (1.1e-4, -4e-5), (1.1e-3, 5e-4), (0, np.nan), (np.nan, np.nan)
  )
  def test_further_from_float64_than_rounding_explains(self, of_file, of_jax):
    with self.assertRaisesRegex(UserError, 'logits of a.jpg .*no file'):
      compare(run_of(), of_file, of_jax)

  def test_float64(self):
    run = run_of()
    params = jax.tree.map(np.float64, run.variables['params'])
    # Numbers between would be rounded to float32 before.
    black_or_white = np.uint8(255 * (image() > 127))
    x = black_or_white / 255
    for layer in params.values():
      x = np.maximum(x, 0) @ layer['kernel'][0, 0] + layer['bias']
    found = references.in_float64(run, black_or_white)
    self.assertEqual(found.dtype, np.float64)
    np.testing.assert_allclose(found, x[..., 0], rtol=0, atol=1e-12)


if __name__ == '__main__':
  absltest.main()
