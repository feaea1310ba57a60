"""Removers that draw known masks in known times, and what is said of them."""

import io
import json
import pathlib
import sys
import tempfile
import types
from contextlib import redirect_stdout
from unittest import mock

import numpy as np
from absl.testing import absltest
from PIL import Image

from benchmarks import peers, workers
from benchmarks.removers import installed
from carvana_jax.datasets import spec
from carvana_jax.system.errors import UserError

IDS = [f'{number:012x}' for number in range(200)]
OF = {
  split: [car for car in IDS if spec.split_of(car) == split][:2]
  for split in ('train', 'validation', 'test')
}
# Of each: seconds to the first mask, seconds a photo, CPU time a photo, and the
# grey level of the pixels that are car but for the leftmost column's.
REMOVERS = {
  installed.U2NETP: (5, 3, 4, 128),
  installed.IN_REMBG: (4, 2, 1.5, 255),
  installed.REMOVER: (1, 0.5, 0.25, 255),
  installed.PREDICT: (7, 0.4, 0.75, 255),
  installed.FIRST: (6, 0.25, 0.125, 127),
}
COLUMN = {installed.REMOVER: 255, installed.PREDICT: 255}


class FakeWorker:
  """Takes the place of a process; its photos take as long as `REMOVERS` say."""

  now = 0  # what the clock shows
  asked = ()  # names, each with its photos

  def __init__(self, name, words):
    self.name, self.is_new = name, True

  def ask(self, line):
    job = json.loads(line)
    first, seconds, cpu_seconds, grey = REMOVERS[self.name]
    photos = sorted(pathlib.Path(job['input']).iterdir())
    for photo in photos:
      pixels = np.zeros((40, 60), np.uint8)
      pixels[10:30, 20:40] = grey
      pixels[10:30, 20] = COLUMN.get(self.name, 0)
      path = pathlib.Path(job['output']) / f'{photo.stem}_mask.png'
      Image.fromarray(pixels).save(path)
    FakeWorker.now += first if self.is_new else seconds * len(photos)
    FakeWorker.asked += ((self.name, [photo.stem for photo in photos]),)
    self.is_new = False
    return cpu_seconds * len(photos)

  def end(self):
    pass


def make_photos(folder):
  """Two photos of each car, car in 20x20 of 40x60 pixels."""
  for name in ('train', 'train_masks'):
    (folder / name).mkdir()
  pixels = np.zeros((40, 60), bool)
  pixels[10:30, 20:40] = True
  for car in (car for cars in OF.values() for car in cars):
    for view in (3, 4):
      name = spec.photo_name(car, view)
      (folder / 'train' / f'{name}.jpg').touch()
      Image.fromarray(pixels).save(folder / 'train_masks' / f'{name}_mask.gif')


class PeersTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    FakeWorker.now, FakeWorker.asked = 0, ()

  def flags(self, **more):
    return types.SimpleNamespace(
      manual_dir=str(self.root), weights=str(self.root / 'w.safetensors'),
      rembg='', imgly='', every=1, starts=2, json=str(self.root / 'a.json'),
      **more,
    )  # fmt: skip

  def run_main(self):
    """The file that the command writes, and what it prints."""
    make_photos(self.root)
    everyone = {name: installed.Remover([], 4.6) for name in REMOVERS}
    output = io.StringIO()
    with (
      mock.patch.object(peers.flags, 'FLAGS', self.flags()),
      mock.patch.object(peers, '_ROUND', 2),
      mock.patch.object(installed, 'refuse_missing'),
      mock.patch.object(installed, 'removers', return_value=everyone),
      mock.patch.object(workers, 'Worker', FakeWorker),
      mock.patch.object(
        peers.time, 'perf_counter', side_effect=lambda: FakeWorker.now
      ),
      redirect_stdout(output),
    ):
      peers.main()
    return json.loads((self.root / 'a.json').read_text()), output.getvalue()

  def test_compares(self):
    found, text = self.run_main()
    names = list(REMOVERS)
    photos = [[f'{car}_03', f'{car}_04'] for car in OF['test']]
    self.assertEqual(
      list(FakeWorker.asked),
      [
        *((name, photos[0][:1]) for name in 2 * names),  # the starts
        *((name, photos[0]) for name in names),
        *((name, photos[1]) for name in (*names[1:], names[0])),
      ],
    )
    u2netp = found['summary'][installed.U2NETP]
    # 20 of 400 pixels are missing: twice 380 over 380 + 400.
    self.assertAlmostEqual(u2netp['dice'], 760 / 780)
    self.assertAlmostEqual(u2netp['worst'], 760 / 780)
    # Four pixels on either side are a ring of 256 pixels of car.
    self.assertAlmostEqual(u2netp['border'], 2 * 236 / (236 + 256))
    del u2netp['dice'], u2netp['worst'], u2netp['border']
    self.assertEqual(
      u2netp,
      {'seconds': 3, 'ratio': 6, 'cpu_seconds': 4, 'megabytes': 4.6,
       'first': 5},
    )  # fmt: skip
    self.assertEqual(found['summary'][installed.REMOVER]['dice'], 1)
    self.assertEqual(found['summary'][installed.FIRST]['dice'], 0)  # dark
    lines = text.splitlines()
    self.assertLessEqual(max(map(len, lines)), 80)
    self.assertStartsWith(lines[0], '4 photos in 2 rounds')
    self.assertEqual(
      lines[2].split()[2:],
      ['0.9744', '0.9744', '0.9593', '3.00', '6.0', '4.00', '4.6', '5.0'],
    )
    self.assertIn("Dice 0.00000 with the masks of 'predict, first alone'", text)
    self.assertIn('1,520 pixels are different', text)  # 380 of each photo
    self.assertIn("Dice 1.00000 with the masks of 'predict'", text)
    self.assertIn('0 pixels are different', text)

  def test_rounds(self):
    make_photos(self.root)
    first, second = OF['test']
    names = lambda every: [
      [photo.stem for photo, _ in pairs]
      for pairs in peers.rounds(self.root, every)
    ]
    self.assertEqual(names(3), [[f'{first}_03', f'{second}_04']])
    with mock.patch.object(peers, '_ROUND', 3):
      self.assertEqual(list(map(len, names(1))), [4])  # not a round of one
    with mock.patch.object(peers, '_ROUND', 1):
      self.assertEqual(names(2), [[f'{first}_03'], [f'{second}_03']])

  def test_a_mask_that_was_not_made(self):
    make_photos(self.root)
    cars = peers.rounds(self.root, 1)
    with self.assertRaisesRegex(UserError, 'imgly made no .*_03_mask.png'):
      peers.scores(['imgly'], cars, self.root)

  def test_what_is_missing_is_named(self):
    args = self.flags()
    args.rembg = args.imgly = str(self.root / 'nowhere')
    with self.assertRaises(UserError) as caught:
      installed.refuse_missing(args)
    message = str(caught.exception)
    self.assertNotIn('\n', message)
    for word in ('w.safetensors', 'nowhere/bin/rembg', 'u2netp.onnx',
                 'resources.json', "--imgly=''"):  # fmt: skip
      self.assertIn(word, message)
    args.rembg, args.imgly = '', ''
    pathlib.Path(args.weights).touch()
    installed.refuse_missing(args)

  def test_how_our_own_are_started(self):
    args = self.flags()
    weights = pathlib.Path(args.weights)
    weights.write_bytes(bytes(2_000_000))
    weights.with_name('w-fine.onnx').write_bytes(bytes(500_000))
    found = installed.removers(args, self.root)
    self.assertEqual(
      list(found), [installed.REMOVER, installed.PREDICT, installed.FIRST]
    )
    self.assertEqual(found[installed.REMOVER].megabytes, 2.5)
    self.assertEqual(found[installed.PREDICT].megabytes, 2)
    self.assertEqual(
      found[installed.PREDICT].words[2:],
      [sys.executable, '-m', 'benchmarks.removers.own_masks', 'predict',
       str(weights)],
    )  # fmt: skip


if __name__ == '__main__':
  absltest.main()
