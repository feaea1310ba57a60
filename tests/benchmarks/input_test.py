"""What batches cost here, and beside a stand-in for the peers."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import types
import unittest
from unittest import mock

import chex
from PIL import Image

from benchmarks import batches, input
from benchmarks.frameworks import clock
from carvana_jax.datasets import images
from carvana_jax.system.errors import UserError
from tests.helpers import numbered
from tests.helpers.commands import ROOT

PEERS = ROOT / '.peers' / 'bin' / 'python'  # with PyTorch, if made
SPIN = (
  'import time; [0 for _ in iter(lambda: time.process_time() < 0.3, False)]'
)


def course(images, cpu, wall):
  return {'images': images, 'cpu': cpu, 'wall': wall}


class TableTest(chex.TestCase):
  def test_medians_and_the_better_peer_of_each_round(self):
    rounds = [
      {
        'ours': course(100, ours, 1) | {'kept': course(100, ours / 20, 0.1)},
        'opencv': course(10, 1, opencv),
        'pillow': course(10, pillow, 2),
      }
      for ours, opencv, pillow in ((1, 1, 2), (2, 5, 0.5), (0.5, 4, 1))
    ]
    row = input.row(rounds)
    self.assertEqual(
      row['cpu'], {'ours': 100, 'kept': 2000, 'opencv': 10, 'pillow': 10}
    )
    self.assertEqual(
      row['wall'], {'ours': 100, 'kept': 1000, 'opencv': 2.5, 'pillow': 5}
    )
    # 100 / 10, 50 / 20 and 200 / 10.
    self.assertEqual(row['ratio'], 10)
    lines = input.table({'1024x1536': row, '64x96': row}).splitlines()
    self.assertLess(max(map(len, lines)), 81)
    self.assertEqual(
      lines[2].split(),
      [
        '1024x1536',
        '100.0',
        '2000.0',
        '10.0',
        '10.0',
        '100.0',
        '1000.0',
        '2.5',
        '5.0',
        '10.0',
      ],
    )
    self.assertLen(set(map(len, lines[1:4])), 1)


class ClockTest(chex.TestCase):
  def test_counts_images_and_the_time_of_processes_that_ended(self):
    def work():
      for count in (4, 3):
        subprocess.run([sys.executable, '-c', SPIN], check=True)
        yield count

    found = clock.course(work())
    self.assertEqual(found['images'], 7)
    self.assertBetween(found['cpu'], 0.6, 2 * found['wall'])
    self.assertGreater(found['wall'], 0.6)


class OursTest(chex.TestCase):
  def test_all_images_arrive(self):
    folder = self.enterContext(tempfile.TemporaryDirectory())
    builder = numbered.prepare(folder)
    found = list(batches.batches(builder, images=16, batch_size=4))
    self.assertEqual(found, [4, 4, 4, 4])
    with mock.patch.object(
      images, 'decode_mask', wraps=images.decode_mask
    ) as decode:
      found = batches.courses(builder, images=16, batch_size=4)
    self.assertEqual((found['images'], found['kept']['images']), (16, 16))
    self.assertEqual(decode.call_count, 16)  # the second pass decodes nothing


class CommandTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    for name in ('train', 'train_masks'):
      (self.root / name).mkdir()
    self.args = types.SimpleNamespace(
      manual_dir=str(self.root), data_dir='data', peers=sys.executable,
      sizes=['64x96', '32x48'], images=8, batch_size=4,
    )  # fmt: skip

  def test_all_get_the_same_work(self):
    words = input.commands(self.args)
    self.assertEqual(list(words), ['ours', 'opencv', 'pillow'])
    for command in words.values():
      for flag in ('--sizes=64x96,32x48', '--images=8', '--batch_size=4'):
        self.assertIn(flag, command)

  def test_a_stand_in(self):
    found = {'64x96': course(8, 1.5, 1)}
    script = f'print("hello"); print({json.dumps(json.dumps(found))})'
    self.assertEqual(input.measure([sys.executable, '-c', script]), found)
    with self.assertRaisesRegex(UserError, 'exit code 3.*requirements.txt'):
      input.measure([sys.executable, '-c', 'raise SystemExit(3)'])

  def test_without_the_peers(self):
    self.args.peers = str(self.root / 'python')
    with self.assertRaisesRegex(UserError, 'python3 -m venv .peers .*pip inst'):
      input.commands(self.args)

  def test_photos_in_archives(self):
    (self.root / 'train_masks').rmdir()
    with self.assertRaisesRegex(UserError, 'no folder train_masks.*; unpack'):
      input.commands(self.args)

  def test_as_a_user(self):
    done = subprocess.run(
      [sys.executable, '-m', 'benchmarks.input', '--manual_dir=nowhere'],
      cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    self.assertEqual(done.returncode, 2)
    self.assertLen(done.stderr.splitlines(), 1)

  @unittest.skipUnless(os.access(PEERS, os.X_OK), f'{PEERS} is absent')
  def test_peers(self):
    for number in range(3):
      photo = Image.new('RGB', (192, 128), 'red')
      photo.save(self.root / 'train' / f'{number}.jpg')
      mask = Image.new('P', (192, 128), 1)
      mask.save(self.root / 'train_masks' / f'{number}_mask.gif')
    self.args.peers = str(PEERS)
    words = input.commands(self.args)
    for name in ('opencv', 'pillow'):
      found = input.measure(words[name])
      self.assertEqual(list(found), self.args.sizes)
      self.assertEqual({one['images'] for one in found.values()}, {8})
