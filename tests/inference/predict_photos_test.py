"""What is written of photos, what is kept, and what is refused."""

import contextlib
import io
import json
import os
import pathlib
import shutil
import tempfile
from unittest import mock

import chex
import numpy as np
from PIL import Image

from carvana_jax.datasets import images
from carvana_jax.inference import (
  finding,
  networks,
  output_folder,
  outputs,
  photo_records,
  photos,
  predict_photos,
)
from carvana_jax.system.errors import UserError
from tests.helpers import photo_files
from tests.inference.predictor_test import run_of


class PredictTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.photos = self.root / 'photos'
    self.output = self.root / 'masks'
    self.photos.mkdir()
    self.run_ = run_of()

  def add(self, name, size=(64, 96), value=255):
    """A photo that is bright below its middle."""
    photo = np.zeros((*size, 3), np.uint8)
    photo[size[0] // 2 :] = value
    (self.photos / name).write_bytes(images.encode_png(photo))

  def predict(self, strict=False, recursive=False, given=None, **wanted):
    """Returns the photos that failed; `self.said` is what was printed."""
    nets = networks.Networks([self.run_], self.run_.config.eval)
    with contextlib.redirect_stdout(io.StringIO()):
      found = finding.find(str(given or self.photos), recursive)
    cars = photos.group_by_car(found, nets.multiview, lambda x: x.file)
    wanted = outputs.Wanted(**wanted)
    predict_photos.refuse_folder(self.output, found, wanted)
    output_folder.claim(self.output, {'step': self.run_.step})
    with contextlib.redirect_stdout(io.StringIO()) as printed:
      failed = predict_photos.predict(nets, cars, self.output, wanted, strict)
    self.said = printed.getvalue()
    return failed

  def written(self, *names):
    """When the masks of photos were written, or other files."""
    paths = [self.output / x for x in names] or self.output.glob('*_mask.png')
    return [path.stat().st_mtime_ns for path in sorted(paths)]

  def sizes(self):
    """(height, width) of the masks by name."""
    found = {}
    for path in self.output.glob('*_mask.png'):
      with Image.open(path) as mask:
        found[path.name] = mask.height, mask.width
        self.assertEqual(mask.mode, '1')
        pixels = np.asarray(mask)
      self.assertTrue(pixels[mask.height // 2 :].all())
      self.assertFalse(pixels[: mask.height // 2].any())
    return found

  def test_photos_of_any_size_and_name(self):
    self.add('a.PNG', (64, 96))
    self.add('b 1_2.png', (80, 64))
    self.add('c.png', (64, 96))
    (self.photos / 'notes.txt').write_text('no photo')
    (self.photos / 'folder.jpg').mkdir()
    self.assertEmpty(self.predict())
    self.assertEqual(
      self.sizes(),
      {'a_mask.png': (64, 96), 'b 1_2_mask.png': (80, 64),
       'c_mask.png': (64, 96)},
    )  # fmt: skip

  def test_goes_on_and_keeps_what_is_there(self):
    self.add('a.png')
    self.predict()
    before = (self.output / 'a_mask.png').stat().st_mtime_ns
    self.add('b.png')
    self.predict()
    self.assertLen(self.sizes(), 2)
    self.assertEqual((self.output / 'a_mask.png').stat().st_mtime_ns, before)

  def test_changed_photos_are_made_again(self):
    for name in ('a.png', 'b.png', 'c.png'):
      self.add(name)
    self.predict()
    self.assertEqual(self.said, '')
    before = self.written()
    # Of equal size, and with its old time; and of another size.
    times = (self.photos / 'b.png').stat()
    self.add('b.png', value=254)
    self.assertEqual((self.photos / 'b.png').stat().st_size, times.st_size)
    os.utime(self.photos / 'b.png', ns=(times.st_atime_ns, times.st_mtime_ns))
    self.add('c.png', (80, 64))
    self.predict()
    self.assertEqual(
      self.said, 'changed since, so made again: 2 photos (b.png, c.png)\n'
    )
    self.assertEqual(self.sizes()['c_mask.png'], (80, 64))
    after = self.written()
    self.assertEqual(after[0], before[0])
    self.assertGreater(after[1], before[1])
    self.predict()
    self.assertEqual(self.said, '')
    self.assertEqual(self.written(), after)

  def test_the_same_photos_by_another_name(self):
    for name in ('a.png', 'b.png'):
      self.add(name)
    self.predict()
    before = self.written()
    self.predict(given=self.photos / '*.png')
    copy = self.root / 'copy'
    shutil.copytree(self.photos, copy)
    self.predict(given=copy)
    archive = shutil.make_archive(str(self.root / 'photos'), 'zip', copy)
    self.predict(given=archive)
    self.assertEqual(self.said, '')
    self.assertEqual(self.written(), before)
    # Some of them, and others.
    self.predict(given=copy / 'b.png')
    self.assertIn('not among the photos: files of 1 photo (a)', self.said)
    (copy / 'a.png').rename(copy / 'd.png')
    self.predict(given=copy)
    self.assertEqual(self.written('a_mask.png', 'b_mask.png'), before)
    self.assertIn('d_mask.png', self.sizes())

  def test_a_mask_that_a_failing_disk_left_empty(self):
    self.add('a.png')
    self.predict()
    mask = self.output / 'a_mask.png'
    whole = mask.read_bytes()
    mask.write_bytes(b'')
    self.predict()
    self.assertEqual(mask.read_bytes(), whole)

  def test_killed_before_the_record_is_written(self):
    self.add('a.png')
    self.predict()
    first = (self.output / 'a_mask.png').read_bytes()
    kept = (self.photos / 'a.png').read_bytes()
    self.add('a.png', (80, 64))
    add = photo_records.Records.add

    def kill(records, name, content, is_empty, made, doubt):
      if photo_records.UNKNOWN not in made.values():
        raise KeyboardInterrupt
      add(records, name, content, is_empty, made, doubt)

    with (
      mock.patch.object(photo_records.Records, 'add', kill),
      self.assertRaises(KeyboardInterrupt),
    ):
      self.predict()
    self.assertNotEqual((self.output / 'a_mask.png').read_bytes(), first)
    (self.photos / 'a.png').write_bytes(kept)
    self.predict()
    self.assertEqual((self.output / 'a_mask.png').read_bytes(), first)

  def test_masks_without_a_record_are_made_again(self):
    self.add('a.png')
    self.predict()
    (self.output / 'made_of.jsonl').unlink()
    self.add('b.png')
    before = self.written()
    self.predict()
    self.assertEqual(
      self.said,
      'made again, as it is not known what their files were made of: '
      '1 photo (a.png)\n',
    )
    self.assertGreater(self.written()[0], before[0])

  def test_what_is_not_asked_for_again_is_told(self):
    self.add('a.png')
    self.add('b.png')
    self.predict(cutout='png')
    self.add('a.png', (80, 64))
    (self.photos / 'b.png').write_bytes(b'no image')
    for _ in range(2):
      self.assertLen(self.predict(), 1)
      self.assertIn('as they were before: 3 files (a_cutout.png, ', self.said)
    self.add('b.png')
    self.predict(cutout='png')
    self.assertNotIn('as they were before', self.said)

  def test_what_nobody_knows_is_not_told_as_known(self):
    self.add('a.png')
    self.predict(cutout='png')
    (record,) = (self.output / 'made_of.jsonl').read_text().splitlines()
    record = json.loads(record)
    record['made']['_cutout.png'] = photo_records.UNKNOWN
    (self.output / 'made_of.jsonl').write_text(json.dumps(record) + '\n')
    self.predict()
    self.assertStartsWith(
      self.said,
      'of photos as they are or as they were, which is not known: 1 file '
      '(a_cutout.png); make them again',
    )

  def test_a_changed_background(self):
    def predict(name, digest):
      pixels = outputs.background(name)
      self.predict(
        background=pixels, background_name='x', background_digest=digest
      )
      return self.written('a_composite.jpg')

    self.add('a.png')
    first = predict('white', '11')
    self.assertEqual(predict('white', '11'), first)
    second = predict('black', '22')
    self.assertGreater(second, first)
    self.assertEqual(
      self.said,
      'composed again, as the background has changed: 1 photo (a.png)\n',
    )
    self.predict()  # does not look at it
    self.assertEqual(self.said, '')

  def test_a_background_is_known_by_its_pixels(self):
    wanted = lambda name: outputs.parse_wanted(False, None, False, name, None)
    digest = lambda name: wanted(name).settings['background_digest']
    self.assertNotIn('background_digest', wanted(None).settings)
    self.assertEqual(digest('white'), digest('#ffffff'))
    self.assertNotEqual(digest('white'), digest('#fffffe'))
    self.add('a.png')
    self.add('b.png')
    self.add('c.png', (96, 64))
    a, b, c = (digest(str(self.photos / f'{x}.png')) for x in 'abc')
    self.assertEqual(a, b)
    self.assertNotEqual(a, c)

  def test_a_car_is_known_by_all_of_its_views(self):
    self.run_ = run_of(multiview=True)
    for name in ('a_1.png', 'a_2.png', 'b_1.png'):
      self.add(name)
    (self.photos / 'b_2.png').write_bytes(b'no image')
    self.predict()
    before = self.written('a_1_mask.png')
    self.predict()
    self.assertEqual(self.said, '')  # b is tried again
    self.assertEqual(self.written('a_1_mask.png'), before)
    for change in (
      lambda: self.add('a_2.png', value=254),
      lambda: self.add('a_3.png'),
      (self.photos / 'a_3.png').unlink,
    ):
      change()
      self.predict()
      self.assertIn('changed since, so made again: 2 photos', self.said)
      self.assertGreater(self.written('a_1_mask.png'), before)
      before = self.written('a_1_mask.png')

  def test_photos_without_a_car_are_told(self):
    for name in 'abcd':
      self.add(f'{name}.png', value=0)
    self.add('e.png')
    for _ in range(2):
      self.assertEmpty(self.predict(cutout='png', trim=True))
      self.assertEqual(
        self.said,
        'no car was found in 4 photos (a.png, b.png, c.png … and 1 more), as '
        'less than 0.1 % of the pixels are car\n',
      )
    with Image.open(self.output / 'a_cutout.png') as picture:
      self.assertEqual(picture.size, (96, 64))  # nothing to trim it to

  def test_masks_of_other_networks_are_left_alone(self):
    self.add('a.png')
    self.predict()
    self.run_.step = 2
    with self.assertRaisesRegex(
      UserError, r'results of other settings \(step\)'
    ):
      self.predict()
    (self.output / 'settings.json').unlink()
    with self.assertRaisesRegex(UserError, 'a_mask.png exists, and it is not'):
      self.predict()

  def test_files_of_the_user_are_left_alone(self):
    self.add('a.png')
    self.output.mkdir()
    own = self.output / 'a_cutout.png'
    own.write_text('precious')
    with self.assertRaisesRegex(
      UserError, 'a_cutout.png exists, and it is not'
    ):
      self.predict(cutout='png')
    self.assertEqual(own.read_text(), 'precious')
    self.output = self.photos
    with self.assertRaisesRegex(UserError, 'holds the photos'):
      self.predict()

  def test_folders_of_photos_are_told_by_any_name(self):
    (self.photos / 'car').mkdir()
    self.add('car/a.png')
    link = self.root / 'link'
    link.symlink_to(self.photos)
    refuse = lambda given, output, **options: predict_photos.refuse_folder(
      output, finding.find(str(given), **options), outputs.Wanted()
    )
    for given, output in (
      (self.photos / 'car', link / 'car'),
      (link / 'car', self.photos / 'car'),
      (link / 'car', self.photos / 'car' / '..' / 'car'),
    ):
      with self.assertRaisesRegex(UserError, 'holds the photos'):
        refuse(given, output)
    # The masks would be in the folder that mirrors the photos'.
    with self.assertRaisesRegex(UserError, 'holds the photos'):
      refuse(self.photos, link, recursive=True)
    refuse(self.photos / 'car', link)
    refuse(self.photos, link / 'out', recursive=True)

  def test_outputs_mirror_folders(self):
    (self.photos / 'car').mkdir()
    self.add('a.png')
    self.add('car/a.png')
    self.assertEmpty(self.predict(recursive=True))
    self.assertEqual(
      sorted(self.output.rglob('*.png')),
      [self.output / 'a_mask.png', self.output / 'car' / 'a_mask.png'],
    )

  def test_photos_too_large_for_a_format_stop_nothing(self):
    self.add('a.png')
    self.add('b.png', (2, 17000))
    failed = self.predict(cutout='webp')
    self.assertLen(failed, 1)
    self.assertIn('b.png is 2x17000, but a WebP has at most 16383',
                  failed[str(self.photos / 'b.png')])  # fmt: skip
    self.assertTrue((self.output / 'a_cutout.webp').exists())

  def test_damaged_photos_stop_nothing_unless_strict(self):
    for name in ('a.png', 'b.png', 'd.png'):
      self.add(name)
    damaged = self.photos / 'c.png'
    damaged.write_bytes((self.photos / 'a.png').read_bytes()[:60])
    failed = self.predict()
    self.assertEqual(list(failed), [str(damaged)])
    self.assertIn('c.png is damaged', failed[str(damaged)])
    self.assertLen(self.sizes(), 3)
    with self.assertRaisesRegex(UserError, 'c.png is damaged'):
      self.predict(strict=True)
    # Mended, it is all that is left to do.
    self.add('c.png')
    self.assertEmpty(self.predict())
    self.assertLen(self.sizes(), 4)

  def test_one_more_makes_what_one_that_died_has_left(self):
    for name in ('a.png', 'b.png', 'c.png', 'd.png'):
      self.add(name)
    (self.photos / 'e.png').write_bytes(b'no image')
    nets = networks.Networks([self.run_], self.run_.config.eval)
    found = finding.find(str(self.photos))

    def predict(*share):
      return predict_photos.predict_share(
        nets,
        found,
        self.output,
        outputs.Wanted(),
        {'input': str(self.photos)},
        share,
      )

    # Process 1 of 4 has died.
    with contextlib.redirect_stdout(io.StringIO()) as printed:
      self.assertEqual([predict(i, 4) for i in (0, 2, 3)], [False, True, True])
    self.assertIn(
      f'1 mask is in {self.output}\n1 photo could not be read',
      printed.getvalue(),
    )
    self.assertIn('e.png', (self.output / 'failed_0.csv').read_text())
    self.assertLen(self.sizes(), 3)
    # The last one lists the masks of all.
    doubt = lambda: (self.output / 'doubt.csv').read_text().splitlines()[1:]
    self.assertLen(doubt(), 3)
    before = (self.output / 'c_mask.png').stat().st_mtime_ns
    self.assertFalse(predict(0, 1))
    self.assertLen(self.sizes(), 4)
    self.assertEqual((self.output / 'c_mask.png').stat().st_mtime_ns, before)
    # What failed in any share is in one list, the only one.
    listings = list(self.output.glob('failed*.csv'))
    self.assertEqual(listings, [self.output / 'failed.csv'])
    self.assertIn('e.png', listings[0].read_text())
    # So is what the masks were made of.
    records = list(self.output.glob('*.jsonl'))
    self.assertEqual(records, [self.output / 'made_of.jsonl'])
    self.assertLen(records[0].read_text().splitlines(), 4)
    # The network's logits are a half on both sides, so it is sure of nothing.
    line = lambda x: f'{x}.png,1.0000,0.5000,{x}_mask.png'
    self.assertEqual(doubt(), [line(x) for x in 'abcd'])

  def test_all_products(self):
    self.add('a.png')
    self.predict(
      probability=True, cutout='png', background=outputs.background('#00ff00')
    )
    with Image.open(self.output / 'a_probability.png') as picture:
      self.assertEqual(picture.mode, 'L')
      values = np.asarray(picture)
    # The network's logits are its brightness less one half.
    for row, logit in ((5, -0.5), (60, 0.5)):
      expected = 255 / (1 + np.exp(-logit))
      self.assertAlmostEqual(int(values[row, 50]), expected, delta=3)
    with Image.open(self.output / 'a_cutout.png') as picture:
      cut = np.asarray(picture)
    self.assertEqual(cut.shape, (64, 96, 4))
    chex.assert_trees_all_equal(cut[60, 50], np.full(4, 255, np.uint8))
    self.assertEqual(cut[5, 50, 3], 0)
    with Image.open(self.output / 'a_composite.jpg') as picture:
      pixels = np.asarray(picture).astype(int)
    self.assertLess(np.abs(pixels[5, 50] - [0, 255, 0]).max(), 6)
    self.assertLess(np.abs(pixels[60, 50] - 255).max(), 6)
    # More of a kind that is not there yet.
    before = (self.output / 'a_mask.png').stat().st_mtime_ns
    self.predict(cutout='webp', trim=True)
    with Image.open(self.output / 'a_cutout.webp') as picture:
      self.assertEqual((picture.mode, picture.size), ('RGBA', (96, 33)))
    self.assertGreater((self.output / 'a_mask.png').stat().st_mtime_ns, before)

  def test_products_are_in_srgb(self):
    self.add('a.png')
    self.predict(cutout='png', background=outputs.background('white'))
    with Image.open(self.output / 'a_cutout.png') as picture:
      self.assertIn('srgb', picture.info)
    with Image.open(self.output / 'a_composite.jpg') as picture:
      self.assertIn('icc_profile', picture.info)

  def test_colours_of_photo_and_background(self):
    space = photo_files.SPACES['adobe']
    stored = np.full((64, 96, 3), [180, 220, 90], np.uint8)
    expected = photo_files.to_srgb(stored[0, 0] / 255, *space)
    self.assertGreater(np.abs(expected - stored[0, 0]).max(), 15)
    profile = photo_files.rgb_profile(*space)
    for name in ('photos/a.png', 'sea.png'):
      Image.fromarray(stored).save(self.root / name, icc_profile=profile)
    background = outputs.background(str(self.root / 'sea.png'))
    chex.assert_trees_all_close(
      background.astype(float), np.broadcast_to(expected, (64, 96, 3)), atol=2
    )
    self.predict(cutout='png', background=background)
    with Image.open(self.output / 'a_cutout.png') as picture:
      cut = np.asarray(picture).astype(float)
    chex.assert_trees_all_close(cut[30, 50, :3], expected, atol=2)
    self.assertEqual(cut[30, 50, 3], 255)

  def test_wrong_bytes(self):
    self.add('a.png')
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (64, 96, 3), np.uint8))
    data = photo_files.garbled(photo_files.encode(noise, 'JPEG'))
    (self.photos / 'b.jpg').write_bytes(data)
    self.assertEmpty(self.predict())
    self.assertEqual(self.said.count('b.jpg may look wrong'), 1)
    self.assertTrue((self.output / 'b_mask.png').exists())
    (self.output / 'b_mask.png').unlink()
    with self.assertRaisesRegex(UserError, 'b.jpg may look wrong .*; replace'):
      self.predict(strict=True)

  def test_backgrounds(self):
    self.assertIsNone(outputs.background(None))
    white = np.full((1, 1, 3), 255, np.uint8)
    chex.assert_trees_all_equal(outputs.background('white'), white)
    self.add('a.png')
    picture = outputs.background(str(self.photos / 'a.png'))
    self.assertEqual(picture.shape, (64, 96, 3))
    with self.assertRaisesRegex(UserError, "'sea.jpg' is no colour.*No such"):
      outputs.background('sea.jpg')
    (self.photos / 'b.png').write_text('no image')
    with self.assertRaisesRegex(UserError, 'b.png is no JPG'):
      outputs.background(str(self.photos / 'b.png'))

  def test_views_that_can_not_be_of_one_car(self):
    self.run_ = run_of(multiview=True)
    for i in range(17):
      self.add(f'IMG_{i:04}.png')
    with self.assertRaisesRegex(UserError, 'IMG_… names 17 photos'):
      self.predict()
    for i in range(2, 17):
      (self.photos / f'IMG_{i:04}.png').unlink()
    self.add('IMG_0001.png', (32, 48))
    failed = self.predict()
    self.assertLen(failed, 1)
    self.assertIn('is 32x48, but other photos of its car are 64x96',
                  failed[str(self.photos / 'IMG_0001.png')])  # fmt: skip
