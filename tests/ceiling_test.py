"""Resolution ceilings by hand."""

import types
from unittest import mock

import chex
import numpy as np
from absl.testing import parameterized

from carvana_jax import ceiling, prepare
from carvana_jax.datasets import images


def ceilings(true, small, box=None):
  """Of one image, given its masks."""
  boxes = {} if box is None else {'box': np.array(box, np.int32)}
  network = {'filename': b'a.jpg', 'mask': small[..., None]} | boxes
  full = {'filename': b'a.jpg', 'mask': images.encode_png(true)}
  other = full | {'filename': b'b.jpg', 'mask': b'not read'}
  source = lambda *examples: types.SimpleNamespace(
    as_data_source=lambda *_, **__: list(examples)
  )
  with (
    mock.patch.object(prepare, 'for_network', lambda _: source(network)),
    mock.patch.object(prepare, 'for_scoring', lambda _: source(other, full)),
  ):
    return ceiling.ceilings(None, 'test')


class CeilingTest(chex.TestCase):
  @parameterized.parameters(0, 5)
  def test_half_a_pixel_is_kept_by_soft_masks_only(self, offset):
    # Three columns of car, of which a pixel of the network holds two.
    crop = np.zeros((8, 8), np.uint8)
    crop[:, :3] = 255
    small = images.reduce(crop, 4, 4)
    self.assertEqual(small[0].tolist(), [255, 128, 0, 0])
    true = np.zeros((8 + 2 * offset, 8 + offset), np.uint8)
    true[offset : offset + 8, :8] = crop
    box = [offset, 0, offset + 8, 8] if offset else None
    result = ceilings(true, small, box)
    self.assertEqual(result['soft'], 1)
    # 8 x 4 pixels for 8 x 3.
    self.assertAlmostEqual(result['hard'], 2 * 24 / (24 + 32))

  def test_what_is_outside_the_box_is_lost(self):
    true = np.full((8, 8), 255, np.uint8)
    small = np.full((4, 4), 255, np.uint8)
    result = ceilings(true, small, [0, 0, 8, 4])
    self.assertAlmostEqual(result['soft'], 2 * 32 / (32 + 64))
    self.assertAlmostEqual(result['hard'], 2 * 32 / (32 + 64))
