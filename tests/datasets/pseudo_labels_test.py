"""Soft masks from files: which are found, what is read, and in which runs."""

import contextlib
import hashlib
import io
import json
import pathlib
import tempfile
from unittest import mock

import chex
import numpy as np
from absl.testing import parameterized
from PIL import Image

from carvana_jax.configs import default
from carvana_jax.datasets import input_pipeline, prepare, pseudo_labels
from carvana_jax.datasets.carvana.carvana_dataset_builder import Builder
from carvana_jax.system.errors import UserError
from tests.datasets import carvana_test
from tests.datasets.carvana_test import TINY, UNLABELED, stems

NAMES = stems(UNLABELED, range(1, 6))
LABELLED = stems(UNLABELED, (2, 3, 5))


def probability(name):
  """Noise of its own for each photo: uint8 [384, 576]."""
  rng = np.random.default_rng(int(name[-2:]))
  return rng.integers(0, 256, (384, 576), np.uint8)


def reduced(name):
  """Means of 3x3 pixels, which never end in a half: uint8 [128, 192]."""
  blocks = probability(name).reshape(128, 3, 192, 3)
  return np.round(blocks.mean((1, 3))).astype(np.uint8)


class FolderTest(chex.TestCase):
  """Made-up cars prepared at 128x192, and a folder of probabilities."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.root = pathlib.Path(
      cls.enterClassContext(tempfile.TemporaryDirectory())
    )
    cls.enterClassContext(mock.patch.object(Builder, 'PHOTO_SIZE', TINY))
    labelled = [
      *stems(carvana_test.TRAIN, range(1, 5)),
      *stems(carvana_test.VALIDATION, range(1, 4)),
      *stems(carvana_test.HELD_OUT, range(1, 4)),
    ]
    made = carvana_test.compete(labelled, NAMES)
    carvana_test.write_folders(made, cls.root / 'manual')
    cls.builder = prepare.for_network(cls.config().data)

  @classmethod
  def config(cls, **fields):
    config = default.get_config()
    config.data.data_dir = str(cls.root / 'data')
    config.data.manual_dir = str(cls.root / 'manual')
    config.data.unlabeled = True
    config.data.update(fields)
    config.train.batch_size = 2
    config.train.epochs = 3
    return config

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    for name in LABELLED:
      self.save(name, Image.fromarray(probability(name)))

  def path(self, name):
    return self.folder / f'{name}_probability.png'

  def save(self, name, image):
    image.save(self.path(name))


class FindTest(FolderTest):
  def find(self):
    return pseudo_labels.find(str(self.folder), self.builder)

  def test_files_belong_to_their_photos(self):
    self.save('0123456789ab_01', Image.fromarray(probability('other_99')))
    (self.folder / f'{NAMES[0]}_mask.png').write_bytes(b'not for us')
    labels = self.find()
    source = self.builder.as_data_source('unlabeled')
    photos = [
      source[position]['filename'].decode() for position in labels.positions
    ]
    self.assertEqual(sorted(photos), [f'{name}.jpg' for name in LABELLED])
    self.assertLen(labels, 3)
    for number, photo in enumerate(photos):
      mask = labels.mask(number)
      np.testing.assert_array_equal(mask, reduced(photo[:-4]))
      self.assertEqual(mask.dtype, np.uint8)

  def test_fingerprint_tells_files_apart(self):
    mark = self.find().fingerprint
    self.assertRegex(mark, '^[0-9a-f]{8}-[0-9a-f]{8}$')
    self.assertEqual(self.find().fingerprint, mark)
    self.save(LABELLED[0], Image.new('L', (576, 384)))
    other = self.find().fingerprint
    self.assertNotEqual(other, mark)
    # As many bytes, but two pixels have changed places.
    sizes = set()
    for x in (0, 1):
      image = Image.new('L', (576, 384))
      image.putpixel((x, 300), 9)
      image.save(self.path(LABELLED[0]), compress_level=0)
      sizes.add(self.path(LABELLED[0]).stat().st_size)
      found, other = other, self.find().fingerprint
      self.assertNotEqual(other, found)
    self.assertLen(sizes, 1)
    self.path(LABELLED[0]).rename(self.path(NAMES[0]))
    self.assertNotEqual(self.find().fingerprint, other)

  def test_sub_folders(self):
    mark = self.find().fingerprint
    for number, name in enumerate(LABELLED):
      folder = self.folder / f'car{number}'
      litter = self.folder / '@eaDir' / self.path(name).name
      folder.mkdir()
      litter.mkdir(parents=True)  # as Synology's disks have them
      self.path(name).rename(folder / self.path(name).name)
    labels = self.find()
    self.assertCountEqual(
      [path.parent.name for path in labels.files], ['car0', 'car1', 'car2']
    )
    self.assertEqual(labels.fingerprint, mark)

  def test_two_of_one_name(self):
    twin = self.folder / 'car' / self.path(LABELLED[0]).name
    other = self.folder / 'car' / 'other_probability.png'
    twin.parent.mkdir()
    other.write_bytes(b'')
    (self.folder / other.name).write_bytes(b'')
    self.assertLen(self.find(), 3)  # of photos that nobody asks for
    twin.write_bytes(b'')
    path = self.path(LABELLED[0])
    self.refused(f'{twin} and {path} have one name; remove one')

  def refused(self, *parts):
    with self.assertRaises(UserError) as caught:
      self.find()
    for part in parts:
      self.assertIn(part, str(caught.exception))
    self.assertNotIn('\n', str(caught.exception))

  def test_no_folder(self):
    self.folder = self.folder / 'missing'
    self.refused(f'pseudo_labels={self.folder} is no folder', 'predict')

  def test_no_file(self):
    for name in LABELLED:
      self.path(name).rename(self.path(f'other{name}'))
    self.refused(str(self.folder), 'no NAME_probability.png', 'predict')

  def test_no_unlabeled_photos(self):
    manual, data = self.root / 'few', self.root / 'few_data'
    made = carvana_test.compete(stems(carvana_test.TRAIN, (1,)))
    carvana_test.write_folders(made, manual)
    self.builder = carvana_test.prepare(manual, data)
    self.refused('carvana/128x192/1.0.1 has no photo in its unlabeled split')

  @parameterized.parameters(
    (lambda data: data[:-100],),
    (lambda data: data[:500] + bytes([data[500] ^ 1]) + data[501:],),
    (lambda data: b'',),
    (lambda data: b'<html>Not found</html>',),
  )
  def test_damaged_file(self, spoil):
    path = self.path(LABELLED[1])
    path.write_bytes(spoil(path.read_bytes()))
    self.refused(f'{path} is damaged', 'make it again')

  @parameterized.parameters('RGB', '1', 'I;16')
  def test_other_pixels(self, mode):
    self.save(LABELLED[1], Image.new(mode, (576, 384)))
    self.refused(f'{self.path(LABELLED[1])} is damaged or no grey PNG of 8')

  def test_fewer_pixels_than_the_network_sees(self):
    for name in LABELLED:
      self.save(name, Image.new('L', (9, 8)))
    self.refused('has 8x9 pixels, fewer than the network sees (128x192)',
                 'make them again')  # fmt: skip

  @parameterized.parameters(*LABELLED)
  def test_other_size(self, name):
    self.save(name, Image.new('L', (192, 128)))
    self.refused(f'{self.path(name)} has 128x192 pixels', '384x576')


class NamesWithFoldersTest(chex.TestCase):
  def test_a_photo_has_the_file_of_its_folder(self):
    folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    names = [f'{x}_probability.png' for x in ('1', 'a/1', 'b/1', 'c/2', 'd/3')]
    for name in (names[0], names[1], f'made/{names[3]}', 'e/3_probability.png'):
      path = folder / name
      path.parent.mkdir(parents=True, exist_ok=True)
      path.touch()
    found = pseudo_labels._by_position(folder, names)
    self.assertEqual(
      {position: str(x.relative_to(folder)) for position, x in found.items()},
      {0: names[0], 1: names[1], 3: f'made/{names[3]}'},
    )

  def test_soft_masks_are_padded_as_photos_are(self):
    folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    pixels = np.zeros((40, 20), np.uint8)
    pixels[:, :10] = 200
    Image.fromarray(pixels).save(folder / 'a.png')
    labels = pseudo_labels.PseudoLabels(
      np.array([0]), [folder / 'a.png'], (20, 30), 'pad', ''
    )
    # Ten columns in the middle, of which five are object, as is all before.
    np.testing.assert_array_equal(labels.mask(0), [[200] * 15 + [0] * 15] * 20)


class RunDataTest(FolderTest):
  def data(self, **fields):
    """The data of a run, and what making them printed."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
      data = input_pipeline.RunData.open(self.builder, self.config(**fields))
    return data, out.getvalue()

  def labelled(self):
    return self.data(pseudo_labels=str(self.folder))

  def test_steps(self):
    plain, _ = self.data()
    self.assertEqual((plain.steps_per_epoch, plain.total_steps), (2, 6))
    data, printed = self.labelled()
    self.assertEqual((data.steps_per_epoch, data.total_steps), (4, 12))
    self.assertIn('3 of 5 unlabeled photos', printed)

  def test_trains_on_both(self):
    expected = {
      **{
        row['image'].tobytes(): row['mask'][..., 0]
        for row in self.builder.as_data_source('train')
      },
      **{
        row['image'].tobytes(): reduced(row['filename'].decode()[:-4])
        for row in self.builder.as_data_source('unlabeled')
        if row['filename'].decode()[:-4] in LABELLED
      },
    }
    self.assertLen(expected, 4 + 3)
    batches = self.labelled()[0].training(first_step=8)
    seen = []
    for batch in batches:  # the last epoch
      for image, mask, weight in zip(
        batch['image'], batch['mask'], batch['weight'], strict=True
      ):
        np.testing.assert_array_equal(mask, expected[image.tobytes()])
        if weight:
          seen.append(image.tobytes())
    self.assertCountEqual(seen, expected)

  def test_runs_of_older_versions_go_on(self):
    data, _ = self.labelled()
    found = sorted((x.name, x.stat().st_size) for x in self.folder.iterdir())
    mark = hashlib.sha256(json.dumps(found).encode()).hexdigest()[:8]
    source, words, _ = data.identity.rpartition(' with pseudo labels ')
    is_same = lambda mark: prepare.is_same(
      data.config.data, f'{source}{words}{mark}', data.identity
    )
    self.assertTrue(is_same(mark))
    self.assertFalse(is_same('01234567'))
    self.assertFalse(is_same(f'{mark}-01234567'))

  def test_resumes(self):
    data, _ = self.labelled()
    whole = list(data.training(0))
    self.assertLen(whole, 12)
    chex.assert_trees_all_equal(list(data.training(5)), whole[5:])

  @parameterized.parameters('validation', 'test')
  def test_other_splits_stay(self, split):
    plain, data = self.data()[0], self.labelled()[0]
    batches = list(plain.once(split))
    self.assertEqual([x['weight'].sum() for x in batches], [2, 1])
    chex.assert_trees_all_equal(list(data.once(split)), batches)

  def test_identity_follows_the_files(self):
    plain, _ = self.data()
    data, _ = self.labelled()
    self.assertEqual(
      plain.identity, prepare.identity(self.config().data, self.builder)
    )
    self.assertStartsWith(data.identity, f'{plain.identity} with pseudo labels')
    self.assertEqual(self.labelled()[0].identity, data.identity)
    self.path(LABELLED[2]).unlink()
    self.assertNotEqual(self.labelled()[0].identity, data.identity)
