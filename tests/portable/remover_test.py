import dataclasses
import io
import pathlib
import pickle
import tempfile
import warnings
from concurrent import futures

import cv2
import numpy as np
from absl.testing import absltest, parameterized
from PIL import Image

import carvana_jax
from benchmarks import bright_network
from carvana_jax.configs import default
from carvana_jax.inference import outputs
from carvana_jax.inference.prediction import Given, Prediction, fit
from carvana_jax.masks import encoding
from carvana_jax.portable import facts, session
from tests.helpers import photo_files

SECOND = dataclasses.replace(
  bright_network.FACTS, size=(16, 16), inputs=facts.TILE
)


def disc(size=(64, 96), low=126, high=130):
  """A photo in which every pixel is a little above or below the threshold."""
  y, x = np.indices(size)
  inside = np.hypot(y - 30, x - 50) < 20.3
  return np.where(inside, high, low).astype(np.uint8)[..., None].repeat(3, 2)


class RemoverTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.first = self.folder / 'car.onnx'
    bright_network.write(self.first)

  def with_second(self):
    bright_network.write(self.folder / 'car-fine.onnx', SECOND)
    return carvana_jax.Remover(self.first)

  def test_mask_is_the_network_enlarged(self):
    photo = disc()
    removed = carvana_jax.Remover(self.first, threads=1)(photo)
    small = photo.reshape(8, 8, 12, 8, 3).mean((1, 3, 4))  # blocks of 8x8
    logits = cv2.resize(np.rint(small) - 128, (96, 64))
    np.testing.assert_array_equal(removed.mask, logits >= 0)
    self.assertFalse(removed.is_empty)
    sigmoid = 255 / (1 + np.exp(-logits))
    # A level is a sixteenth of a logit.
    np.testing.assert_allclose(removed.probability, sigmoid, atol=2.5)

  def test_second_network_sees_the_photo_at_its_own_size(self):
    photo = disc()
    np.testing.assert_array_equal(
      self.with_second()(photo).mask, photo[..., 0] >= 128
    )
    coarse = carvana_jax.Remover(self.first, fine=False)(photo)
    self.assertTrue((coarse.mask != (photo[..., 0] >= 128)).any())

  def test_second_network_is_not_asked_where_nothing_is_in_doubt(self):
    remover = self.with_second()
    remover._second = None
    expected = remover(disc(low=0, high=0))
    found = self.with_second()(disc(low=0, high=0))
    np.testing.assert_array_equal(found.probability, expected.probability)
    self.assertTrue(found.is_empty)

  def test_a_single_tile(self):
    about = dataclasses.replace(SECOND, size=(64, 64))
    bright_network.write(self.folder / 'car-fine.onnx', about)
    photo = np.full((64, 96, 3), 120, np.uint8)
    photo[16:24, 16:24] = 136  # far from the other tiles
    found = carvana_jax.Remover(self.first)(photo).mask
    np.testing.assert_array_equal(found, photo[..., 0] == 136)

  def test_cut_out_and_composite_are_those_of_predict(self):
    photo = disc(low=40, high=220)
    photo[..., 1] //= 2
    removed = carvana_jax.Remover(self.first)(photo)
    config = default.get_config().eval
    reduced = fit(photo, (8, 12), 'stretch')
    logits = reduced.image.mean(-1, dtype=np.float32) - 128
    given = Given((reduced,), photo.shape[:2], photo)
    wanted = outputs.parse_wanted(False, 'png', True, '#00b900', 'synthetic')
    made = outputs.make(Prediction((logits,), given), config, wanted)
    mask, cut = (
      np.asarray(Image.open(io.BytesIO(data))) for data in made.files[:2]
    )
    np.testing.assert_array_equal(removed.mask, mask)
    np.testing.assert_array_equal(removed.cutout(trim=True), cut)
    found = removed.composite('#00b900', 'synthetic')
    self.assertEqual(encoding.jpeg(found), made.files[2])
    self.assertEqual(removed.cutout().shape, (64, 96, 4))

  def test_threshold_and_cleaning_are_the_file_s(self):
    photo = np.full((64, 96, 3), 127, np.uint8)
    photo[:24, :24] = photo[40:, 56:] = 130
    about = dataclasses.replace(
      bright_network.FACTS, threshold=0.2, cleaning='largest'
    )
    bright_network.write(self.first, about)
    # sigmoid(127 - 128) is 0.27.
    self.assertTrue(carvana_jax.Remover(self.first)(photo).mask.all())
    about = dataclasses.replace(about, threshold=0.5)
    bright_network.write(self.first, about)
    mask = carvana_jax.Remover(self.first)(photo).mask
    self.assertTrue(mask[52:, 76:].all())
    self.assertFalse(mask[:30].any())

  def test_threads_share_it(self):
    remover = self.with_second()
    photos = [disc((64 + 8 * n, 96)) for n in range(8)]
    expected = [remover(photo).mask for photo in photos]
    with futures.ThreadPoolExecutor(4) as pool:
      for mask, found in zip(expected, pool.map(remover, photos), strict=True):
        np.testing.assert_array_equal(found.mask, mask)

  def test_another_process_may_be_given_it(self):
    remover = self.with_second()
    again = pickle.loads(pickle.dumps(remover))
    self.assertEqual(repr(again), repr(remover))
    np.testing.assert_array_equal(again(disc()).mask, remover(disc()).mask)

  def test_tells_what_it_is(self):
    self.assertEqual(
      repr(self.with_second()),
      '<Remover car.onnx: car, 8x12 and tiles of 16x16>',
    )
    found = carvana_jax.Remover(self.first, fine=False)(disc(low=0, high=255))
    self.assertRegex(repr(found), r'<Removed 64x96: 2\d\.\d% car>')

  @parameterized.parameters(
    ({'inputs': facts.TILE}, 'is a second network, of no use alone'),
    ({'inputs': (*facts.RGB, 'a', 'b', 'c')}, 'compares all views'),
    ({'form': 'photo'}, 'is of form photo; export it again with --for=network'),
    ({'cleaning': 'soap'}, 'is no network of carvana_jax'),
  )
  def test_refuses(self, change, words):
    bright_network.write(
      self.first, dataclasses.replace(bright_network.FACTS, **change)
    )
    with self.assertRaisesRegex(carvana_jax.UserError, f'car.onnx {words}'):
      carvana_jax.Remover(self.first)

  def test_refuses_files(self):
    damaged = self.folder / 'damaged.onnx'
    damaged.write_bytes(self.first.read_bytes()[:100])
    bright_network.write(self.folder / 'other.onnx')
    for file, fine, words in (
      ('damaged.onnx', None, 'damaged.onnx cannot be loaded .*; export it'),
      ('none.onnx', None, 'none.onnx is missing; make it with'),
      ('none.safetensors', None, 'none.onnx is missing'),
      ('car.pt', None, 'car.pt is neither'),
      ('car.onnx', True, 'car-fine.onnx is missing'),
      ('car.onnx', self.folder / 'other.onnx', 'other.onnx is no second'),
    ):
      with self.assertRaisesRegex(carvana_jax.UserError, words):
        carvana_jax.Remover(self.folder / file, fine)

  def test_refuses_values_of_other_kinds(self):
    for threads in (0, -1, 1.5, '2'):
      with self.assertRaisesRegex(carvana_jax.UserError, 'a whole number'):
        carvana_jax.Remover(self.first, threads=threads)
    for given in ({'file': 3}, {'file': b'car.onnx'}, {'fine': 3}):
      with self.assertRaisesRegex(carvana_jax.UserError, 'the path of a file'):
        carvana_jax.Remover(**{'file': self.first} | given)

  def test_safetensors_stand_for_the_graph_beside_them(self):
    self.assertEqual(
      session.graph_of(self.folder / 'car.safetensors'), self.first
    )

  def test_photo_in_any_form(self):
    remover = carvana_jax.Remover(self.first)
    image = Image.fromarray(disc())
    exif = Image.Exif()
    exif[274] = 6  # a quarter turn to the right
    data = photo_files.encode(image, 'PNG', exif=exif)
    path = self.folder / 'photo.png'
    path.write_bytes(data)
    turned = np.rot90(disc(), -1)
    for form in (path, str(path), data, Image.open(path), turned):
      np.testing.assert_array_equal(remover(form).photo, turned)

  @parameterized.parameters(
    (np.zeros((4, 4), np.uint8), r'the photo is uint8 \[4, 4\]; give uint8'),
    (np.zeros((4, 4, 3)), 'the photo is float64'),
    (np.zeros((0, 4, 3), np.uint8), 'the photo has no pixels'),
    (b'no photo', 'the photo is no JPG, PNG'),
    (b'', 'the photo is no JPG, PNG'),
    ('none.jpg', 'none.jpg cannot be read'),
    ('', 'the path of a picture is empty; give another'),
    (3, 'the photo is a int; give a path'),
    (Image.new('F', (4, 4)), 'the photo has numbers of 32 bits'),
    (Image.new('RGB', (0, 4)), 'the photo has no pixels'),
  )
  def test_refuses_photos(self, photo, words):
    with self.assertRaisesRegex(carvana_jax.UserError, words):
      carvana_jax.Remover(self.first)(photo)

  def test_refuses_backgrounds_and_shadows(self):
    removed = carvana_jax.Remover(self.first)(disc())
    for arguments, words in (
      (('whitish',), "'whitish' is no colour; .* No such file is there"),
      (('white', 'long'), "'long' is no shadow; choose from own"),
      ((b'x',), 'the background is no JPG'),
    ):
      with self.assertRaisesRegex(carvana_jax.UserError, words):
        removed.composite(*arguments)

  def test_warns_of_wrong_bytes(self):
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    data = photo_files.encode(Image.fromarray(noise), 'JPEG')
    with self.assertWarnsRegex(
      UserWarning, 'the photo may look wrong in parts'
    ):
      carvana_jax.Remover(self.first)(photo_files.garbled(data))
    with warnings.catch_warnings():
      warnings.simplefilter('error')
      carvana_jax.Remover(self.first)(data)


if __name__ == '__main__':
  absltest.main()
