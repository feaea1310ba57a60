"""The data set `borders`: tiles where a network is in doubt."""

import pathlib
import tempfile
from unittest import mock

import cv2
import numpy as np
from absl.testing import absltest, parameterized

from carvana_jax.datasets import empty_studio, images, input_pipeline, spec
from carvana_jax.datasets.borders import borders_dataset_builder, tile_places
from carvana_jax.system.errors import UserError
from tests.helpers import folded

Builder = borders_dataset_builder.Builder
TILE = (32, 32)


def disc(size, centre, radius):
  """Probabilities that fall from car to background over some pixels."""
  y, x = np.indices(size)
  distance = np.hypot(y - centre[0], x - centre[1]) - radius
  return np.clip(128 - 40 * distance, 0, 255).astype(np.uint8)


class PlacesTest(parameterized.TestCase):
  def test_doubt_ends_at_5_and_95_percent(self):
    levels = np.array([[0, 12, 13, 128, 242, 243, 255]], np.uint8)
    expected = [[False, False, True, True, True, False, False]]
    np.testing.assert_array_equal(tile_places.doubtful(levels), expected)

  @parameterized.parameters((32, 32), (33, 50), (100, 70), (95, 129))
  def test_cells_cover_doubt_once_and_lie_in_their_tiles(self, *size):
    probability = disc(size, (size[0] / 2, 10), 15)
    found = tile_places.places_along_border(probability, TILE)
    seen = np.zeros(size, int)
    for cell, tile in found:
      self.assertTrue(np.all(tile >= 0) and np.all(tile + TILE <= size))
      self.assertTrue(np.all(cell >= tile))
      inside = tuple(slice(x, x + 24) for x in cell)  # without 4 at each side
      self.assertTrue(tile_places.doubtful(probability[inside]).any())
      seen[inside] += 1
      end = np.minimum(cell + 24, size)
      self.assertTrue(np.all(end <= tile + TILE))
      # Whole margins, but at the photo's edges.
      for axis in range(2):
        if 0 < tile[axis] < size[axis] - 32:
          self.assertEqual(cell[axis] - tile[axis], 4)
    self.assertEqual(seen.max(), 1)
    self.assertTrue(np.all(seen[tile_places.doubtful(probability)] == 1))

  def test_no_doubt_no_cells(self):
    found = tile_places.places_along_border(np.zeros((40, 50), np.uint8), TILE)
    self.assertEqual(found.shape, (0, 2, 2))

  def test_random_tiles_have_doubt_in_their_inner_half(self):
    probability = disc((300, 400), (150, 200), 60)
    rng = np.random.default_rng(0)
    found = tile_places.random_places(probability, TILE, 200, rng)
    self.assertGreater(len(np.unique(found, axis=0)), 190)
    for top, left in found:
      inner = probability[top + 8 : top + 24, left + 8 : left + 24]
      self.assertTrue(tile_places.doubtful(inner).any())

  def test_random_tiles_stay_in_the_photo_and_follow_from_the_numbers(self):
    for radius in (40, 0):  # beyond the edges, and no car at all
      probability = (
        disc((50, 60), (25, 30), radius)
        if radius
        else np.zeros((50, 60), np.uint8)
      )
      first, second = (
        tile_places.random_places(
          probability, TILE, 100, np.random.default_rng(7)
        )
        for _ in range(2)
      )
      np.testing.assert_array_equal(first, second)
      self.assertTrue(np.all(first >= 0) and np.all(first <= (18, 28)))


class BuilderTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.folder = pathlib.Path(
      cls.enterClassContext(tempfile.TemporaryDirectory())
    )
    cls.source = folded.prepare(cls.folder / 'data')
    cls.coarse = cls.folder / 'coarse'
    cls.coarse.mkdir()
    for split in ('train', 'validation', 'test'):
      for row in cls.source.as_data_source(split):
        soft = cv2.blur(row['mask'][..., 0], (7, 7))
        name = row['filename'].decode().removesuffix('.jpg')
        path = cls.coarse / f'{name}_probability.png'
        path.write_bytes(images.encode_png(soft))
    cls.builder = cls.prepared('tiles')

  @classmethod
  def prepared(cls, name, studio=False):
    builder = Builder(
      source=cls.source,
      probabilities=cls.coarse,
      studio=studio,
      config='32x32',
      data_dir=cls.folder / name,
      file_format='array_record',
    )
    builder.download_and_prepare()
    return builder

  def test_splits_and_features(self):
    counts = {
      name: split.num_examples
      for name, split in self.builder.info.splits.items()
    }
    expected = {
      name: 16 * split.num_examples
      for name, split in self.source.info.splits.items()
      if name != 'unlabeled'
    }
    self.assertEqual(counts, expected)
    features = self.builder.info.features
    self.assertEqual(set(features), {*spec.features('32x32'), 'coarse'})
    self.assertEqual(features['coarse'].shape, (32, 32, 1))

  def test_tiles_show_photo_mask_and_probabilities_of_one_place(self):
    wholes = {
      row['filename']: row for row in self.source.as_data_source('validation')
    }
    places_seen = set()
    for row in self.builder.as_data_source('validation'):
      whole = wholes[row['filename']]
      name = row['filename'].decode().removesuffix('.jpg')
      coarse = borders_dataset_builder.read_probability(
        self.coarse, name, whole['mask'].shape[:2]
      )
      # Gray noise: there is no other place like it.
      match = cv2.matchTemplate(whole['image'], row['image'], cv2.TM_SQDIFF)
      _, _, (left, top), _ = cv2.minMaxLoc(match)
      part = slice(top, top + 32), slice(left, left + 32)
      np.testing.assert_array_equal(row['image'], whole['image'][part])
      np.testing.assert_array_equal(row['mask'], whole['mask'][part])
      np.testing.assert_array_equal(row['coarse'][..., 0], coarse[part])
      self.assertEqual(row['fold'], whole['fold'])
      places_seen.add((name, top, left))
    self.assertGreater(len(places_seen), 20)

  def test_made_again_it_is_the_same(self):
    again = self.prepared('again')
    for split in self.builder.info.splits:
      for first, second in zip(
        self.builder.as_data_source(split),
        again.as_data_source(split),
        strict=True,
      ):
        for name, value in first.items():
          np.testing.assert_array_equal(second[name], value)

  def test_batches_have_four_channels(self):
    rows = self.builder.as_data_source('test')
    (batch,) = input_pipeline.batches(
      self.builder, 'test', batch_size=8, steps=range(1)
    )
    self.assertEqual(batch['image'].shape, (8, 32, 32, 4))
    for image, mask, number in zip(
      batch['image'], batch['mask'], range(8), strict=True
    ):
      row = rows[number]
      np.testing.assert_array_equal(image[..., :3], row['image'])
      np.testing.assert_array_equal(image[..., 3:], row['coarse'])
      np.testing.assert_array_equal(mask, row['mask'][..., 0])

  def test_tiles_with_the_empty_studio(self):
    """The photos' noise agrees about none, so it is given here."""
    seen = []

    def find(photos, probabilities):
      seen.append(len(photos))
      covered = np.stack(probabilities) > 99
      picture = np.full((64, 96, 3), 7, np.uint8)
      fits = np.ones(len(photos), bool)
      return empty_studio.EmptyStudio(
        picture, np.sum(~covered, axis=0), covered, fits
      )

    with mock.patch.object(empty_studio, 'find', find):
      builder = self.prepared('studio', studio=True)
    # All views of a car, and those of few, which are two of two here.
    self.assertEqual(set(seen), {folded.VIEWS})
    (batch,) = input_pipeline.batches(
      builder, 'test', batch_size=8, steps=range(1)
    )
    self.assertEqual(batch['image'].shape, (8, 32, 32, 8))
    known = batch['image'][..., 7] > 0
    self.assertTrue(known.any())
    self.assertFalse(known.all())
    self.assertFalse(batch['image'][~known][:, 4:].any())
    photo, change = batch['image'][..., :3], batch['image'][..., 4:7]
    np.testing.assert_array_equal(
      change[known], np.minimum(photo[known] + 121.0, 255)
    )
    self.assertEqual(set(batch['image'][known][:, 7]), {17})
    for one, other in zip(
      builder.as_data_source('test'),
      self.builder.as_data_source('test'),
      strict=True,
    ):
      for name in ('image', 'mask', 'coarse', 'filename'):
        np.testing.assert_array_equal(one[name], other[name])

  def test_a_file_that_is_missing_or_of_another_size_is_named(self):
    read = borders_dataset_builder.read_probability
    with self.assertRaisesRegex(UserError, 'none_probability.png is missing'):
      read(self.coarse, 'none', (64, 96))
    path = self.folder / 'small_probability.png'
    path.write_bytes(images.encode_png(np.zeros((32, 48), np.uint8)))
    with self.assertRaisesRegex(
      UserError, 'small_probability.png has 32x48 pixels, its photo 64x96'
    ):
      read(self.folder, 'small', (64, 96))


if __name__ == '__main__':
  absltest.main()
