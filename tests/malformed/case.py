"""What all malformed inputs have in common: how they are made and refused."""

import functools
import hashlib
import io
import os
import pathlib
import stat
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from typing import NamedTuple

from absl.testing import parameterized
from PIL import Image

from carvana_jax.datasets import spec
from tests.helpers import saved_run
from tests.malformed import command

CAR = 'b6589fc6ab0d'  # of the split train
FULL = spec.parse_size(spec.ORIGINAL_SIZE)
CONFIGS = command.ROOT / 'configs'


class Case(NamedTuple):
  """A malformed input, and what a user hears of it."""

  name: str  # of the test
  make: Callable[[pathlib.Path], None]  # writes it into a folder
  # As typed in that folder; {run} is the workdir of a network, {configs} the
  # folder of configs.
  command: str
  words: tuple[str, ...]  # of the one line: the thing and the remedy


def named(cases: Iterable[Case]):
  """A decorator: a test for every case."""
  return parameterized.named_parameters(*((case.name, case) for case in cases))


@functools.cache
def workdir() -> pathlib.Path:
  """The folder of a run whose network was never trained."""
  folder = tempfile.TemporaryDirectory()
  _held.append(folder)  # until this process ends
  path = pathlib.Path(folder.name) / 'run'
  saved_run.save(path)
  return path


_held = []


class CaseTest(parameterized.TestCase):
  """Runs commands in a folder of their own."""

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

  def run_command(self, words: str) -> command.Result:
    """Runs a command as `Case.command` has it."""
    words = words.replace('{configs}', str(CONFIGS))
    if '{run}' in words:
      words = words.replace('{run}', str(workdir()))
    return command.run(self.root, *words.split())

  def assert_refused(self, case: Case) -> None:
    """One line that holds all words, code 2, and no file is another."""
    case.make(self.root)
    before = listing(self.root)
    run_before = listing(workdir()) if '{run}' in case.command else None
    result = self.run_command(case.command)
    self.assert_one_line(result, case.words)
    self.assertEqual(listing(self.root), before)
    if run_before is not None:
      self.assertEqual(listing(workdir()), run_before)

  def assert_one_line(self, result: command.Result, words: Iterable[str]):
    """The command ended with code 2 and one line holding all words."""
    self.assertEqual(result.code, 2, result.errors)
    self.assertNotIn('Traceback', result.errors)
    self.assertStartsWith(result.errors, 'error: ')
    self.assertEndsWith(result.errors, '\n')
    self.assertLen(result.errors.splitlines(), 1, result.errors)
    self.assertLess(len(result.errors), 2000)
    for word in words:
      self.assertIn(word, result.errors)


def listing(folder: pathlib.Path) -> dict[str, tuple]:
  """Kind, size and content of everything below a folder."""
  found = {}
  for path in sorted(folder.rglob('*')):
    status = path.lstat()
    content = None
    if stat.S_ISREG(status.st_mode) and os.access(path, os.R_OK):
      with path.open('rb') as file:
        # Some have holes of a hundred GiB.
        content = hashlib.sha256(file.read(2**20)).hexdigest()
    found[str(path.relative_to(folder))] = (
      stat.S_IFMT(status.st_mode),
      status.st_size if content else 0,
      content,
    )
  return found


# Files.


def encoded(image: Image.Image, kind: str, **options) -> bytes:
  """The bytes of an image."""
  stream = io.BytesIO()
  image.save(stream, kind, **options)
  return stream.getvalue()


def gradient(size: tuple[int, int] = (64, 96)) -> Image.Image:
  """A photo of [H, W] that no encoder makes very small."""
  width, height = size[::-1]
  ramp = Image.linear_gradient('L').resize((width, height))
  turned = ramp.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
  across = Image.radial_gradient('L').resize((width, height))
  return Image.merge('RGB', (ramp, across, turned))


@functools.cache
def full_photo() -> bytes:
  """A JPG of the challenge's size."""
  return encoded(gradient(FULL), 'JPEG')


@functools.cache
def full_mask() -> bytes:
  """A GIF of the challenge's size, 0 and 1."""
  mask = Image.new('P', FULL[::-1], 0)
  mask.putpalette([0, 0, 0, 255, 255, 255])
  mask.paste(1, (500, 400, 1400, 900))
  return encoded(mask, 'GIF')


def write(root: pathlib.Path, name: str, data: bytes | str) -> pathlib.Path:
  """Writes a file, and the folders that it is in."""
  path = root / name
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(data.encode() if isinstance(data, str) else data)
  return path


def zipped(
  members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED
) -> bytes:
  """A ZIP."""
  stream = io.BytesIO()
  with zipfile.ZipFile(stream, 'w', method) as archive:
    for name, data in members.items():
      archive.writestr(name, data)
  return stream.getvalue()


def nothing(root: pathlib.Path) -> None:
  """There is nothing to make."""
