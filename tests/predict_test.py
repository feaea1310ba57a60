"""Which photos are predicted, in which company, and what is refused."""

import pathlib
import tempfile
from unittest import mock

import chex
import numpy as np
from PIL import Image

from carvana_jax import predict
from carvana_jax.datasets import images
from carvana_jax.errors import UserError
from tests.predictor_test import run_of


class PredictTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.photos = self.root / 'photos'
    self.output = self.root / 'masks'
    self.photos.mkdir()
    self.run_ = run_of()

  def add(self, name, size=(64, 96)):
    """A photo that is bright below its middle."""
    photo = np.zeros((*size, 3), np.uint8)
    photo[size[0] // 2 :] = 255
    (self.photos / name).write_bytes(images.encode_png(photo))

  def predict(self):
    predict.claim(self.output, self.run_, self.root)
    predict.predict(self.run_, predict.find(self.photos), self.output)

  def sizes(self):
    """(height, width) of the masks by name."""
    found = {}
    for path in self.output.glob('*.png'):
      with Image.open(path) as mask:
        found[path.name] = mask.height, mask.width
        half = np.asarray(mask)[mask.height // 2 :]
      self.assertTrue((half == 255).all())
    return found

  def test_photos_of_any_size_and_name(self):
    self.add('a.PNG', (64, 96))
    self.add('b 1_2.png', (80, 64))
    self.add('c.png', (64, 96))
    (self.photos / 'notes.txt').write_text('no photo')
    (self.photos / 'folder.jpg').mkdir()
    with mock.patch.object(
      predict.predictor, 'levels', wraps=predict.predictor.levels
    ) as levels:
      self.predict()
    self.assertEqual(
      self.sizes(),
      {'a_mask.png': (64, 96), 'b 1_2_mask.png': (80, 64),
       'c_mask.png': (64, 96)},
    )  # fmt: skip
    self.assertEqual(levels.call_count, 2)  # once a size

  def test_goes_on_and_keeps_what_is_there(self):
    self.add('a.png')
    self.predict()
    before = (self.output / 'a_mask.png').stat().st_mtime_ns
    self.add('b.png')
    self.predict()
    self.assertLen(self.sizes(), 2)
    self.assertEqual((self.output / 'a_mask.png').stat().st_mtime_ns, before)

  def test_masks_of_other_networks_are_left_alone(self):
    self.add('a.png')
    self.predict()
    self.run_.step = 2
    with self.assertRaisesRegex(UserError, 'masks of another network'):
      self.predict()
    (self.output / 'network.json').unlink()
    with self.assertRaisesRegex(UserError, 'masks of an unknown network'):
      self.predict()

  def test_two_photos_of_one_mask(self):
    self.add('a.png')
    self.add('a.jpg')
    with self.assertRaisesRegex(UserError, 'a.* differ in their endings only'):
      self.predict()

  def test_no_photo(self):
    with self.assertRaisesRegex(UserError, 'holds no photo'):
      self.predict()

  def test_unreadable_photos(self):
    self.add('a.png')
    path = self.photos / 'b.png'
    path.write_text('no image')
    with self.assertRaisesRegex(UserError, 'b.png is no image'):
      self.predict()
    path.write_bytes((self.photos / 'a.png').read_bytes()[:60])
    with self.assertRaisesRegex(UserError, 'b.png is damaged'):
      self.predict()

  def test_views_of_a_car_come_together(self):
    paths = [
      pathlib.Path(name)
      for name in ('a_1.jpg', 'a_1_x.jpg', 'a_2.jpg', 'b.png')
    ]
    names = lambda together: [
      [path.name for path in car]
      for car in predict.group_by_car(paths, together)
    ]
    self.assertEqual(
      names(True), [['a_1.jpg', 'a_2.jpg'], ['a_1_x.jpg'], ['b.png']]
    )
    self.assertLen(names(False), 4)

  def test_views_that_can_not_be_of_one_car(self):
    self.run_ = run_of(multiview=True)
    for i in range(17):
      self.add(f'IMG_{i:04}.png')
    with self.assertRaisesRegex(UserError, 'IMG_… names 17 photos'):
      self.predict()
    for i in range(2, 17):
      (self.photos / f'IMG_{i:04}.png').unlink()
    self.add('IMG_0001.png', (32, 48))
    with self.assertRaisesRegex(UserError, 'IMG_0001.* differs in size'):
      self.predict()
