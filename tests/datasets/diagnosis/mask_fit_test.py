"""The fit of masks and made-up photos."""

import cv2
import numpy as np
from absl.testing import absltest, parameterized
from scipy import ndimage

from carvana_jax.datasets.diagnosis import mask_fit

SCHARR = np.array([[-3, 0, 3], [-10, 0, 10], [-3, 0, 3]])


def coarse(size, seed=0):
  """Luminance without sharp edges, uint8."""
  pixels = np.random.default_rng(seed).uniform(0, 80, (8, 12))
  return cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_CUBIC)


def scene(size=(320, 480), contrast=150):
  """A photo and its mask, which no mirror image or shift fits."""
  height, width = size
  mask = np.zeros(size, np.uint8)
  corners = [[0.2, 0.3], [0.5, 0.2], [0.8, 0.5], [0.7, 0.8], [0.3, 0.7]]
  points = np.array(corners) * (width, height)
  cv2.fillPoly(mask, [points.round().astype(int)], 255)
  light = (coarse(size).clip(0, 80) + (mask > 0) * contrast).astype(np.uint8)
  return light, mask


def by_definition(light, mask, side):
  """The agreement by shift, from weights and angles of every pixel."""

  def gradient(pixels):
    filtered = [
      ndimage.correlate(pixels.astype(float), x, mode='mirror')
      for x in (SCHARR, SCHARR.T)
    ]
    return np.hypot(*filtered), np.arctan2(*filtered[::-1])

  edge, edge_angle = gradient(light)
  edge = edge / (edge + 3 * edge.mean())
  border, angle = gradient(mask)
  far = side // 8
  agreements = {}
  for down in range(-far, far + 1):
    for right in range(-far, far + 1):
      moved, turned = np.roll([border, angle], (down, right), (1, 2))
      agreement = edge * (1 + np.cos(2 * (edge_angle - turned))) / 2
      agreements[down, right] = np.average(agreement, weights=moved)
  return agreements


class MeasureTest(parameterized.TestCase):
  def test_is_by_definition(self):
    rng = np.random.default_rng(0)
    light = rng.integers(0, 256, (24, 32), dtype=np.uint8)
    mask = cv2.GaussianBlur(rng.integers(0, 2, (24, 32)) * 255.0, (0, 0), 2)
    mask = mask.astype(np.uint8)
    fit = mask_fit.measure(light, mask)
    expected = by_definition(light, mask, 32)
    place = max(expected, key=expected.get)
    values = np.array(list(expected.values()))
    self.assertAlmostEqual(fit.agreement, expected[0, 0], delta=1e-4)
    self.assertAlmostEqual(fit.best, expected[place], delta=1e-4)
    np.testing.assert_allclose(fit.place, (place[0] / 24, place[1] / 32))
    above = (expected[0, 0] - values.mean()) / values.std()
    self.assertAlmostEqual(fit.outstanding, above, delta=1e-2)
    for found, way in (
      (fit.mirrored, mask[:, ::-1]), (fit.upside_down, mask[::-1])
    ):  # fmt: skip
      expected = by_definition(light, way, 0)[0, 0]
      self.assertAlmostEqual(found, expected, delta=1e-4)
    self.assertEqual(fit.side, 32)

  @parameterized.parameters(60, 20, -60)
  def test_contrast_hardly_matters(self, contrast):
    light, mask = scene(contrast=0)
    fit = mask_fit.measure(light + (mask > 0) * np.uint8(150), mask)
    faint = light // 4 + 100.0 + (mask > 0) * contrast
    other = mask_fit.measure(faint.astype(np.uint8), mask)
    self.assertAlmostEqual(fit.agreement, other.agreement, delta=0.06)
    self.assertGreater(other.outstanding, 5)

  def test_finds_where_it_fits(self):
    light, mask = scene()
    fit = mask_fit.measure(light, np.roll(mask, (-8, 12), (0, 1)))
    np.testing.assert_allclose(fit.place, (8 / 320, -12 / 480), atol=1e-9)
    self.assertAlmostEqual(
      fit.best, mask_fit.measure(light, mask).agreement, delta=1e-3
    )

  @parameterized.parameters(
    (lambda mask: mask[:, ::-1], 'mirrored'),
    (lambda mask: mask[::-1], 'upside_down'),
  )
  def test_finds_which_way_it_fits(self, turn, name):
    light, mask = scene()
    right = mask_fit.measure(light, mask)
    fit = mask_fit.measure(light, np.ascontiguousarray(turn(mask)))
    self.assertAlmostEqual(getattr(fit, name), right.agreement, delta=1e-4)
    self.assertAlmostEqual(fit.agreement, getattr(right, name), delta=1e-4)

  def test_frame(self):
    light, mask = scene()
    self.assertEqual(mask_fit.measure(light, mask).framed, 0)
    self.assertEqual(mask_fit.measure(light, 255 - mask).framed, 1)

  def test_looks_at_a_photo_at_the_size_at_which_it_is_sharp(self):
    light, mask = scene((640, 960))
    self.assertEqual(mask_fit.measure(light, mask).side, 480)
    enlarged = cv2.resize(scene((160, 240))[0], (960, 640))
    self.assertEqual(mask_fit.measure(enlarged, mask).side, 240)
    tall = np.ascontiguousarray(light.T), np.ascontiguousarray(mask.T)
    self.assertEqual(mask_fit.measure(*tall).side, 480)

  @parameterized.parameters((1, 1), (1, 50), (3, 2000), (7, 9))
  def test_any_size(self, *size):
    rng = np.random.default_rng(0)
    mask = rng.integers(0, 2, size, dtype=np.uint8) * 255
    for light in (np.zeros_like(mask), 255 - mask):
      fit = mask_fit.measure(light, mask)
      if fit:
        self.assertTrue(np.isfinite([*fit[:2], *fit.place, *fit[3:]]).all())

  def test_no_border(self):
    light, mask = scene()
    for value in (0, 255):
      self.assertIsNone(mask_fit.measure(light, np.full_like(mask, value)))


if __name__ == '__main__':
  absltest.main()
