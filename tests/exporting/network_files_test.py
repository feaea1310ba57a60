"""X.safetensors and what lies beside it, as export writes them."""

import dataclasses
import json
import pathlib
import tempfile
from unittest import mock

import chex
import jax
import numpy as np
import onnxruntime
import safetensors.numpy
from absl.testing import absltest, parameterized

from carvana_jax.exporting import kinds, onnx_network
from carvana_jax.exporting import network_files as network_files_of
from carvana_jax.exporting.options import Options
from carvana_jax.inference import networks, predictor
from carvana_jax.parallel import devices
from carvana_jax.system.errors import UserError
from carvana_jax.training import trained_run
from tests.helpers import network_files

_NAMES = ['a-fine.onnx', 'a.json', 'a.onnx', 'a.safetensors']


class NetworkFilesTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    config = network_files.config_of()
    config.data.update(
      manual_dir='/home/me/photos', data_dir='/home/me/data',
      pseudo_labels='/home/me/labels',
    )  # fmt: skip
    config.train.init_from = '/home/me/runs/old'
    config.eval.update(flip=True, threshold=0.3)
    fine = network_files.config_of('/home/me/coarse')
    fine.data.size = '16x16'
    start = {
      'folder': '/home/me/runs/old', 'network': '1', 'step': 3,
      'taken': ['params/logits/bias'], 'seen': [['studio-1', [1]]],
    }  # fmt: skip
    cls.run_ = dataclasses.replace(
      network_files.run_of(config),
      start=start,
      fine=network_files.run_of(fine, seed=1),
    )

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.path = self.folder / 'a.safetensors'

  def write(self, precision, run=None):
    run = run or self.run_
    masking = run.config.eval.copy_and_resolve_references()
    masking.update(threshold=0.4, keep_largest=True)
    with mock.patch('builtins.print') as printed:
      kinds.write(
        networks.Networks([run], masking),
        self.path,
        Options('a', precision=precision),
      )
    return [call.args[0] for call in printed.call_args_list]

  def names(self):
    return sorted(path.name for path in self.folder.iterdir())

  def test_float32_keeps_every_bit(self):
    lines = self.write('float32')
    self.assertEqual(self.names(), _NAMES)
    self.assertIn('checked on 4 made-up pictures: logits', '\n'.join(lines))
    for fine in (False, True):
      expected = self.run_.fine if fine else self.run_
      found = trained_run.load_file(self.path, fine)
      chex.assert_trees_all_equal(found.variables, expected.variables)
    # What was chosen, and no path of this machine.
    self.assertEqual(trained_run.load(self.path).config.eval.threshold, 0.4)
    text = self.path.with_suffix('.json').read_text()
    self.assertNotIn('/home/me', text)
    facts = json.loads(text)
    self.assertTrue(facts['config']['eval']['keep_largest'])
    self.assertEqual(
      facts['init'],
      {
        'folder': 'old', 'network': '1', 'step': 3, 'seen': [['studio-1', [1]]]
      },
    )  # fmt: skip

  def test_a_second_network_that_is_shown_the_empty_studio(self):
    config = network_files.config_of('coarse')
    config.data.update(size='16x16', empty_studio=True)
    config.augment.hide_studio = 0.1
    fine = network_files.run_of(config, seed=1)
    self.write('float32', dataclasses.replace(self.run_, fine=fine))
    found = trained_run.load_file(self.path, fine=True)
    self.assertTrue(found.config.data.empty_studio)
    self.assertEqual(found.config.augment.hide_studio, 0.1)
    self.assertEqual(found.digest(), fine.digest())
    self.assertEqual(
      found.variables['params']['down0_conv0']['kernel'].shape[-2], 8
    )
    # The graph does without it, and its weights stay in the one file.
    graph = self.folder / 'a-fine.onnx'
    self.assertLess(graph.stat().st_size, 10_000)
    session = onnxruntime.InferenceSession(graph)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 16, 16, 4), np.uint8)
    _, logits = session.run(None, {'image': images})
    images = np.pad(images, ((0, 0), (0, 0), (0, 0), (0, 4)))
    flip = fine.config.eval.flip
    expected = jax.jit(
      lambda x: predictor.logits(fine.model, flip, fine.variables, x)
    )(images)
    np.testing.assert_allclose(logits, expected, atol=1e-4)

  def test_float16_rounds_kernels_alone(self):
    self.write('float16')
    stored = safetensors.numpy.load_file(self.path)
    wanted = network_files.arrays_of(self.run_.variables)
    wanted |= network_files.arrays_of(self.run_.fine.variables, 'fine/')
    self.assertEqual(stored.keys(), wanted.keys())
    for name, array in wanted.items():
      kind = np.float32 if array.ndim < 2 else np.float16
      self.assertEqual(stored[name].dtype, kind, name)
      np.testing.assert_array_equal(stored[name], array.astype(kind), name)
    # The graph takes its weights from the same file, and says the same.
    run = trained_run.load(self.path)
    images = np.random.default_rng(0).integers(0, 256, (1, 32, 48, 3), np.uint8)
    expected = jax.jit(
      lambda x: predictor.logits(run.model, True, run.variables, x)
    )(images)
    graph = onnxruntime.InferenceSession(self.folder / 'a.onnx')
    _, logits = graph.run(None, {'image': images})
    np.testing.assert_allclose(logits, expected, atol=1e-4)

  def test_no_path_of_an_encoder(self):
    config = self.run_.config.copy_and_resolve_references()
    config.model.encoder_weights = '/home/me/vgg19.h5'
    run = dataclasses.replace(self.run_, config=config)
    found = network_files_of._storable(run, False, self.path)
    self.assertEqual(found.config.model.encoder_weights, 'vgg19.h5')
    self.assertEqual(config.model.encoder_weights, '/home/me/vgg19.h5')

  def test_nothing_is_left_of_what_was_refused(self):
    with (
      mock.patch.object(onnx_network, 'model', side_effect=UserError('no.')),
      self.assertRaisesRegex(UserError, 'no'),
    ):
      self.write('float32')
    variables = jax.tree.map(lambda x: np.asarray(x) * 1e6, self.run_.variables)
    large = dataclasses.replace(
      self.run_, variables=devices.replicate(variables)
    )
    with self.assertRaisesRegex(
      UserError, r'cannot hold params/\S+ as float16'
    ):
      self.write('float16', large)
    self.assertEqual(self.names(), [])

  @parameterized.parameters('a.json', 'a.onnx', 'a-fine.onnx', 'a.safetensors')
  def test_nothing_is_overwritten(self, name):
    (self.folder / name).write_text('mine')
    with self.assertRaisesRegex(UserError, f'{name} exists; choose another'):
      kinds.check(self.path, Options('a'))
      self.write('float32')
    self.assertEqual(self.names(), [name])
    self.assertEqual((self.folder / name).read_text(), 'mine')


if __name__ == '__main__':
  absltest.main()
