"""However a folder is laid out, its photos go to the same splits and groups."""

import io
import pathlib
import tempfile

import numpy as np
from absl.testing import absltest, parameterized
from PIL import Image

from benchmarks import layouts
from carvana_jax.configs import default
from carvana_jax.datasets import spec
from carvana_jax.datasets.folder import masks, source

VIEWS = (1, 2, 3)


def pair(car: str, view: int) -> layouts.Pair:
  """Returns a small photo of noise, and a mask."""
  noise = np.random.default_rng([int(car, 16), view])
  mask = np.zeros((32, 48), np.uint8)
  mask[8:24, view : view + 20] = 1
  photo, saved = io.BytesIO(), io.BytesIO()
  pixels = noise.integers(0, 256, (*mask.shape, 3), np.uint8)
  Image.fromarray(pixels).save(photo, 'JPEG')
  Image.fromarray(mask).save(saved, 'GIF')
  return layouts.Pair(car, view, photo.getvalue(), saved.getvalue())


class LayoutsTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    ids = [f'{number:012x}' for number in range(1, 60)]
    cls.cars = [
      car
      for split in layouts.SPLITS
      for car in [x for x in ids if spec.split_of(x) == split][:2]
    ]
    cls.pairs = [pair(car, view) for car in cls.cars for view in VIEWS]

  @parameterized.parameters(*layouts.LAYOUTS)
  def test_same_splits_and_masks(self, layout):
    temporary = self.enterContext(tempfile.TemporaryDirectory())
    folder = pathlib.Path(temporary, 'photos')
    layouts.arrange(layout, self.pairs, folder)
    config = default.get_config().data
    config.dataset, config.manual_dir = 'folder', str(folder)
    found = source.find(config)
    split_of = {}
    for label, place in zip(found.labels, found.places, strict=True):
      (car,) = (x for x in self.cars if x in label.group)
      split_of[car, label.view] = place.split
    self.assertEqual(split_of, {(x.car, x.view): x.split for x in self.pairs})
    if layout in layouts.CHANGED:
      return
    reading = masks.survey(found.items, '')
    for item, label in zip(found.items, found.labels, strict=True):
      (own,) = (
        x for x in self.pairs if x.car in label.group and x.view == label.view
      )
      mask = masks.decode(item.mask.read(), reading, (32, 48), 1, False)
      np.testing.assert_array_equal(mask, own.pixels()[1])


if __name__ == '__main__':
  absltest.main()
