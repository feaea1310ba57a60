"""Photos of other shapes than the network's: what is padded is cut off."""

import chex
import numpy as np
from absl.testing import parameterized

from carvana_jax.configs import default
from carvana_jax.inference import predictor
from carvana_jax.inference.prediction import Input, Prediction
from carvana_jax.masks import from_logits

SIZE = (64, 96)


def config_of(fit):
  data = default.get_config().data
  data.size, data.fit = 'x'.join(map(str, SIZE)), fit
  return data


def predicted(photo, fit):
  """What a network answers that takes brightness for logits."""
  ((_, given),) = predictor.inputs([[0]], lambda _: photo, [config_of(fit)])
  logits = given.inputs[0].image[..., 0].astype(np.float32) - 127.5
  return Prediction((logits,), given)


def enlarged(prediction):
  return from_logits.mask_of(prediction.levels(), default.get_config().eval)


class FitTest(chex.TestCase):
  @parameterized.product(
    size=((128, 192), (192, 128), (130, 130), (97, 400), (40, 30)),
    fit=('pad', 'stretch'),
  )
  def test_a_rectangle_comes_back_where_it_was(self, size, fit):
    height, width = size
    photo = np.zeros((height, width, 3), np.uint8)
    rows = slice(height // 4, 3 * height // 4)
    columns = slice(width // 5, 3 * width // 5)
    photo[rows, columns] = 255
    prediction = predicted(photo, fit)
    self.assertEqual(prediction.given.inputs[0].image.shape[:2], SIZE)
    mask = enlarged(prediction)
    self.assertEqual(mask.shape, size)
    # A pixel of the network is so many of the photo's.
    reach = max(1, *(np.ceil(x / y) for x, y in zip(size, SIZE, strict=True)))
    if fit == 'pad':
      reach = max(1, np.ceil(max(np.divide(size, SIZE))))
    for axis, place in ((1, rows), (0, columns)):
      there = np.flatnonzero(mask.any(axis))
      self.assertLessEqual(abs(there[0] - place.start), reach)
      self.assertLessEqual(abs(there[-1] + 1 - place.stop), reach)
    self.assertTrue(mask[height // 2, 2 * width // 5])

  def test_a_padded_photo_keeps_its_shape(self):
    given = predicted(np.full((100, 50, 3), 9, np.uint8), 'pad').given
    (item,) = given.inputs
    # 64 rows for 100, so 32 columns for 50, in the middle of 96.
    np.testing.assert_array_equal(item.part, [0, 32, 64, 64])
    self.assertEqual(item.shown, (64, 32))

  def test_what_is_beside_the_photo_has_no_say(self):
    item = Input(np.zeros((4, 8, 3), np.uint8), None, np.array([0, 2, 4, 6]))
    logits = np.full((4, 8), 99, np.float32)
    logits[:, 2:6] = [1, 2, 3, 4]
    np.testing.assert_array_equal(item.enlarge(logits, (4, 4))[0], [1, 2, 3, 4])

  def test_two_fits_of_one_size_are_two_pictures(self):
    photo = np.zeros((100, 50, 3), np.uint8)
    configs = [config_of('pad'), config_of('stretch')]
    ((_, given),) = predictor.inputs([[0]], lambda _: photo, configs)
    padded, stretched = given.inputs
    self.assertIsNotNone(padded.part)
    self.assertIsNone(stretched.part)
