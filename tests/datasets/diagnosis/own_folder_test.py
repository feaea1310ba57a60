"""Defects planted in a folder of photos of other things than cars."""

import pathlib
import tempfile

import numpy as np
from absl.testing import absltest
from PIL import Image

from carvana_jax.datasets.diagnosis import findings, report, suspects_sheet
from carvana_jax.system.errors import UserError

SIZES = (120, 160), (160, 120), (100, 150)  # height, width


class OwnFolderTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
    for folder in ('photos', 'masks'):
      (self.root / folder).mkdir()
    random = np.random.default_rng(0)
    for number in range(4):
      for view in (1, 2, 3):
        height, width = SIZES[view - 1]
        coarse = random.integers(0, 80, (12, 12, 3)).astype(np.uint8)
        photo = Image.fromarray(coarse).resize((width, height))
        top = 20 + 3 * number
        mask = np.zeros((height, width), np.uint8)
        mask[top:-20, 30 : -20 - 5 * view] = 255
        pixels = np.asarray(photo) + mask[..., None] // 2
        stem = f'Shoe {number} ({view})'
        Image.fromarray(pixels).save(self.photo(stem))
        Image.fromarray(mask).save(self.mask(stem))

  def photo(self, stem):
    return self.root / 'photos' / f'{stem}.png'

  def mask(self, stem):
    return self.root / 'masks' / f'{stem}.png'

  def found(self, **options):
    """Returns {check: [(file, value, remedy)]} of all that is found."""
    options = {
      'groups': '',
      'object_values': '',
      'resize_masks': False,
    } | options
    self.collection = report.collection_of(str(self.root), None, options)
    self.examined = report.examine(self.collection)
    checks = findings.diagnose(self.examined, self.collection)
    cells = report.suspects(checks, self.examined)
    self.sheet = suspects_sheet.draw(cells, self.collection)
    return {
      x.name: [(y.file, y.value, y.remedy) for y in x.findings]
      for x in checks
      if x.findings
    }

  def test_a_sound_folder(self):
    self.assertEqual(self.found(), {})
    layout, by, split, _ = self.collection.left_out
    self.assertStartsWith(layout, '12 photos in photos/, masks in masks/')
    self.assertEqual(
      by, '4 groups of 3 photos by names (Shoe 0, Shoe 1, …); set '
      'config.data.groups if photos of one object are in two'
    )  # fmt: skip
    self.assertStartsWith(split, 'photos (groups) by split: train ')

  def test_planted_defects(self):
    self.photo('Shoe 0 (1)').unlink()
    self.photo('Shoe 0 (2)').write_bytes(b'<html>')
    mask = Image.open(self.mask('Shoe 0 (3)'))
    mask.resize((75, 50), 0).save(self.mask('Shoe 0 (3)'))
    Image.new('L', (160, 120)).save(self.mask('Shoe 1 (1)'))
    mask = Image.open(self.mask('Shoe 1 (2)'))
    mask.point(lambda x: 255 - x).save(self.mask('Shoe 1 (2)'))
    self.photo('Shoe 2 (3)').unlink()
    self.mask('Shoe 2 (3)').unlink()
    splits = {x().car_id: x().split for x in self.pairs()}
    same, other = (
      next(
        x for x, split in splits.items() if x[-1] in '123' and split == wanted
      )
      for wanted in ('train', 'test')
    )
    data = self.photo(f'{same} (1)').read_bytes()
    self.photo(f'{other} (1)').write_bytes(data)
    found = self.found()
    self.assertEqual(
      [x[:2] for x in found['photo or mask missing']],
      [('masks/Shoe 0 (1).png', 'no photo')],
    )
    ((file, _, remedy),) = found['unreadable']
    self.assertEqual(file, 'photos/Shoe 0 (2).png')
    self.assertEqual(remedy, 'save it again, or remove photo and mask')
    ((file, value, remedy),) = found['size']
    self.assertEqual(
      (file, value), ('masks/Shoe 0 (3).png', '50 high and 75 wide')
    )
    self.assertEqual(remedy, 'bring it to that size, or give --resize_masks')
    self.assertEqual(
      [x[:2] for x in found['empty or full mask']],
      [('masks/Shoe 1 (1).png', 'empty: 0.00% object')],
    )
    self.assertIn(
      ('masks/Shoe 1 (2).png', 'inverted: 100% of the frame is object'),
      [x[:2] for x in found['mask of its photo']],
    )
    self.assertLen(found['split leakage'], 1)
    self.assertEqual(
      [x[:2] for x in found['missing views']], [('Shoe 2', 'no view 3')]
    )
    self.assertNotIn('size', self.found(resize_masks=True))

  def pairs(self):
    options = {'groups': ''}
    return report.collection_of(str(self.root), None, options).pairs

  def test_names_that_tell_nothing(self):
    for number, file in enumerate(sorted(self.root.glob('photos/*'))):
      mask = self.mask(file.stem)
      mask.rename(mask.with_stem(f'IMG_{number:04}'))
      file.rename(file.with_stem(f'IMG_{number:04}'))
    with self.assertRaisesRegex(
      UserError, ': set config.data.groups=photo if each'
    ):
      self.found()
    self.assertEqual(self.found(groups='photo'), {})
    self.assertLen(self.collection.pairs, 12)


if __name__ == '__main__':
  absltest.main()
