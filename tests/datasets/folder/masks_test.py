"""Masks of all kinds, each compared with the array that it was made from."""

import io
import pathlib

import cv2
import numpy as np
from absl.testing import parameterized
from PIL import Image

from carvana_jax.datasets.file_listing import File
from carvana_jax.datasets.folder import masks
from carvana_jax.datasets.folder.items import Item
from carvana_jax.system.errors import UserError
from tests.helpers import photo_files

SIZE = HEIGHT, WIDTH = 64, 96


def disc(left, top=30, radius=18, size=SIZE):
  y, x = np.mgrid[: size[0], : size[1]]
  return np.hypot(y - top, x - left) < radius


OBJECTS = disc(30), disc(60, 25)
VOC = [(0, 0, 0), (128, 0, 0)]


def encode(pixels, kind='PNG', mode=None, **options):
  return photo_files.encode(Image.fromarray(pixels, mode), kind, **options)


def grey(background, value, kind='PNG', dtype=np.uint8, **options):
  """Returns a function that writes an object in two levels."""
  return lambda x: encode(
    np.where(x, dtype(value), dtype(background)), kind, **options
  )


def colours(background, value):
  return lambda x: encode(
    np.where(x[..., None], np.uint8(value), np.uint8(background))
  )


def palette(table, kind='PNG', values=None, **options):
  """Returns a function that writes an object's indexes and a palette."""

  def write(is_object):
    indexes = np.uint8(is_object) if values is None else values(is_object)
    image = Image.fromarray(indexes)
    image.putpalette(bytes(np.array(table, np.uint8)))
    return photo_files.encode(image, kind, **options)

  return write


def bit(is_object):
  return photo_files.encode(Image.fromarray(is_object), 'PNG')


def soft(is_object):
  return cv2.GaussianBlur(np.uint8(255) * is_object, (0, 0), 1.5)


def noisy(is_object):
  """What a JPG makes of a mask, saved as a PNG."""
  data = grey(0, 255, 'JPEG', quality=75)(is_object)
  return encode(np.asarray(Image.open(io.BytesIO(data))))


def alpha(is_object):
  """A cut-out on nothing, of colours that are no mask."""
  noise = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
  return encode(np.dstack([noise, np.uint8(255) * is_object]))


def opaque(is_object):
  """Black and white, with an alpha that says nothing."""
  white = np.uint8(255) * is_object
  return encode(np.dstack([white, white, white, np.full_like(white, 255)]))


def pages(is_object):
  other = [Image.fromarray(~is_object)]
  image = Image.fromarray(is_object)
  return photo_files.encode(image, 'TIFF', save_all=True, append_images=other)


def void(is_object):
  """Labels as of Pascal VOC: background, one class, and a border."""
  around = cv2.dilate(np.uint8(is_object), np.ones((5, 5))) > is_object
  return np.where(around, np.uint8(255), np.uint8(is_object))


VOC_256 = [*VOC, *253 * [(0, 0, 0)], (224, 224, 192)]
voc = palette(VOC_256, values=void)
voc_on_nothing = palette(VOC_256, values=void, transparency=0)


def thirds(is_object):
  return np.where(np.arange(WIDTH) % 32 < 10, np.uint8(1), np.uint8(2)) * (
    is_object
  )


TWO_VALUES = {
  'bit': bit,
  '0_1': grey(0, 1),
  '0_255': grey(0, 255),
  '10_200': grey(10, 200),
  'deep': grey(0, 65535, dtype=np.uint16),
  'deep_0_1': grey(0, 1, dtype=np.uint16),
  'deep_labels': grey(300, 301, dtype=np.uint16),
  'black_white': colours((0, 0, 0), (255, 255, 255)),
  'black_red': colours((0, 0, 0), (255, 0, 0)),
  'voc': palette(VOC),
  'white_at_0': palette([(0, 0, 0), (255, 255, 255)]),
  'gif': palette([(0, 0, 0), (255, 255, 255)], 'GIF'),
  'transparent_index': palette([(255, 255, 255), (0, 0, 0)], transparency=0),
  'alpha': alpha,
  'opaque': opaque,
  'grey_alpha': lambda x: encode(
    np.dstack([np.full(SIZE, 7, np.uint8), np.uint8(255) * x]), mode='LA'
  ),
  'webp': grey(0, 255, 'WEBP', lossless=True),
  'tiff': grey(0, 255, 'TIFF'),
  'pages': pages,
  'bmp': grey(0, 255, 'BMP'),
  'jpg': grey(0, 255, 'JPEG', quality=75),
  'jpg_of_colours': lambda x: photo_files.encode(
    Image.open(io.BytesIO(colours((0, 0, 0), (255, 0, 0))(x))), 'JPEG'
  ),
  'jpg_of_inks': lambda x: photo_files.encode(
    Image.fromarray(np.uint8(255) * x).convert('CMYK'), 'JPEG'
  ),
  'lossy_webp': grey(0, 255, 'WEBP', quality=75),
  'noisy': noisy,
  'white_and_254': lambda x: encode(
    np.where(x, 254 + np.arange(WIDTH) % 2, 0).astype(np.uint8)
  ),
}


def items(*contents):
  return [
    Item(f'{number}.jpg', None, file(f'{number}_mask', data))
    for number, data in enumerate(contents)
  ]


def file(name, data):
  path = pathlib.PurePosixPath(name)
  return File(name, path, len(data), lambda: io.BytesIO(data))


def survey(write, chosen='', objects=OBJECTS):
  return masks.survey(items(*map(write, objects)), chosen)


def decode(data, reading, size=SIZE, orientation=1, resize=False):
  return masks.decode(data, reading, size, orientation, resize)


def share(is_object):
  return np.uint8(255) * is_object


class ValuesTest(parameterized.TestCase):
  @parameterized.named_parameters(TWO_VALUES.items())
  def test_two_values(self, write):
    reading = survey(write)
    self.assertFalse(reading.is_soft)
    for is_object in OBJECTS:
      mask = decode(write(is_object), reading)
      self.assertEqual(mask.dtype, np.uint8)
      np.testing.assert_array_equal(mask, share(is_object))

  def test_an_empty_and_a_full_mask_are_read_by_the_others(self):
    write = grey(0, 1)
    objects = OBJECTS[0], np.zeros(SIZE, bool), np.ones(SIZE, bool)
    reading = survey(write, objects=objects)
    for is_object in objects:
      mask = decode(write(is_object), reading)
      np.testing.assert_array_equal(mask, share(is_object))

  def test_kinds_mixed_in_a_folder(self):
    kinds = 'bit', '0_255', 'deep', 'black_white', 'gif', 'tiff', 'jpg'
    datas = [TWO_VALUES[kind](OBJECTS[0]) for kind in kinds]
    reading = masks.survey(items(*datas), '')
    for data in datas:
      np.testing.assert_array_equal(decode(data, reading), share(OBJECTS[0]))

  @parameterized.named_parameters(
    ('levels', lambda x: encode(soft(x))),
    ('alpha', lambda x: encode(np.dstack([share(x)] * 3 + [soft(x)]))),
    ('deep', lambda x: encode(soft(x).astype(np.uint16) * 257)),
  )
  def test_soft(self, write):
    reading = survey(write)
    self.assertTrue(reading.is_soft)
    mask = decode(write(OBJECTS[0]), reading)
    np.testing.assert_array_equal(mask, soft(OBJECTS[0]))

  @parameterized.named_parameters(
    ('voc', voc, '1 (#800000)', '1,255'),
    ('voc_by_colour', voc, '255 (#e0e0c0)', '#800000,#E0E0C0'),
    ('transparent_background', voc_on_nothing, '1 (#800000)', '1,255'),
    ('labels', lambda x: encode(thirds(x)), '0 ', '1, 2'),
    ('deep', lambda x: encode(300 * np.uint16(thirds(x))), '600 ', '300,600'),
  )
  def test_three_values_are_asked_about(self, write, named, chosen):
    with self.assertRaisesRegex(
      UserError, '3 values.*object_values='
    ) as caught:
      survey(write)
    self.assertIn(named, str(caught.exception))
    reading = survey(write, chosen)
    expected = void(OBJECTS[0]) > 0 if 'voc' in chosen else None
    mask = decode(write(OBJECTS[0]), reading)
    values = void(OBJECTS[0]) if write in (voc, voc_on_nothing) else None
    expected = OBJECTS[0] if values is None else values > 0
    np.testing.assert_array_equal(mask, share(expected))

  def test_only_some_of_the_labels(self):
    write = lambda x: encode(thirds(x))
    mask = decode(write(OBJECTS[0]), survey(write, '2'))
    np.testing.assert_array_equal(mask, share(thirds(OBJECTS[0]) == 2))

  @parameterized.named_parameters(
    ('unknown', '7', 'no mask has the value 7.*0 '),
    ('no_value', 'red', "'red' is no value"),
    ('empty', '1,', "'' is no value"),
  )
  def test_wrong_object_values(self, chosen, message):
    with self.assertRaisesRegex(UserError, message):
      survey(voc, chosen)

  def test_a_bright_colour_around_an_object_is_asked_about(self):
    write = colours((255, 255, 255), (255, 0, 0))
    with self.assertRaisesRegex(UserError, 'object_values=#ff0000'):
      survey(write)
    mask = decode(write(OBJECTS[0]), survey(write, '#ff0000'))
    np.testing.assert_array_equal(mask, share(OBJECTS[0]))

  @parameterized.named_parameters(
    ('two_values', grey(255, 0)), ('jpg', grey(255, 0, 'JPEG'))
  )
  def test_a_dark_object_is_chosen(self, write):
    mask = decode(write(OBJECTS[0]), survey(write, '0'))
    np.testing.assert_array_equal(mask, share(OBJECTS[0]))

  def test_a_word_on_white_edges(self):
    self.assertIn('object_values=0', survey(grey(255, 0)).text)

  def test_one_value_alone_is_refused(self):
    objects = 2 * [np.zeros(SIZE, bool)]
    with self.assertRaisesRegex(UserError, 'all 2 masks hold .* 0,'):
      survey(grey(0, 1), objects=objects)

  def test_labels_as_jpg_are_refused(self):
    label = lambda x: np.where(np.arange(WIDTH) < 40, np.uint8(127), x * 255)
    write = lambda x: encode((label(x) * x).astype(np.uint8), 'JPEG')
    with self.assertRaisesRegex(UserError, 'save them as PNG'):
      survey(write, objects=[disc(48, 32, 30)])

  def test_the_cost_of_jpg(self):
    write = lambda x: encode(soft(x), 'JPEG', quality=95)
    levels = [
      np.asarray(Image.open(io.BytesIO(write(x)))).astype(int) for x in OBJECTS
    ]
    wide, narrow = ([(x >= cut).sum() for x in levels] for cut in (64, 192))
    dice = np.mean([2 * y / (x + y) for x, y in zip(wide, narrow, strict=True)])
    between = np.mean([(x > 15) & (x < 240) for x in levels])
    text = survey(write).text
    self.assertIn(f'{dice:.4f}', text)
    self.assertIn(f'{between:.2%}', text)

  @parameterized.named_parameters(
    ('nothing', b'', 'is empty'),
    ('text', b'no image', 'is no PNG'),
    ('half', grey(0, 255)(OBJECTS[0])[:90], 'is damaged'),
    (
      'animated',
      photo_files.encode(
        Image.fromarray(share(OBJECTS[0])), 'GIF', save_all=True,
        append_images=[Image.fromarray(share(OBJECTS[1]))],
      ),
      'several frames',
    ),
  )  # fmt: skip
  def test_unreadable(self, data, message):
    reading = survey(grey(0, 255))
    with self.assertRaisesRegex(ValueError, message):
      decode(data, reading)
    with self.assertRaisesRegex(UserError, f'^0_mask .*{message}'):
      masks.survey(items(data), '')


class SizeTest(parameterized.TestCase):
  @parameterized.parameters(5, 6, 7, 8)
  def test_a_mask_stored_like_its_photo_is_turned(self, orientation):
    write = grey(0, 255)
    reading = survey(write)
    is_object = disc(20, 70, 15, (96, 64))
    expected = share(is_object)
    # The inverse of the table in Exif 2.32.
    stored = {
      5: expected.T,
      6: np.rot90(expected),
      7: expected[::-1, ::-1].T,
      8: np.rot90(expected, -1),
    }[orientation]
    data = encode(np.ascontiguousarray(stored))
    mask = decode(data, reading, (96, 64), orientation)
    np.testing.assert_array_equal(mask, expected)
    mask = decode(encode(expected), reading, (96, 64), orientation)
    np.testing.assert_array_equal(mask, expected)

  def test_a_mask_is_turned_by_its_own_exif(self):
    exif = Image.Exif()
    exif[274] = 3
    expected = share(OBJECTS[0])
    data = encode(np.ascontiguousarray(expected[::-1, ::-1]), exif=exif)
    mask = decode(data, survey(grey(0, 255)), orientation=3)
    np.testing.assert_array_equal(mask, expected)

  @parameterized.parameters((3, SIZE), (6, (64, 64)))
  def test_what_cannot_be_told_is_refused(self, orientation, size):
    data = encode(np.zeros(size, np.uint8))
    with self.assertRaisesRegex(ValueError, 'save the photo upright'):
      decode(data, survey(grey(0, 255)), size, orientation)

  @parameterized.named_parameters(
    ('binary', grey(0, 255), False), ('soft', lambda x: encode(soft(x)), True)
  )
  def test_another_size_of_the_same_shape(self, write, is_soft):
    reading = survey(write)
    data, large = write(OBJECTS[0]), (130, 195)
    with self.assertRaisesRegex(ValueError, '96x64.*195x130.*resize_masks'):
      decode(data, reading, large)
    mask = decode(data, reading, large, resize=True)
    self.assertEqual(mask.shape, large)
    self.assertEqual(len(np.unique(mask)) > 2, is_soft)
    expected = disc(30 * 195 / 96 + 0.5, 30 * 130 / 64 + 0.5, 36.5, large)
    self.assertLess(np.mean((mask > 127) != expected), 0.01)

  def test_another_shape_is_refused(self):
    reading = survey(grey(0, 255))
    with self.assertRaisesRegex(ValueError, '96x64 .*96x80, which is another'):
      decode(grey(0, 255)(OBJECTS[0]), reading, (80, 96), resize=True)
