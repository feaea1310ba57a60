"""A run's folder: one process at a time, and no lock outlives its process."""

import json
import pathlib
import subprocess
import sys
import tempfile

import chex
from absl.testing import parameterized

from carvana_jax.configs import cnn256, default, vgg19_unet512
from carvana_jax.system.errors import UserError
from carvana_jax.training import run_folder

_HOLDER = """
import pathlib, sys, time
from carvana_jax.training import run_folder
with run_folder.lock(pathlib.Path(sys.argv[1])):
  print('locked', flush=True)
  time.sleep(600)
"""


class LockTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    root = self.enterContext(tempfile.TemporaryDirectory())
    self.workdir = pathlib.Path(root) / 'runs' / 'mine'

  def test_of_a_process_that_is_killed(self):
    with subprocess.Popen(
      [sys.executable, '-c', _HOLDER, self.workdir],
      cwd=pathlib.Path(__file__).parents[2],
      stdout=subprocess.PIPE,
      text=True,
    ) as process:
      self.addCleanup(process.kill)
      self.assertEqual(process.stdout.readline(), 'locked\n')
      with (
        self.assertRaisesRegex(
          UserError,
          f'another process is training in {self.workdir}; .* --workdir',
        ),
        run_folder.lock(self.workdir),
      ):
        self.fail('two processes in one folder')
      process.kill()
      process.wait()
    with run_folder.lock(self.workdir):
      pass

  def test_paths_with_signs_of_patterns(self):
    for name in ('a [1]', 'b*', 'c?/mine', 'd\\e'):
      workdir = self.workdir / name
      with (
        self.assertRaisesRegex(UserError, 'has .* in its path.* --workdir'),
        run_folder.lock(workdir),
      ):
        self.fail('no checkpoint could be read')
      self.assertFalse(workdir.exists())

  def test_files_that_are_there_in_part_are_removed(self):
    names = ('config.json', 'metrics.jsonl', 'pictures/a.png', 'checksums/1')
    for name in names:
      path = self.workdir / name
      path.parent.mkdir(parents=True, exist_ok=True)
      path.with_name(f'.{path.name}.01234567.tmp').touch()
    # Another process may be writing that one now.
    report = self.workdir / '.report.html.01234567.tmp'
    report.touch()
    with run_folder.lock(self.workdir):
      left = [x for x in self.workdir.rglob('*.tmp') if x.is_file()]
      self.assertEqual(left, [report])

  def test_ends_with_an_error(self):
    with self.assertRaises(KeyError), run_folder.lock(self.workdir):
      raise KeyError
    with run_folder.lock(self.workdir):
      pass


class OtherConfigTest(chex.TestCase):
  """A run of before a field was added."""

  @parameterized.parameters(
    ('data', 'validation_folds', (1,), (2, 7), r'\[1\] there, \[2, 7\] here'),
    ('model', 'conv_bias', True, False, 'True there, False here'),
    ('model', 'norm_momentum', 0.9, 0.99, '0.9 there, 0.99 here'),
    ('model', 'norm_epsilon', 1e-5, 1e-3, '1e-05 there, 0.001 here'),
    (
      'model',
      'kernel_init',
      'lecun_normal',
      'normal',
      "'lecun_normal' there, 'normal' here",
    ),
    ('augment', 'clip', True, False, 'True there, False here'),
    ('optimizer', 'epsilon', 1e-8, 1e-7, '1e-08 there, 1e-07 here'),
  )
  def test_goes_on_with_what_held(self, section, field, before, other, said):
    root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    config = default.get_config()
    older = json.loads(config.to_json())
    del older[section][field]
    (root / 'config.json').write_text(json.dumps(older))
    run_folder.refuse_other_config(config, root)
    config[section][field] = other
    with self.assertRaisesRegex(UserError, rf'{section}.{field} \({said}\)'):
      run_folder.refuse_other_config(config, root)
    found = run_folder.read_config(root)
    self.assertEqual(found[section][field], before)

  def test_of_another_network_gets_no_field_of_a_unet(self):
    root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    config = cnn256.get_config()
    (root / 'config.json').write_text(config.to_json())
    run_folder.refuse_other_config(config, root)

  def test_of_tiles_goes_on_where_it_was_moved_to(self):
    root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    config = default.get_config()
    config.data.coarse = '/old/coarse'
    run_folder.write_config(config, root)
    config.data.coarse = '/new/coarse'
    run_folder.refuse_other_config(config, root)

  def test_weights_of_an_encoder_may_be_in_another_folder(self):
    root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    config = vgg19_unet512.get_config()
    config.model.encoder_weights = '/old/vgg19.h5'
    run_folder.write_config(config, root)
    config.model.encoder_weights = 'new/vgg19.h5'
    run_folder.refuse_other_config(config, root)
    for other in ('random', '/old/vgg19.pth'):
      config.model.encoder_weights = other
      with self.assertRaisesRegex(UserError, 'model.encoder_weights'):
        run_folder.refuse_other_config(config, root)


class EvaluationsTest(chex.TestCase):
  @parameterized.parameters(
    ({}, 'studio-test'),
    ({'fine': True}, 'studio-test-fine'),
    ({'flip': True}, 'studio-test-flip'),
    ({'flip': False, 'fine': True}, 'studio-test-fine-noflip'),
    ({'at_network_size': True}, 'studio-test-network_size'),
  )
  def test_names(self, how, name):
    folder = run_folder.evaluation_folder(
      pathlib.Path('runs/a'), 'studio', 'test', **how
    )
    self.assertEqual(folder, pathlib.Path('runs/a/evaluation') / name)

  def test_only_finished_ones_are_listed(self):
    root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.assertEmpty(run_folder.evaluation_summaries(root))
    folders = [
      run_folder.evaluation_folder(root, 'studio', split)
      for split in ('train', 'test', 'all')
    ]
    for folder in folders:
      folder.mkdir(parents=True)
    for folder in folders[:2]:
      (folder / 'summary.json').write_text('{}')
    names = [x.parent.name for x in run_folder.evaluation_summaries(root)]
    self.assertEqual(names, ['studio-test', 'studio-train'])

  def test_those_at_the_network_s_size_are_listed_apart(self):
    root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    for name in ('studio-test', 'studio-test-network_size',
                 'studio-test-network_size.1'):  # fmt: skip
      (root / 'evaluation' / name).mkdir(parents=True)
      (root / 'evaluation' / name / 'summary.json').write_text('{}')
    names = lambda at: [
      x.parent.name for x in run_folder.evaluation_summaries(root, at)
    ]
    self.assertEqual(names(False), ['studio-test'])
    self.assertLen(names(True), 2)
