"""Whatever a file holds, it is read or refused in one line.

The readers of runs and of submissions: `rle_test` and `submission_test`.
"""

import io
import pathlib
import struct
import tempfile
import zipfile

import chex
import hypothesis
import numpy as np
from absl.testing import absltest
from flax import linen as nn
from hypothesis import strategies as st
from ml_collections import ConfigDict
from PIL import Image

from carvana_jax import models
from carvana_jax.configs import cnn256, default, vgg19_unet512
from carvana_jax.datasets import file_listing, spec
from carvana_jax.datasets.carvana import archives
from carvana_jax.evaluation import results
from carvana_jax.inference import finding
from carvana_jax.masks import composite
from carvana_jax.models import vgg_weights
from carvana_jax.system import config_fields, files
from carvana_jax.system.errors import UserError
from carvana_jax.training import run_folder
from tests.malformed.case import CAR, encoded, gradient, write, zipped

# The same examples every time.
examples = hypothesis.settings(
  derandomize=True, deadline=None, max_examples=200
)
METADATA = f'id,year,make,model,trim1,trim2\n{CAR},2014,Kia,Soul,Base,\n'
METRICS = '{"step": 1, "epoch": 1, "train/loss": 0.5}\n'
TABLE = 'filename,dice\na.jpg,0.5\n'


@st.composite
def damaged(draw, whole):
  """The bytes of one of some files, a few of them changed, or cut off."""
  data = bytearray(draw(st.sampled_from(whole)))
  for at, value in draw(
    st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=5)
  ):
    data[at % len(data)] = value
  return bytes(data[: draw(st.sampled_from([len(data), len(data) // 2, 30]))])


def texts(whole):
  """Any bytes, any text, and texts that are nearly right."""
  near = st.lists(
    st.sampled_from(
      [*whole, *whole.split(','), '\n', '"', ',', '{', '[', 'NaN', '1e999',
       '-1', 'null', '\0', '\ufeff', '\r', '9' * 5000]
    )
  ).map(''.join)  # fmt: skip
  return (
    st.binary()
    | st.text().map(lambda text: text.encode(errors='surrogatepass'))
    | near.map(str.encode)
    | near.map(lambda text: (whole + text).encode())
    | damaged([whole.encode()])
  )


class FuzzTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

  def read(self, reader, *arguments, name=None):
    """What the reader says, unless it refuses."""
    try:
      return reader(*arguments)
    except UserError as error:
      message = str(error)
      self.assertNotIn('\n', message)
      self.assertRegex(message, '[;:] |must be ')  # before the remedy
      if name is not None:
        self.assertIn(name, message)
    return None

  @examples
  @hypothesis.given(texts(METADATA))
  def test_metadata(self, data):
    path = pathlib.PurePosixPath('metadata.csv')
    opened = lambda: io.BytesIO(data)
    file = file_listing.File('metadata.csv', path, len(data), opened)
    found = self.read(archives._parse_metadata, file, name='metadata.csv')
    for car in (found or {}).values():
      self.assertEqual(set(car), {'make', 'model', 'year', 'trim'})

  @examples
  @hypothesis.given(texts(METRICS))
  def test_metrics(self, data):
    write(self.root, 'metrics.jsonl', data)
    rows = self.read(run_folder.read_metrics, self.root, name='metrics.jsonl')
    for row in rows or ():
      self.assertGreaterEqual(row['step'], 1)
      float(sum(row.values()))

  @examples
  @hypothesis.given(texts(METRICS))
  def test_starts(self, data):
    write(self.root, 'starts.jsonl', data)
    for row in self.read(run_folder.read_starts, self.root) or ():
      self.assertIsInstance(row, dict)

  @examples
  @hypothesis.given(texts(METRICS))
  def test_json(self, data):
    path = write(self.root, 'summary.json', data)
    found = self.read(files.read_json, path, name=str(path))
    if found is not None:
      self.assertNotIn('NaN', str(found))

  @examples
  @hypothesis.given(texts(TABLE))
  def test_tables_of_scores(self, data):
    path = write(self.root, 'images.csv', data)
    rows = self.read(
      results.rows, path, ('filename',), ('dice',), name=str(path)
    )
    for row in rows or ():
      self.assertIsInstance(row['filename'], str)
      self.assertTrue(np.isfinite(float(row['dice'])))

  @examples
  @hypothesis.given(
    st.binary()
    | damaged(
      [
        *(
          encoded(gradient((16, 24)), kind) for kind in ('JPEG', 'PNG', 'WEBP')
        ),
        encoded(gradient((16, 24)), 'JPEG', progressive=True),
        encoded(gradient((16, 24)).convert('CMYK'), 'JPEG'),
        encoded(gradient((16, 24)).convert('P'), 'PNG'),
        encoded(gradient((16, 24)).convert('RGBA'), 'WEBP', lossless=True),
        encoded(Image.new('I;16', (24, 16)), 'PNG'),
      ]
    )
  )
  def test_photos(self, data):
    path = write(self.root, 'a.jpg', data)
    (photo,) = finding.find(str(path))
    pixels = self.read(photo.pixels, name=str(path))
    if pixels is not None:
      self.assertEqual(pixels.dtype, np.uint8)
      self.assertEqual(pixels.shape[2:], (3,))

  @examples
  @hypothesis.given(
    st.binary()
    | damaged(
      [
        zipped({f'train/{CAR}_01.jpg': b'photo' * 9, 'b.png': b''}, method)
        for method in (
          zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2,
          zipfile.ZIP_LZMA,
        )
      ]
    )
  )  # fmt: skip
  def test_archives(self, data):
    path = write(self.root, 'train.zip', data)
    for photo in self.read(finding.find, str(path), name=str(path)) or ():
      self.read(photo.read, name=str(path))
    masks = zipped({f'{CAR}_01_mask.gif': b'mask'})
    write(self.root, 'train_masks.zip', masks)
    found = self.read(archives.find, self.root, False)
    for file in found.photos.values() if found else ():
      self.read(file.read, name='train.zip')

  @examples
  @hypothesis.given(
    st.binary().map(lambda data: b'\x89HDF\r\n\x1a\n' + data)
    | st.binary().map(lambda data: struct.pack('<Q', len(data)) + b'{' + data)
    | st.binary().map(lambda data: b'PK\x03\x04' + data)
    | damaged([zipped({'a/data.pkl': b'\x80\x02}q\0.', 'a/byteorder': b'x'})])
    | st.binary()
  )
  def test_weights(self, data):
    path = write(self.root, 'weights', data)
    self.assertIsNone(self.read(vgg_weights.read, str(path), name=str(path)))

  @examples
  @hypothesis.given(
    st.sampled_from([default, cnn256, vgg19_unet512]),
    st.dictionaries(
      st.sampled_from(
        ['name', 'levels', 'first_width', 'norm', 'dropout', 'dtype', 'widths',
         'dropout_levels', 'kernels', 'head_kernel', 'standardize', 'other',
         'encoder_weights']
      ),
      st.none() | st.booleans() | st.integers() | st.floats() | st.text()
      | st.lists(st.integers() | st.floats() | st.text(), max_size=4),
      max_size=3,
    ),
  )  # fmt: skip
  def test_networks(self, module, changes):
    config = ConfigDict({**module.get_config().model.to_dict(), **changes})
    found = self.read(models.build, config, name='config.model.')
    if found is not None:
      self.assertIsInstance(found, nn.Module)

  @examples
  @hypothesis.given(
    st.sampled_from([bool, int, float, str, tuple]),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    | st.lists(st.integers() | st.booleans()),
  )  # fmt: skip
  def test_kinds(self, kind, value):
    try:
      config_fields.check_kind('config.x', value, kind)
    except UserError as error:
      self.assertIn('config.x=', str(error))
      return
    if kind is float:
      self.assertTrue(np.isfinite(float(value)) or abs(value) > 1e300)
    elif kind is not tuple:
      self.assertIs(type(value), kind)

  @examples
  @hypothesis.given(st.text() | st.text('019x'))
  def test_sizes(self, text):
    found = self.read(spec.parse_size, text)
    if found:
      self.assertEqual(f'{found[0]}x{found[1]}', text)

  @examples
  @hypothesis.given(
    st.text()
    | st.text('0123456789abcdef').map(lambda digits: f'#{digits}')
    | st.tuples(
      st.sampled_from(['rgb', 'hsl', 'hsv', 'rgba']), st.text('019., %-')
    ).map(lambda parts: f'{parts[0]}({parts[1]})')
  )
  def test_colours(self, text):
    found = self.read(composite.parse_colour, text)
    if found:
      self.assertTrue(all(0 <= value <= 255 for value in found))


if __name__ == '__main__':
  absltest.main()
