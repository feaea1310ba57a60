"""A network in a file of its own: what is read of it, and what is refused."""

import dataclasses
import json
import pathlib
import tempfile
from unittest import mock

import chex
import jax
import numpy as np
import safetensors.numpy
from absl.testing import absltest, parameterized

from carvana_jax.models import vgg_weights
from carvana_jax.system.errors import UserError
from carvana_jax.training import initial_network, network_file, trained_run
from tests.helpers import network_files


class NetworkFileTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.run_ = network_files.run_of(network_files.config_of())
    cls.fine = network_files.run_of(network_files.config_of('coarse'), seed=1)

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.path = self.folder / 'a.safetensors'

  def change(self, **entries):
    """Writes the file, with other entries beside it."""
    network_files.write(self.path, self.run_)
    beside = self.path.with_suffix('.json')
    facts = json.loads(beside.read_text()) | entries
    beside.write_text(json.dumps(facts))

  def configured(self, section, **fields):
    config = self.run_.config.to_dict()
    config[section] |= fields
    return config

  def test_both_networks_are_read_bit_by_bit(self):
    start = {'folder': 'a', 'network': '1', 'step': 3, 'seen': [['data', [1]]]}
    start['seen'].append(['data', [1], {'shares': [8, 1, 1]}])
    run = dataclasses.replace(self.run_, start=start)
    network_files.write(self.path, run, self.fine)
    for expected, fine in ((run, False), (self.fine, True)):
      found = trained_run.load_file(self.path, fine)
      chex.assert_trees_all_equal(found.variables, expected.variables)
      self.assertEqual(found.config.to_dict(), json.loads(
        json.dumps(expected.config.to_dict())))  # fmt: skip
      self.assertEqual(
        (found.step, found.data, found.start, found.digest()),
        (7, 'studio/64x96/1.0.0', expected.start, expected.digest()),
      )
    self.assertTrue(network_file.has_second(self.path))

  def test_float16_becomes_float32(self):
    half = jax.tree.map(
      lambda x: np.asarray(x).astype(np.float16), self.run_.variables
    )
    whole = jax.tree.map(lambda x: x.astype(np.float32), half)
    run = dataclasses.replace(self.run_, variables=whole)
    network_files.write(self.path, run)
    self.path.write_bytes(safetensors.numpy.save(network_files.arrays_of(half)))
    found = trained_run.load(self.path).variables
    chex.assert_trees_all_equal(found, whole)
    chex.assert_trees_all_equal_dtypes(found, whole)

  def test_a_file_without_a_second_network(self):
    self.change()
    self.assertFalse(network_file.has_second(self.path))
    with self.assertRaisesRegex(UserError, 'no second network; leave out'):
      trained_run.load_file(self.path, fine=True)

  def test_what_is_one(self):
    self.assertTrue(network_file.is_one(self.folder / 'none.SafeTensors'))
    for name in ('a.json', 'safetensors', 'folder.safetensors'):
      (self.folder / 'folder.safetensors').mkdir(exist_ok=True)
      self.assertFalse(network_file.is_one(self.folder / name))

  def test_a_run_starts_from_it(self):
    network_files.write(self.path, self.run_, self.fine)
    first, second = (network_files.config_of(x) for x in ('', 'coarse'))
    for config, expected in ((first, self.run_), (second, self.fine)):
      config.train.init_from = str(self.path)
      source = initial_network.load(config, begun=False)
      self.assertEqual(source.digest(), expected.digest())
      initial_network.refuse_unfit(source, config)
    self.path.unlink()
    self.assertIsNone(initial_network.load(first, begun=True))
    with self.assertRaisesRegex(UserError, 'a.safetensors does not exist'):
      initial_network.load(first, begun=False)

  @parameterized.parameters(
    ('model', {'levels': 10**9}),
    ('model', {'levels': -1}),
    ('model', {'first_width': 10**12}),
    ('model', {'first_width': 2**24}),
    ('model', {'patch': 0}),
    ('model', {'dtype': 'os.system'}),
    ('model', {'widths': [4] * 10**5}),
    ('model', {'name': '../../x'}),
    ('data', {'size': '0x0'}),
    ('data', {'size': '9999999999x9999999999'}),
    ('data', {'fit': 'x'}),
    ('data', {'dataset': '../x'}),
    ('eval', {'threshold': 2.0}),
    ('eval', {'batch_size': 10**18}),
    ('optimizer', {'name': 'x'}),
    ('train', {'freeze': 3}),
  )
  def test_odd_configs(self, section, fields):
    self.change(config=self.configured(section, **fields))
    with self.assertRaisesRegex(UserError, r'a\.(json|safetensors)\b') as found:
      trained_run.load_file(self.path)
    self.assertNotIn('\n', str(found.exception))

  def test_no_file_is_read_that_the_config_names(self):
    config = self.run_.config.to_dict()
    config['model'] = {
      'name': 'vgg_unet', 'encoder_weights': 'secret', 'dropout': 0.0,
      'dtype': 'float32',
    }  # fmt: skip
    self.change(config=config)
    with (
      mock.patch.object(vgg_weights, 'read', side_effect=AssertionError),
      self.assertRaisesRegex(UserError, 'holds other arrays than a.json'),
    ):
      trained_run.load_file(self.path)


if __name__ == '__main__':
  absltest.main()
