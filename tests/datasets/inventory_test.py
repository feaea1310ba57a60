"""What a data set is made of, from the names of files."""

import pathlib
import tempfile

from absl.testing import absltest

from carvana_jax.configs import default
from carvana_jax.datasets import inventory, spec
from carvana_jax.datasets.inventory import Entry
from tests.helpers import photo_files

# Cars of the splits train, validation and test; and one of no labels.
CARS = ('0cdf5b5d0ce1', '00087a6bd4dc', '02159e548029')
OTHER = 'ffffffffffff'


class ChallengeTest(absltest.TestCase):
  def test_a_folder(self):
    folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    first, second = CARS[:2]
    photo_files.add(
      folder,
      *(f'train/{first}_{view:02}.jpg' for view in range(1, 17)),
      *(f'train_masks/{first}_{view:02}_mask.gif' for view in range(2, 17)),
      f'train/{second}_02.jpg',
      f'train_masks/{second}_02_mask.gif',
      f'train_masks/{second}_03_mask.gif',
      *(f'test/{OTHER}_{view:02}.jpg' for view in range(1, 17)),
      'train/notes.txt',
    )
    config = default.get_config().data
    config.manual_dir = str(folder)
    found = inventory.of_files(config)
    self.assertLen(found.entries, 16 + 2 + 16)
    self.assertIn('notes.txt', found.lines[0])
    by_name = {x.name: x for x in found.entries}
    # `photo_files.add` writes a file's name into it.
    name = f'train/{first}_01.jpg'
    self.assertEqual(
      by_name[f'{first}_01.jpg'],
      Entry(spec.split_of(first), first, 1, f'{first}_01.jpg', len(name), None),
    )
    self.assertIsNone(by_name[f'{second}_03.jpg'].photo)
    rows = {x['split']: x for x in inventory.table(found.entries, 'carvana')}
    self.assertEqual(
      rows['unlabeled'],
      {
        'split': 'unlabeled', 'photos': 16, 'cars': 1, 'views': '16',
        'with all': 1, 'without mask': 16, 'without photo': 0,
      },
    )  # fmt: skip
    self.assertEqual(
      rows['all'],
      {
        'split': 'all', 'photos': 33, 'cars': 3, 'views': '2 to 16',
        'with all': 2, 'without mask': 17, 'without photo': 1,
      },
    )  # fmt: skip
    self.assertEqual(
      inventory.missing(found.entries, 'carvana'),
      [
        f'without mask: 1 photo ({first}_01.jpg)',
        f'without photo: 1 mask ({second}_03.jpg)',
        f'not all of 16 views: 1 car ({second} lacks 14 views from 1 to 16)',
      ],
    )

  def test_the_studio_has_no_files(self):
    config = default.get_config().data
    config.dataset = 'studio'
    self.assertIsNone(inventory.of_files(config))


class EntriesTest(absltest.TestCase):
  def entries(self):
    return [
      Entry('train', 'a', 1, 'a1', 5, 5),
      Entry('test', 'b', 1, 'b1', 5, 5),
      Entry('unlabeled', 'c', 1, 'c1', 5, None),
    ]

  def test_splits_of_a_config(self):
    found = inventory.with_splits(self.entries(), {'b1': 'train'})
    self.assertEqual(
      [x.split for x in found], [inventory.UNUSED, 'train', 'unlabeled']
    )
    rows = inventory.table(found, 'carvana')
    self.assertEqual(
      [x['split'] for x in rows],
      ['train', inventory.UNUSED, 'unlabeled', 'all'],
    )

  def test_single_views_are_missed_of_the_challenge_only(self):
    # Of one's own photos all were meant to have a mask.
    self.assertEqual(
      inventory.missing(self.entries(), 'folder'),
      ['without mask: 1 photo (c1)'],
    )
    self.assertNotIn('with all', inventory.table(self.entries(), 'folder')[0])
    (sentence,) = inventory.missing(self.entries(), 'carvana')
    self.assertStartsWith(sentence, 'not all of 16 views: 3 cars (a lacks 15')
    self.assertEqual(
      inventory.table(self.entries(), 'studio')[0]['with all'], 0
    )


if __name__ == '__main__':
  absltest.main()
