"""Wrong masks planted among made-up cars that turn."""

import pathlib

import cv2
import numpy as np
from absl.testing import absltest, parameterized

from carvana_jax.datasets.diagnosis import mask_fit, misfits
from carvana_jax.datasets.diagnosis.file_facts import Facts, MaskFacts
from carvana_jax.datasets.diagnosis.pairs import Pair
from carvana_jax.datasets.file_listing import File

SIZE = (320, 480)
SHAPES = ((3.4, 1.2, 2.1, 1.6), (4.5, 0.7, 1.2, 2.2), (3.9, 1.1, 1.6, 1.4))
CARS, VIEWS = len(SHAPES), 16


def outline(car):
  """Corners of a car in metres from the turntable's middle, [2 n, 3]."""
  long, high, roof, wide = SHAPES[car]
  front, back = -0.2 + 0.1 * car, 0.9 - 0.1 * car
  side = [(-1, 0.2), (-1, high), (front, high), (front + 0.3, roof)]
  side += [(back, roof), (1, high), (1, 0.3)]
  x, y = np.array(side).T
  return np.concatenate(
    [np.stack([x * long / 2, y, np.full_like(x, z)], 1) for z in (-wide, wide)]
  ) * (1, 1, 0.5)


def picture(car, view):
  """A car's photo and mask, uint8 [320, 480]."""
  points, paint = outline(car), 40 + 30 * car
  angle = 2 * np.pi * (view - 1) / VIEWS
  x, y, z = points.T
  across = x * np.cos(angle) + z * np.sin(angle)
  depth = 9 + z * np.cos(angle) - x * np.sin(angle)
  place = np.stack([240 + 800 * across / depth, 250 - 800 * (y - 0.3) / depth])
  half = len(points) // 2
  faces = [place[:, :half].T, place[:, half:].T]
  for i in range(half):
    j = (i + 1) % half
    faces.append(place[:, [i, j, j + half, i + half]].T)
  mask = np.zeros(SIZE, np.uint8)
  for face in faces:
    cv2.fillPoly(mask, [cv2.convexHull(face.round().astype(np.int32))], 255)
  down = np.linspace(250, 160, SIZE[0])[:, None]
  light = np.broadcast_to(down, SIZE).astype(np.uint8).copy()
  for left in range(30, 450, 60):  # lettering on the wall
    cv2.rectangle(light, (left, 60), (left + 30, 110), 110, 6)
  shades = np.linspace(0.6, 1.1, len(faces))
  for face, shade in zip(faces, shades, strict=True):
    cv2.fillPoly(light, [face.round().astype(np.int32)], float(paint * shade))
  noise = np.random.default_rng([car, view]).normal(0, 2, SIZE)
  return (light + noise).clip(0, 255).astype(np.uint8), mask


PICTURES = {
  (car, view): picture(car, view)
  for car in range(CARS)
  for view in range(1, VIEWS + 1)
}
RIGHT = {key: mask_fit.measure(*x) for key, x in PICTURES.items()}


def facts_of(planted):
  """Facts of all pictures, of which some have other masks, by their keys."""
  found = []
  for (car, view), (light, own) in PICTURES.items():
    mask = planted.get((car, view), own)
    name = pathlib.PurePosixPath(f'{car}_{view:02}_mask.gif')
    file = File(str(name), name, 1, None)
    pair = Pair(str(car), view, 'train', file, file)
    area, size = float((mask > 127).mean()), (1280, 1920)
    fit = RIGHT[car, view]
    if mask is not own:
      fit = mask_fit.measure(light, mask)
    kept = MaskFacts(b'', 'P', size, area, np.array([0, 0, 1, 1]), fit)
    found.append(Facts(pair, None, kept))
  return found


def named(planted):
  return {
    (int(x.pair.car_id), x.pair.view): x.value
    for x in misfits.misfits(facts_of(planted))
  }


KINDS = (
  (lambda car, view: 255 - PICTURES[car, view][1], 'inverted: 100% of'),
  (lambda car, view: PICTURES[car, view][1][:, ::-1], 'if it is mirrored'),
  (lambda car, view: PICTURES[car, view][1][::-1], 'if it is upside down'),
  (lambda car, view: PICTURES[car, view % VIEWS + 1][1], 'fits 0.', 0.7),
  (lambda car, view: PICTURES[(car + 1) % CARS, view][1], 'fits 0.', 0.6),
  (
    lambda car, view: np.roll(PICTURES[car, view][1], (5, -10), (0, 1)),
    'if moved 20 px up, 40 px right',
  ),
)


class MisfitsTest(parameterized.TestCase):
  def test_right_masks(self):
    self.assertEqual(named({}), {})
    self.assertEqual(misfits.count(facts_of({})), CARS * VIEWS)

  @parameterized.parameters(*KINDS)
  def test_wrong_masks(self, plant, value, share=1.0):
    # Symmetric from the front and from behind: mirrored they are right.
    keys = [x for x in PICTURES if x[1] not in (5, 13)]
    for some in (keys[10:11], [x for x in keys if x[0] == 1], keys):
      found = named({key: plant(*key) for key in some})
      self.assertContainsSubset(found, some)
      self.assertGreaterEqual(len(found), share * len(some))
      for text in found.values():
        self.assertIn(value, text)

  def test_no_verdict(self):
    (light, mask), *_ = PICTURES.values()
    for planted in (np.zeros_like(mask), np.full_like(mask, 255)):
      self.assertNotIn((0, 1), named({(0, 1): planted}))
    small = [cv2.resize(x, (72, 48)) for x in (light, mask[:, ::-1])]
    fit = mask_fit.measure(*small)
    self.assertIsNone(misfits._fault(fit, (48, 72), 'car'))


if __name__ == '__main__':
  absltest.main()
