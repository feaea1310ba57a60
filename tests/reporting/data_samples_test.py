"""Samples of training: photos alone where nothing changes, and no wraps."""

from unittest import mock

import chex
import numpy as np

from carvana_jax.configs import default
from carvana_jax.reporting import data_samples

WHITE = np.full((2, 8, 12, 3), 250, np.uint8)
MASK = np.zeros((2, 8, 12), np.uint8)


def sheet_of(**fields):
  """The tiles, labels, caption and columns of a sheet of white photos."""
  config = default.get_config()
  config.seed = 1  # which makes some brighter
  config.augment.flip_left_right = False
  config.augment.update(fields)
  with (
    mock.patch.object(data_samples, '_first', lambda _: (WHITE, MASK)),
    mock.patch('carvana_jax.datasets.input_pipeline.RunData.open'),
    mock.patch('carvana_jax.system.contact_sheet.sheet') as sheet,
  ):
    data_samples.draw(None, config)
  return sheet.call_args.args


class DataSamplesTest(chex.TestCase):
  def test_photos_alone_where_nothing_changes_them(self):
    for clip in (True, False):
      tiles, labels, caption, _ = sheet_of(clip=clip)
      self.assertLen(tiles, 2)
      self.assertEqual(labels, ['as stored'] * 2)
      self.assertEndsWith(caption, 'unchanged')

  def test_what_is_not_clipped_stays_white(self):
    tiles, _, caption, columns = sheet_of(brightness=0.3, clip=False)
    self.assertLen(tiles, 2 * columns)
    self.assertEndsWith(caption, 'brightness 0.3')
    # 0.3 less at most; beyond 255 it would begin at 0 again.
    self.assertGreaterEqual(min(tile.min() for tile in tiles), 250 - 77)
    self.assertEqual(max(tile.max() for tile in tiles), 255)
