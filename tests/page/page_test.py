"""The page in a browser, from a file: as in Python, but for single pixels."""

import base64
import io
import json
import os
import pathlib
import struct
import tempfile
import unittest
import zipfile
import zlib
from unittest import mock

import cv2
import numpy as np
import onnx
from absl.testing import absltest
from PIL import Image

from carvana_jax import Remover
from carvana_jax.datasets import fitting
from carvana_jax.masks import cleaning, composite, cutout, from_logits, shadow
from carvana_jax.page import build, runtime
from carvana_jax.system.errors import UserError
from tests.helpers import browser
from tests.helpers.devtools import Tab

REAL = pathlib.Path(__file__).parents[2].parent / 'shared' / 'carvana'
WEIGHTS = pathlib.Path(build.__file__).parents[1] / 'weights/carvana.onnx'
COLOUR = (200, 220, 240)
# Files that are no photos, and what is said of them.
REFUSED = {
  'text.jpg': (
    b'not a photo at all',
    'is no JPG, PNG, WebP, AVIF or BMP image',
  ),
  'none.png': (b'', 'is empty'),
  'phone.heic': (
    b'\0\0\0\x18ftypheic\0\0\0\0mif1heic' + bytes(100),
    "is a HEIC image, which this browser can't read; save it as JPG or PNG",
  ),
  'scan.tif': (b'II*\0' + bytes(100), 'is a TIFF image'),
  'video.mp4': (b'\0\0\0\x18ftypisom\0\0\0\0isommp41' + bytes(9), 'is a video'),
}


def drawn():
  """A simple car in a studio, with noise, uint8 [640, 960, 3]."""
  photo = np.full((640, 960, 3), 225, np.uint8)
  photo[330:] = 185
  roof = (300, 330), (420, 210), (600, 210), (700, 330)
  body = (200, 330), (720, 330), (770, 380), (760, 470), (200, 470)
  for corners, colour in ((roof, (60, 30, 20)), (body, (120, 60, 40))):
    cv2.fillPoly(photo, [np.array(corners)], colour, cv2.LINE_AA)
  for column in (310, 650):
    cv2.circle(photo, (column, 465), 50, (20, 20, 20), -1, cv2.LINE_AA)
  noise = np.random.default_rng(0).normal(0, 4, photo.shape)
  return np.clip(photo + noise, 0, 255).astype(np.uint8)


def png_of_size(height, width):
  """A PNG that says how large it is, and holds nothing."""
  chunks = [
    (b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)),
    (b'IDAT', zlib.compress(b'')),
    (b'IEND', b''),
  ]
  return b'\x89PNG\r\n\x1a\n' + b''.join(
    struct.pack('>I', len(content))
    + name
    + content
    + struct.pack('>I', zlib.crc32(name + content))
    for name, content in chunks
  )


# Makes the worker's functions known to the page, and takes pictures to and from
# Python.
FUNCTIONS = """
(() => {
  %s
  Object.assign(globalThis, {
    fitting, fromLogits, cutout, shadow, composite,
  });
})();
globalThis.pictureOf = (kind, text, [height, width, channels]) => ({
  data: new kind(Uint8Array.from(atob(text), (x) => x.charCodeAt(0)).buffer),
  height, width, channels,
});
globalThis.sent = ({data, height, width, channels}) => {
  const bytes = new Uint8Array(data.buffer);
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return {
    data: btoa(text), kind: data.constructor.name,
    shape: [height, width, channels],
  };
};
"""


def as_bytes(mask):
  return mask.astype(np.uint8)


def pixels_of(data):
  return np.asarray(Image.open(io.BytesIO(data))).astype(int)


class PageTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    browser.require()
    try:
      program = runtime.load()
    except UserError as error:
      browser.absent(str(error))
    cls.folder = pathlib.Path(
      cls.enterClassContext(
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
      )
    )
    cls.remover = Remover(WEIGHTS, fine=False)
    network = onnx.load(WEIGHTS).SerializeToString()
    page = cls.folder / 'page.html'
    page.write_text(build.page(cls.remover.facts, network, program))
    cls.make_photos()
    cls.tab = Tab(cls.folder)
    cls.addClassCleanup(cls.tab.close)
    cls.tab.open(page.as_uri())
    cls.tab.wait('element.status.textContent === "Ready."')
    cls.tab.choose('#choose', *sorted((cls.folder / 'photos').iterdir()))
    cls.tab.wait('album.photos.length')
    cls.tab.wait('!album.count("waiting", "working")')
    cls.tab.run(FUNCTIONS % build.script(build.WORKER[:-1]))

  @classmethod
  def make_photos(cls):
    folder = cls.folder / 'photos'
    folder.mkdir()
    photo = Image.fromarray(drawn())
    photo.save(folder / 'car.jpg', quality=92)
    # Stored on its side, and of another shape than the network's pictures.
    exif = Image.Exif()
    exif[274] = 6
    lying = photo.crop((60, 0, 860, 640)).rotate(90, expand=True)
    lying.save(folder / 'car.jpeg', quality=92, exif=exif)
    jpeg = (folder / 'car.jpg').read_bytes()
    wrong = {name: data for name, (data, _) in REFUSED.items()}
    wrong['half.jpg'] = jpeg[: len(jpeg) // 2]
    wrong['large.png'] = png_of_size(9000, 9000)
    for name, data in wrong.items():
      (folder / name).write_bytes(data)

  def result(self, index, name):
    return self.tab.bytes_of(f'album.photos[{index}].result.{name}')

  def pick(self, name, value):
    radio = f'document.querySelector("[name={name}][value={value}]")'
    self.tab.run(f'{radio}.click()')

  def asked(self, expression, **values):
    """What a function of the worker makes of arrays and other values."""
    given = {}
    for name, value in values.items():
      if not isinstance(value, np.ndarray):
        given[name] = json.dumps(value)
      else:
        kind = 'Float32Array' if value.dtype == np.float32 else 'Uint8Array'
        data = base64.b64encode(value.tobytes()).decode()
        shape = np.atleast_3d(value).shape
        given[name] = f'pictureOf({kind}, "{data}", {list(shape)})'
    found = self.tab.run(
      f'(({",".join(given)}) => sent({expression}))({",".join(given.values())})'
    )
    kind = {'Float32Array': np.float32, 'Uint8Array': np.uint8}[found['kind']]
    array = np.frombuffer(base64.b64decode(found['data']), kind)
    height, width, channels = found['shape']
    return array.reshape((height, width, channels)[: 3 if channels > 1 else 2])

  def test_masks_are_those_of_python(self):
    for index, name in enumerate(('car.jpeg', 'car.jpg')):
      removed = self.remover(self.folder / 'photos' / name)
      data = self.result(index, 'mask')
      self.assertEqual(Image.open(io.BytesIO(data)).mode, '1')
      mask = pixels_of(data).astype(bool)
      self.assertEqual(mask.shape, removed.mask.shape)
      self.assertGreater(mask.mean(), 0.1)
      self.assertLessEqual((mask != removed.mask).mean(), 0.0005)

  @unittest.skipUnless(REAL.is_dir(), f'{REAL} is absent')
  def test_mask_of_a_real_photo(self):
    path = min((REAL / 'train').glob('*_05.jpg'))
    text = base64.b64encode(path.read_bytes()).decode()
    data = self.tab.bytes_of(
      'helper.ask("cut", {file: new File([Uint8Array.from('
      f'atob("{text}"), (x) => x.charCodeAt(0))], "a.jpg")'
      '}).then((result) => result.mask)'
    )
    mask = pixels_of(data).astype(bool)
    self.assertLessEqual((mask != self.remover(path).mask).mean(), 0.0005)

  def test_all_in_a_zip(self):
    self.pick('behind', 'colour')
    self.tab.run(
      'element.colour.value = "#c8dcf0";'
      'element.choices.dispatchEvent(new Event("input"));'
      'element.all.click()'
    )
    data = self.tab.downloaded('cars.zip')
    self.pick('behind', 'none')
    archive = zipfile.ZipFile(io.BytesIO(data))
    self.assertIsNone(archive.testzip())
    made = [
      f'{stem}_{kind}'
      for stem in ('car', 'car-2')
      for kind in ('mask.png', 'cutout.png', 'composite.jpg')
    ]
    self.assertEqual(archive.namelist(), made)
    for stem, name in (('car', 'car.jpeg'), ('car-2', 'car.jpg')):
      removed = self.remover(self.folder / 'photos' / name)
      cut = pixels_of(archive.read(f'{stem}_cutout.png'))
      differ = (cut != removed.cutout()).any(-1)
      self.assertLess(differ.mean(), 0.002)
      background = np.full((1, 1, 3), COLOUR, np.uint8)
      picture = pixels_of(archive.read(f'{stem}_composite.jpg'))
      error = np.abs(picture - removed.composite(background))
      self.assertLess(error.mean(), 0.8)  # JPG's own, mostly
      self.assertLess(np.percentile(error, 99.9), 20)

  def test_one_at_a_time(self):
    for show, ending in (('mask', 'mask.png'), ('cutout', 'cutout.png')):
      self.pick('show', show)
      self.tab.run('element.one.click()')
      self.assertEqual(
        self.tab.downloaded(f'car_{ending}'), self.result(0, show)
      )

  def test_refusals_in_words(self):
    found = self.tab.run(
      'Object.fromEntries(album.photos.map(({file, why}) => [file.name, why]))'
    )
    expected = {name: words for name, (_, words) in REFUSED.items()}
    expected['half.jpg'] = 'is damaged: its end is missing'
    expected['large.png'] = 'has more than 64 megapixels; make it smaller'
    self.assertEqual(found.keys(), expected.keys())
    for name, words in expected.items():
      self.assertStartsWith(found[name], words)
    status = self.tab.run('element.status.textContent')
    self.assertStartsWith(status, '2 of 9 cut out. Not read: ')
    self.assertEndsWith(status, '; and 4 more.')

  def test_by_keyboard_alone(self):
    self.tab.run('document.activeElement.blur()')
    way = []
    for _ in range(20):
      self.tab.press('Tab', 9)
      way.append(
        self.tab.run(
          '[document.activeElement].map((x) => x.id || x.value || '
          'x.getAttribute("aria-label") || x.tagName)[0]'
        )
      )
    self.assertEqual(way[:2], ['choose', 'seam'])
    self.assertIn('car.jpg is cut out', way)
    self.assertContainsSubset(['cutout', 'none', 'one', 'all', 'SUMMARY'], way)
    self.tab.run('element.seam.focus()')
    before = float(self.tab.run('element.seam.value'))
    self.tab.press('ArrowRight', 39)
    moved = self.tab.run('element.stage.style.getPropertyValue("--at")')
    self.assertEqual(moved, f'{before + 1:g}%')
    self.tab.run('document.querySelector("[name=show]:checked").focus()')
    self.tab.press('ArrowRight', 39)
    self.assertEqual(self.tab.run('choices.now().show'), 'mask')
    outline = self.tab.run(
      'getComputedStyle(document.activeElement.parentElement).outlineStyle'
    )
    self.assertEqual(outline, 'solid')
    self.tab.press('ArrowLeft', 37)
    self.tab.run('element.list.lastElementChild.firstChild.focus()')
    self.tab.press('Enter', 13, '\r')
    self.assertRegex(
      self.tab.run('element.message.textContent'), r'^video.mp4 is a video'
    )
    self.tab.run('element.list.firstElementChild.firstChild.click()')

  def test_every_field_has_a_name(self):
    nodes = self.tab.send('Accessibility.getFullAXTree')['nodes']
    fields = {'button', 'slider', 'radio', 'progressbar', 'ColorWell'}
    found = [x for x in nodes if x.get('role', {}).get('value') in fields]
    self.assertGreater(len(found), 10)
    for node in found:
      self.assertTrue(node['name']['value'], node)

  def test_a_phone(self):
    self.tab.send(
      'Emulation.setDeviceMetricsOverride',
      width=360, height=740, deviceScaleFactor=2, mobile=True,
    )  # fmt: skip
    wide = self.tab.run('document.documentElement.scrollWidth')
    self.tab.send('Emulation.clearDeviceMetricsOverride')
    self.assertEqual(wide, 360)

  def test_nothing_went_wrong(self):
    self.assertEmpty(self.tab.problems)

  def assert_near(self, found, expected, most, share=1.0):
    """Asserts that values differ by at most so much, and in a share of them."""
    self.assertEqual(found.shape, expected.shape)
    error = np.abs(found.astype(float) - expected)
    self.assertLessEqual(error.max(), most)
    self.assertLessEqual((error > 0).mean(), share)

  def test_pictures_get_smaller_as_in_python(self):
    rng = np.random.default_rng(0)
    for before, after in (
      ((60, 90), (30, 45)),  # four pixels each
      ((60, 90), (20, 18)),  # whole areas
      ((61, 97), (24, 36)),
      ((20, 97), (24, 36)),  # one side grows
      ((9, 7), (24, 36)),
    ):
      photo = rng.integers(0, 256, (*before, 3), np.uint8)
      for fit in ('stretch', 'pad'):
        part = fitting.place(before, after, fit)
        found = self.asked(
          'fitting.reduce(photo, size, fitting.place(photo, size, fit))',
          photo=photo, size=after, fit=fit,
        )  # fmt: skip
        expected = fitting.reduce(photo, after, part)
        self.assert_near(found, expected, 1, 0.02)

  def test_logits_become_masks_as_in_python(self):
    rng = np.random.default_rng(1)
    logits = cv2.GaussianBlur(
      rng.normal(0, 40, (24, 36)).astype(np.float32), (0, 0), 3
    )
    logits[0, :3] = np.inf, -np.inf, np.nan
    found = self.asked('fromLogits.levels(logits, 80, 130)', logits=logits)
    levels = from_logits.quantize(from_logits.enlarge(logits, (80, 130)))
    self.assert_near(found[4:], levels[4:], 1, 0.01)
    for way in cleaning.WAYS:
      mask = self.asked('fromLogits.mask(x, 120, way)', x=levels, way=way)
      expected = cleaning.clean(levels >= 120, way)
      np.testing.assert_array_equal(mask, expected)

  def test_layers_are_those_of_python(self):
    rng = np.random.default_rng(2)
    photo = rng.integers(0, 256, (150, 230, 4), np.uint8)
    photo[100:, :, :3] = rng.integers(150, 170, (50, 230, 3))  # a floor
    rows, columns = np.indices((150, 230))
    inside = 60 - np.hypot((rows - 80) * 1.5, columns - 110)
    levels = np.clip(128 + 8 * inside, 0, 255).astype(np.uint8)
    mask = levels >= 128
    alpha = cutout.alpha(levels, mask, 0.5)
    np.testing.assert_array_equal(
      self.asked('cutout.alpha(x, mask, 128)', x=levels, mask=as_bytes(mask)),
      alpha,
    )
    colours = cutout.decontaminate(photo[..., :3], alpha)
    found = self.asked(
      '(cutout.decontaminate(photo, alpha), photo)', photo=photo, alpha=alpha
    )
    self.assert_near(found[..., :3], colours, 1, 0.001)
    black = np.where(mask[..., None], photo, 0)  # a floor without light
    for image, kind, is_cast in (
      (photo, 'own', True),
      (black, 'own', False),
      (photo, 'synthetic', True),
      (photo, 'none', False),
    ):
      matte = shadow.matte(image[..., :3], mask, kind)
      self.assertEqual(matte.min() < 230, is_cast)
      found = self.asked(
        'shadow.matte(photo, mask, kind)',
        photo=image, mask=as_bytes(mask), kind=kind,
      )  # fmt: skip
      self.assert_near(found, matte, 2, 0.01)
    for size in ((40, 50), (400, 300)):
      picture = rng.integers(0, 256, (*size, 4), np.uint8)
      found = self.asked(
        'composite.compose(photo, alpha, '
        'composite.fillFrame(picture, 150, 230), matte)',
        photo=photo, alpha=alpha, picture=picture, matte=matte,
      )  # fmt: skip
      behind = composite.fill_frame(picture[..., :3], 150, 230)
      expected = composite.compose(photo[..., :3], alpha, behind, matte)
      self.assert_near(found[..., :3], expected, 1, 0.1)


class AbsentTest(absltest.TestCase):
  def test_ci_does_not_go_on_without_a_browser(self):
    words = 'Chromium is not installed: apt-get install chromium'
    for ci, error in (('true', AssertionError), ('', unittest.SkipTest)):
      with (
        mock.patch.object(browser, 'CHROMIUM', None),
        mock.patch.dict(os.environ, CI=ci),
        self.assertRaisesRegex(error, words),
      ):
        browser.require()


if __name__ == '__main__':
  absltest.main()
