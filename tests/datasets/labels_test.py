"""The labels of a prepared data set, and the file that keeps them."""

import json
import pathlib
import shutil
import tempfile
from unittest import mock

import chex
from absl.testing import parameterized

from carvana_jax.datasets import labels, reading
from carvana_jax.system.errors import UserError
from tests.helpers import folded

SPLITS = ('validation', 'train')


class LabelsTest(chex.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = cls.enterClassContext(tempfile.TemporaryDirectory())
    cls.made = pathlib.Path(folded.prepare(folder).data_path)

  def setUp(self):
    super().setUp()
    folder = self.enterContext(tempfile.TemporaryDirectory())
    self.folder = pathlib.Path(folder, *self.made.parts[-2:])
    shutil.copytree(self.made, self.folder)
    self.file = self.folder / 'labels.json'
    self.file.unlink(missing_ok=True)
    self.builder = reading.open_folder(self.folder)

  def read(self):
    """The labels, as a process of its own reads them, and how often it did."""
    labels._by_split.cache_clear()
    with mock.patch.object(labels, '_read', wraps=labels._read) as read:
      found = labels.of(self.builder, SPLITS)
    return [column.tolist() for column in found], read.call_count

  def expected(self):
    rows = [
      row
      for split in SPLITS
      for row in reading.undecoded_examples(self.builder, split)
    ]
    return [
      [row['filename'].decode() for row in rows],
      [row['car_id'].decode() for row in rows],
      [int(row['fold']) for row in rows],
    ]

  def test_are_read_once(self):
    self.assertEqual(self.read(), (self.expected(), 1))
    self.assertEqual(self.read(), (self.expected(), 0))

  @parameterized.parameters(
    ('', None), ('filename', ['a.jpg']), ('fold', None), ('car_id', [1]),
    ('files', {}),
  )  # fmt: skip
  def test_a_file_of_no_use_is_replaced(self, name, value):
    self.read()
    content = json.loads(self.file.read_text())
    if isinstance(content.get(name), list):
      value = value and value * len(content[name])
      value = value if name == 'car_id' else value and value[:1]
    changed = content | {name: value}
    self.file.write_text(json.dumps(changed) if name else '{"files": ')
    self.assertEqual(self.read(), (self.expected(), 1))
    self.assertEqual(json.loads(self.file.read_text()), content)

  def test_other_data_have_other_labels(self):
    self.read()
    (path,) = self.folder.glob('*-train.array_record*')
    aside = path.with_name('aside')
    shutil.copy(path, aside)
    aside.replace(path)  # as a copy of the folder has it
    self.assertEqual(self.read()[1], 1)

  def test_of_damaged_data(self):
    (path,) = self.folder.glob('*-train.array_record*')
    content = path.read_bytes()
    half = len(content) // 2
    path.write_bytes(content[:half] + bytes(64) + content[half + 64 :])
    with self.assertRaisesRegex(UserError, 'is damaged .*; remove the folder'):
      self.read()
    self.assertFalse(self.file.exists())

  def test_where_nothing_can_be_written(self):
    self.file.mkdir()
    for _ in range(2):
      self.assertEqual(self.read(), (self.expected(), 1))
