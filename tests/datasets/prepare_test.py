"""Data sets are prepared once, whoever asks first."""

import fcntl
import os
import pathlib
import sys
import tempfile
import threading
import types
from unittest import mock

import chex
import tensorflow_datasets as tfds

from carvana_jax.configs import debug
from carvana_jax.datasets import names, prepare, spec
from carvana_jax.system.errors import UserError
from tests.helpers import numbered


class TogetherTest(chex.TestCase):
  def test_the_second_waits_and_uses_what_the_first_made(self):
    folder = self.enterContext(tempfile.TemporaryDirectory())
    config = debug.get_config().data
    config.data_dir = folder
    looked, found = threading.Event(), []

    def create(**options):
      builder = numbered.Numbered(**options)
      looked.set()
      return builder

    number = os.open(folder, os.O_RDONLY)
    # A folder that is opened again is locked as by another process.
    fcntl.flock(number, fcntl.LOCK_EX)
    second = threading.Thread(
      target=lambda: found.append(prepare._prepare(config, folder, create))
    )
    second.start()
    self.assertTrue(looked.wait(60))
    made = numbered.prepare(folder)
    before = made.data_path.stat().mtime
    self.assertEmpty(found)
    os.close(number)
    second.join(60)
    self.assertEqual(
      found[0].info.splits['train'].num_examples, numbered.SPLITS['train']
    )
    self.assertEqual(found[0].data_path.stat().mtime, before)


class Sized(numbered.Numbered):
  """Comes in one size."""

  BUILDER_CONFIGS = (tfds.core.BuilderConfig(name=numbered.SIZE),)


class LeftoverTest(chex.TestCase):
  def test_of_a_killed_process_is_removed(self):
    folder = self.enterContext(tempfile.TemporaryDirectory())
    config = debug.get_config().data
    config.data_dir = folder
    made = Sized(data_dir=folder).data_path
    same, recent, other = (
      pathlib.Path(made.parent, f'incomplete.{name}')
      for name in (f'A_{made.name}', f'B_{made.name}', 'C_0.9.9')
    )
    for path in (same, recent, other):
      path.mkdir(parents=True)
      (path / 'part').touch()
    for path in (same / 'part', same, recent, other):
      os.utime(path, (0, 0))
    prepare._prepare(config, folder, Sized)
    self.assertTrue(made.exists())
    self.assertFalse(same.exists())
    self.assertTrue(recent.exists())  # another host may be at work
    self.assertTrue(other.exists())  # and so may another version


class TableTest(chex.TestCase):
  def test_every_data_set_has_a_row_in_both_tables(self):
    self.assertEqual(names.FULL_SIZES.keys(), prepare._MODULES.keys())

  def test_a_data_set_more_needs_no_more_than_its_rows(self):
    root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    module = types.SimpleNamespace(
      Builder=Sized,
      preparation=lambda data_config, root: spec.Preparation(
        root / f'of-{data_config.manual_dir}',
        {'splits': {'train': 3}},
        download_config=None,
        train_photos=3,
      ),
    )
    for table, key, row in (
      (prepare._MODULES, 'more', 'module_of_more'),
      (names.FULL_SIZES, 'more', numbered.SIZE),
      (sys.modules, 'module_of_more', module),
    ):
      self.enterContext(mock.patch.dict(table, {key: row}))
    config = debug.get_config().data
    config.update(
      dataset='more', size=numbered.SIZE, full_size='',
      data_dir=str(root), manual_dir='here',
    )  # fmt: skip
    begun = []
    builder = prepare.for_network(config, begun.append)
    self.assertEqual(builder.info.splits['train'].num_examples, 3)
    prepare.for_network(config, begun.append)  # it is there
    self.assertEqual(begun, [3])
    folder = f'of-here/sized/{numbered.SIZE}/1.0.0'
    self.assertEqual(prepare.identity(config, builder), folder)
    self.assertTrue((root / folder).is_dir())
    self.assertEqual(prepare.for_scoring(config).data_path, builder.data_path)
    config.size = 'original'
    with self.assertRaisesRegex(UserError, "'original' is not HEIGHTxWIDTH"):
      prepare.for_network(config)
    config.dataset = 'less'
    with self.assertRaisesRegex(UserError, "'less' is unknown; .*folder, more"):
      prepare.dataset(config, numbered.SIZE)
