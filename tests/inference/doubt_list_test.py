"""The list of photos by doubt: its order, and what it leaves out."""

import contextlib
import csv
import io
import pathlib
import tempfile

import chex

from carvana_jax.inference import doubt_list, photo_records, photos
from carvana_jax.inference.contents import Content
from carvana_jax.masks.doubt import Doubt

SURE, VAGUE, EMPTY = Doubt(0.01, 0, 0.2), Doubt(0.3, 0, 0.1), Doubt(1, 0, 0)
PAIR = Doubt(0.02, 0.5, 0.2)  # of which half is apart


class DoubtListTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

  def add(self, name, doubt, of='11', index=None):
    records = photo_records.Records(self.folder, index)
    made = {'_mask.png': of}
    records.add(name, Content('11', None), False, made, doubt)

  def listed(self, *names):
    """Returns (photo, doubt) by line; `self.said` is what was printed."""
    found = [photos.on_disk(f'/x/{name}', name) for name in names]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
      doubt_list.write(self.folder, found)
    self.said = printed.getvalue()
    with (self.folder / 'doubt.csv').open(encoding='utf-8') as file:
      self.rows = list(csv.DictReader(file))
    return [(row['photo'], row['doubt']) for row in self.rows]

  def test_the_most_doubtful_come_first(self):
    names = ['car 1/a.jpg', 'b, "x".png', 'c.jpg', 'd.jpg']
    for name, doubt in zip(names, (SURE, VAGUE, EMPTY, SURE), strict=True):
      self.add(name.rpartition('.')[0], doubt)
    self.add('e', VAGUE)  # not among the photos
    self.assertEqual(
      self.listed(*names, 'f.jpg'),  # which could not be read
      [
        ('c.jpg', '1.0000'),
        ('b, "x".png', '0.3000'),
        ('car 1/a.jpg', '0.0100'),
        ('d.jpg', '0.0100'),
      ],
    )
    self.assertEqual(
      self.rows[2],
      {
        'photo': 'car 1/a.jpg',
        'doubt': '0.0100',
        'object': '0.2000',
        'mask': 'car 1/a_mask.png',
      },
    )
    self.assertEqual(
      self.said,
      f'the photos by how much their masks are doubted: {self.folder}/doubt.csv'
      '; most: c.jpg 1.000, b, "x".png 0.300, car 1/a.jpg 0.010\n',
    )

  def test_parts_count_where_few_masks_have_several(self):
    # 1 - Dice, if half of a mask is wrong: 1 - 2 * 1 / (2 + 1) = 1/3.
    for name, doubt in zip('abc', (SURE, PAIR, SURE), strict=True):
      self.add(name, doubt)
    self.assertEqual(self.listed('a.jpg', 'b.jpg')[0], ('b.jpg', '0.0200'))
    self.assertEqual(
      self.listed('a.jpg', 'b.jpg', 'c.jpg')[0], ('b.jpg', '0.3533')
    )
    self.assertEqual(doubt_list.score(Doubt(1, 0.9, 0.1), True), 1)

  def test_masks_of_older_versions_come_last(self):
    self.add('a', None)
    self.add('b', SURE)
    self.assertEqual(
      self.listed('a.jpg', 'b.jpg'), [('b.jpg', '0.0100'), ('a.jpg', '')]
    )
    self.assertEndsWith(
      self.said, 'not known of 1 mask, which an older version made\n'
    )
    # A line without the field, as those versions wrote it.
    path = self.folder / 'made_of.jsonl'
    text = path.read_text(encoding='utf-8')
    path.write_text(text.replace(', "doubt": null', ''), encoding='utf-8')
    self.assertLen(self.listed('a.jpg', 'b.jpg'), 2)

  def test_masks_of_other_processes(self):
    self.add('a', SURE, index=0)
    self.add('b', VAGUE, index=1)
    self.add('c', VAGUE, of=photo_records.UNKNOWN, index=1)  # under way
    self.assertEqual(
      [photo for photo, _ in self.listed('a.jpg', 'b.jpg', 'c.jpg')],
      ['b.jpg', 'a.jpg'],
    )
