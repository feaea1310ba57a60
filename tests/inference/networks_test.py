"""Which networks a command uses, and what tells their masks from others."""

import json
import pathlib
import tempfile
from unittest import mock

import chex

from carvana_jax.configs import default
from carvana_jax.inference import networks
from carvana_jax.system.errors import UserError
from tests.helpers import network_files, saved_run


class NetworksTest(chex.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = tempfile.TemporaryDirectory()
    cls.addClassCleanup(folder.cleanup)
    cls.root = pathlib.Path(folder.name)
    cls.paths = [str(cls.root / name) for name in 'ab']
    for seed, path in enumerate(cls.paths):
      saved_run.save(pathlib.Path(path), seed)

  def test_identity_follows_from_networks_and_settings(self):
    identity = lambda *paths: networks.load(paths, tuned=False).identity()
    first, second = self.paths
    self.assertEqual(identity(first), identity(first))
    self.assertNotEqual(identity(first), identity(second))
    self.assertNotEqual(identity(first), identity(first, second))
    found = networks.load([first], tuned=False)
    before = found.identity()
    found.runs[0].config.eval.flip = True
    self.assertNotEqual(found.identity(), before)
    found = networks.load([first], tuned=False)
    found.masking.keep_largest = True
    self.assertNotEqual(found.identity(), before)
    json.dumps(before)  # as it is kept in a file

  def test_tuned(self):
    first = self.paths[0]
    with self.assertRaisesRegex(UserError, 'no evaluation of validation'):
      networks.load([first], tuned=True)
    with self.assertRaisesRegex(UserError, 'several --workdir'):
      networks.load(self.paths, tuned=True)
    folder = self.root / 'a' / 'evaluation' / 'studio-validation'
    folder.mkdir(parents=True)
    summary = {
      'step': 0,
      'flip': False,
      'source': 'studio',
      'best_threshold': 0.3,
      'best_cleaning': 'holes',
    }
    (folder / 'summary.json').write_text(json.dumps(summary))
    found = networks.load([first], tuned=True)
    self.assertEqual(found.identity()['threshold'], 0.3)
    self.assertEqual(found.identity()['cleaning'], 'holes')
    # A network that was trained anew in this folder may have the same step.
    summary['network'] = found.runs[0].digest()
    (folder / 'summary.json').write_text(json.dumps(summary))
    networks.load([first], tuned=True)
    summary['network'] = 'other'
    (folder / 'summary.json').write_text(json.dumps(summary))
    with self.assertRaisesRegex(UserError, 'no evaluation of validation'):
      networks.load([first], tuned=True)
    plain = networks.load([first], tuned=False).identity()
    self.assertEqual((plain['threshold'], plain['cleaning']), (0.5, 'none'))

  def test_a_file_stands_for_a_run(self):
    path = self.root / 'net.safetensors'
    first, second = (
      network_files.run_of(network_files.config_of(x)) for x in ('', 'coarse')
    )
    network_files.write(path, first, second)
    for fine in (False, True):
      (run,) = networks.load([str(path)], tuned=False, fine=fine).runs
      self.assertEqual(run.fine is not None, fine)
    found = networks.load([str(path), self.paths[0]], tuned=False)
    self.assertEqual(found.identity()['networks'][0], first.digest())
    with self.assertRaisesRegex(UserError, 'no use with .*net.safetensors, wh'):
      networks.load([str(path)], tuned=True)
    # Of what comes along both are used, unless told otherwise.
    with mock.patch.object(networks, 'READY', path):
      for fine, both in ((None, True), (True, True), (False, False)):
        (run,) = networks.load(None, tuned=False, fine=fine).runs
        self.assertEqual(run.fine is not None, both)

  def test_a_folder_without_network(self):
    with self.assertRaisesRegex(UserError, 'holds no checkpoint'):
      networks.load([self.paths[0], str(self.root / 'none')], tuned=False)


class TuningTest(chex.TestCase):
  def test_is_found_only_for_the_same_network_and_images(self):
    root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    config = default.get_config().eval
    data_config = default.get_config().data
    tuned = lambda same: networks.tuned_by_evaluation(
      root, config, same, data_config
    )
    here = {'network': '11', 'step': 7, 'flip': False}
    self.assertIsNone(tuned(here))
    best = {'best_threshold': 0.4, 'best_cleaning': 'largest'}
    (root / 'summary.json').write_text(json.dumps(here | best))
    found = tuned(here)
    self.assertEqual(found.threshold, 0.4)
    self.assertEqual((found.fill_holes, found.keep_largest), (False, True))
    self.assertEqual(found.batch_size, config.batch_size)
    # The config itself is as it was.
    self.assertEqual((config.threshold, config.keep_largest), (0.5, False))
    for other in ({'network': '22'}, {'step': 8}, {'flip': True}):
      self.assertIsNone(tuned(here | other))
    # Those of version 0.1.0 don't tell the network.
    del here['network']
    (root / 'summary.json').write_text(json.dumps(here | best))
    here['network'] = '11'
    self.assertIsNotNone(tuned(here))

  def test_is_found_where_older_versions_had_other_names_of_the_data(self):
    root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    config = default.get_config()
    config.data.data_dir = str(root / 'data')
    old, new = 'carvana-0123abcd', 'carvana-0123abcd-4567cdef'
    best = {'best_threshold': 0.4, 'best_cleaning': 'largest'}
    for there, here, found in (
      (old, new, True),
      (new, old, True),  # the run is older than its evaluation
      (old, 'carvana-0123abce-4567cdef', False),
      (new, 'carvana-0123abcd-4567cde0', False),
      (None, new, False),
    ):
      summary = {'network': '11', 'source': there, 'origin': f'{there}/x'}
      (root / 'summary.json').write_text(json.dumps(summary | best))
      same = summary | {'source': here, 'origin': f'{here}/x'}
      tuned = networks.tuned_by_evaluation(root, config.eval, same, config.data)
      self.assertEqual(tuned is not None, found, (there, here))
