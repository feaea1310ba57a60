"""Records survive kills, and those of several processes are joined."""

import pathlib
import tempfile

import chex

from carvana_jax.inference import photo_records
from carvana_jax.inference.contents import Content


class RecordsTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

  def records(self, index=None):
    return photo_records.Records(self.folder, index)

  def add(self, records, name, digest, *endings, is_empty=False):
    made = dict.fromkeys(endings or ('_mask.png',), digest)
    records.add(name, Content(digest, [1, 2]), is_empty, made)

  def test_the_last_line_counts_for_each_file(self):
    records = self.records()
    self.add(records, 'car1/a', '11', '_mask.png', '_cutout.png')
    self.add(records, 'car1/a', '22', is_empty=True)
    for found in (records, self.records()):
      record = found['car1/a']
      self.assertEqual(record.content, Content('22', [1, 2]))
      self.assertTrue(record.is_empty)
      self.assertEqual(record.made, {'_mask.png': '22', '_cutout.png': '11'})
      self.assertNotIn('b', found)
      self.assertEqual(found['b'].made, {})

  def test_lines_that_were_cut_off(self):
    records = self.records()
    for name in 'abc':
      self.add(records, name, '11')
    (path,) = self.folder.iterdir()
    path.write_bytes(path.read_bytes()[:-20])
    again = self.records()
    self.assertEqual(again.names(), {'a', 'b'})
    self.add(again, 'd', '22')
    self.assertEqual(self.records().names(), {'a', 'b', 'd'})
    for line in (b'[]', b'{"name": "e"}', b'\xff', b'{"name": 1, "conte'):
      path.write_bytes(line + b'\n' + path.read_bytes())
    self.assertEqual(self.records().names(), {'a', 'b', 'd'})

  def test_several_processes(self):
    alone = self.records()
    self.add(alone, 'a', '11')
    # A later one counts, whichever file it is in.
    self.add(self.records(1), 'a', '22')
    self.add(self.records(0), 'b', '22')
    self.assertLen(list(self.folder.iterdir()), 3)
    records = self.records()
    self.assertEqual(records['a'].made, {'_mask.png': '22'})
    records.join({})
    (path,) = self.folder.iterdir()
    self.assertEqual(path.name, 'made_of.jsonl')
    self.assertEqual(self.records().names(), {'a', 'b'})
    self.add(self.records(), 'a', '33')
    self.assertEqual(self.records()['a'].made, {'_mask.png': '33'})

  def test_the_stamp_of_a_copy_is_kept(self):
    records = self.records()
    for name in 'abc':
      self.add(records, name, '11')
    copy = {
      'a': Content('11', [3, 4]),
      'b': Content('11', None),
      'c': Content('22', [3, 4]),  # failed
      'd': Content('11', [3, 4]),
      'e': None,
    }
    records.join(copy)
    stamps = [self.records()[name].content.stamp for name in 'abc']
    self.assertEqual(stamps, [[3, 4], [1, 2], [1, 2]])
    self.assertEqual(self.records().names(), {'a', 'b', 'c'})

  def test_two_at_once_of_different_photos(self):
    first, second = self.records(0), self.records(1)
    self.add(first, 'a', '11', '_mask.png', '_cutout.png')
    self.add(second, 'a', '22')
    self.assertEqual(
      self.records()['a'].made,
      {'_mask.png': photo_records.UNKNOWN, '_cutout.png': '11'},
    )
