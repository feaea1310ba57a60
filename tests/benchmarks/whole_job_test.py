"""Clock, scores and table of the whole job; contestants real and made up."""

import contextlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import types
import unittest
from unittest import mock

import chex
import numpy as np
from absl.testing import parameterized
from PIL import Image

from benchmarks import own_whole, whole_job
from benchmarks.frameworks import marks
from benchmarks.whole_job import KERAS, OURS, TORCH
from carvana_jax.datasets import spec
from carvana_jax.system.errors import UserError
from carvana_jax.training import epoch, validation
from tests.helpers import commands

PEERS = whole_job.ROOT / '.peers' / 'bin' / 'python'  # with PyTorch, if made
# A car of each split, by spec.fold_of.
CARS = {}
for _number in range(100):
  CARS.setdefault(spec.split_of(f'{_number:012x}'), f'{_number:012x}')

VIEWS = {'train': 2, 'validation': 2, 'test': 3}

# Learns in so many marks of 0.2 s to tell the car, the photos' bright half.
STAND_IN = """
import sys, time
import numpy as np
from PIL import Image
from benchmarks.frameworks.marks import Marks
marks = Marks(sys.argv[1])
def predict(size):
  time.sleep(0.5)
  photos = [np.array(Image.open(x))[..., 0] for x in marks.job['unseen']]
  logits = np.float32(photos) - 127.5
  logits[:, :, size:] *= -1
  return logits
print('a word of warning')
for size in map(int, sys.argv[2:]):
  time.sleep(0.2)
  marks.mark(lambda: predict(size))
"""


def stand_in(job, *sizes):
  """A contestant that is right in so many of 24 columns, mark by mark."""
  return [sys.executable, '-c', STAND_IN, str(job), *map(str, sizes)]


def make_photos(folder, height=24, width=24):
  """A car of each split, a bright half: the left one of test, or the upper."""
  for name in ('train', 'train_masks'):
    (folder / name).mkdir()
  for split, car in CARS.items():
    pixels = np.zeros((height, width), np.uint8)
    if split == 'test':
      pixels[:, : width // 2] = 1
    else:
      pixels[: height // 2] = 1
    mask = Image.fromarray(pixels)
    mask.putpalette([0, 0, 0, 255, 255, 255])
    for view in range(1, VIEWS[split] + 1):
      name = spec.photo_name(car, view)
      mask.convert('RGB').save(folder / 'train' / f'{name}.jpg', quality=100)
      mask.save(folder / 'train_masks' / f'{name}_mask.gif')


def mark(seconds, validation, test=0.0):
  return {'seconds': seconds, 'validation': validation, 'test': test}


class TableTest(chex.TestCase):
  CURVES = {  # noqa: RUF012
    OURS: [mark(10, 0.94, 0.1), mark(20, 0.975), mark(40, 0.9849)],
    KERAS: [mark(30, 0.95), mark(50, 0.94), mark(70, 0.97)],
    TORCH: [mark(100, 0.9), mark(200, 0.99)],
  }

  def test_the_first_mark_of_a_level_counts(self):
    falling = [mark(1, 0.2), mark(2, 0.95), mark(3, 0.9), mark(4, 0.96)]
    self.assertEqual(whole_job.reached(falling, 0.95, 'validation'), 2)
    self.assertEqual(whole_job.reached(falling, 0.96, 'validation'), 4)
    self.assertIsNone(whole_job.reached(falling, 0.97, 'validation'))
    self.assertIsNone(whole_job.reached(falling, 0.5, 'test'))

  def test_ratio_is_of_the_better_peer(self):
    found = whole_job.rows(self.CURVES, 'validation')
    self.assertEqual([x['level'] for x in found], [0.95, 0.97, 0.98, 0.985])
    seconds = [list(x['seconds'].values()) for x in found]
    self.assertEqual(
      seconds,
      [[20, 30, 200], [20, 70, 200], [40, None, 200], [None, None, 200]],
    )
    self.assertEqual([x['ratio'] for x in found], [1.5, 3.5, 5, None])

  def test_no_peer_reaches_a_level(self):
    curves = {OURS: [mark(1, 1)], KERAS: [mark(1, 0)], TORCH: [mark(1, 0)]}
    ratios = [x['ratio'] for x in whole_job.rows(curves, 'validation')]
    self.assertEqual(ratios, [None] * 4)

  def test_table(self):
    lines = whole_job.table(self.CURVES, 'validation').splitlines()
    self.assertLessEqual(max(map(len, lines)), 80)
    words = [line.split() for line in lines]
    self.assertEqual(
      words[1:],
      [
        ['0.950', '20.0', '30.0', '200.0', '1.50'],
        ['0.970', '20.0', '70.0', '200.0', '3.50'],
        ['0.980', '40.0', '-', '200.0', '5.00'],
        ['0.985', '-', '-', '200.0', '-'],
        ['best', '0.9849', '0.9700', '0.9900'],
      ],
    )

  def test_plot(self):
    content = whole_job.plot(self.CURVES, 'validation')
    self.assertLess(len(content), 100_000)
    with Image.open(io.BytesIO(content)) as image:
      pixels = np.asarray(image.convert('RGB'))
    colours = {tuple(x) for x in pixels.reshape(-1, 3)}
    # A line each, in matplotlib's first colours.
    for colour in ((31, 119, 180), (255, 127, 14), (44, 160, 44)):
      self.assertIn(colour, colours)


class DiceTest(chex.TestCase):
  def test_logits_are_enlarged(self):
    """From 2x4 to 4x8 pixels: the border runs where the logit crosses 0."""
    upper, left = np.zeros((2, 4, 8), bool)
    upper[:2] = True
    left[:, :3] = True
    # Becomes rows of 1, 1/2, -1/2, -1.
    rows = np.repeat(np.float32([[1], [-1]]), 4, axis=1)
    # Becomes columns of 3, 3, 3, 1.5, -1.5, -3, -3, -3: a column too many.
    columns = np.float32([[3, 3, -3, -3]] * 2)
    found = whole_job.dice(np.stack([rows, columns]), [upper, left])
    # 12 pixels of car, 16 predicted.
    np.testing.assert_allclose(found, [1, 2 * 12 / (12 + 16)])

  def test_nan_is_background(self):
    logits = np.full((1, 2, 2), np.nan, np.float32)
    found = whole_job.dice(logits, [np.ones((4, 4), bool)])
    np.testing.assert_array_equal(found, [0])


class MarksTest(chex.TestCase):
  def test_the_clock_stands_still_at_marks(self):
    folder = self.enterContext(tempfile.TemporaryDirectory())
    job = pathlib.Path(folder, 'job.json')
    now = 100.0
    job.write_text(
      json.dumps(
        {'started': now, 'growth': 1.5, 'predictions': f'{folder}/x.npy'}
      )
    )
    logits = np.float32([[[1, 2]]])

    def predict():
      nonlocal now
      now += 1000
      return logits

    said = io.StringIO()
    with (
      mock.patch.object(time, 'monotonic', lambda: now),
      mock.patch.object(sys, 'stdin', io.StringIO('\n\n')),
      contextlib.redirect_stdout(said),
    ):
      clock = marks.Marks(job)
      self.assertTrue(clock.due())
      now += 10  # at 10
      clock.mark(predict)
      now += 4  # at 14
      self.assertFalse(clock.due())
      now += 1  # at 15
      self.assertTrue(clock.due())
      now += 1
      clock.mark(predict)
      now += 5
      with self.assertRaises(SystemExit):
        clock.mark(predict)
    self.assertEqual(
      said.getvalue().splitlines(), ['mark: 10.0', 'mark: 16.0', 'mark: 21.0']
    )
    chex.assert_trees_all_equal(np.load(f'{folder}/x.npy'), logits)


class ContestTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    make_photos(self.root)
    self.flags = types.SimpleNamespace(
      manual_dir=str(self.root), name='debug', minutes=1.0, growth=1.1,
      peers=sys.executable, torch_size='32x32', torch_width=4, split='test',
      output=str(self.root / 'output'), json=str(self.root / 'a.json'),
      plot=str(self.root / 'a.png'),
    )  # fmt: skip

  def contest(self, sizes):
    """What the command prints; of three stand-ins."""
    made = lambda args, folder, root: {
      name: stand_in(root / 'job.json', *x) for name, x in sizes.items()
    }
    said = io.StringIO()
    with (
      mock.patch.object(whole_job.flags, 'FLAGS', self.flags),
      mock.patch.object(whole_job, 'commands', made),
      contextlib.redirect_stdout(said),
    ):
      whole_job.main()
    return said.getvalue()

  def test_split_is_by_car(self):
    pairs = whole_job.split(self.root)
    self.assertEqual({x: len(pairs[x]) for x in pairs}, VIEWS)
    for name, car in CARS.items():
      for photo, mask in pairs[name]:
        self.assertStartsWith(photo.name, car)
        self.assertEqual(mask.name, f'{photo.stem}_mask.gif')
        self.assertTrue(mask.exists())
    for path in (self.root / 'train').glob(f'{CARS["test"]}*'):
      path.unlink()
    with self.assertRaisesRegex(UserError, 'no test car; add cars'):
      whole_job.split(self.root)
    (self.root / 'train' / 'mine.jpg').touch()
    with self.assertRaisesRegex(UserError, 'mine.jpg is not named CAR_VIEW'):
      whole_job.split(self.root)

  def test_stand_ins(self):
    sizes = {OURS: (0, 23), KERAS: (12, 12, 24), TORCH: (24,)}
    said = self.contest(sizes)
    record = json.loads((self.root / 'a.json').read_text())
    for name, marks_ in record['curves'].items():
      # Half of the photo is car, and `size` of 24 columns are right: of upper
      # halves as many pixels are taken for car; of left ones all those of the
      # right half that are wrong as well.
      upper = [size / 24 for size in sizes[name]]
      hits = [min(size, 12) for size in sizes[name]]
      misses = [24 - max(size, 12) for size in sizes[name]]
      left = [2 * x / (12 + x + y) for x, y in zip(hits, misses, strict=True)]
      for split, dice in (('validation', upper), ('test', left)):
        np.testing.assert_allclose([x[split] for x in marks_], dice)
      seconds = [x['seconds'] for x in marks_]
      self.assertEqual(seconds, sorted(seconds))
    keras = [x['seconds'] for x in record['curves'][KERAS]]
    # 0.2 s of work between two marks, and more than 0.5 s of predictions.
    self.assertBetween(keras[1] - keras[0], 0.2, 0.69)
    (first, *_), last = record['levels']['test'], record['levels']['test'][-1]
    self.assertEqual(first['level'], 0.95)
    self.assertEqual(first['seconds'][KERAS], keras[2])
    self.assertIsNone(last['seconds'][OURS])
    self.assertIsNone(last['ratio'])
    table = said[said.index('seconds to a mean Dice') :].splitlines()
    self.assertEqual(table[0], 'seconds to a mean Dice on the test cars')
    self.assertEqual(table[-1].split(), ['best', '0.9600', '1.0000', '1.0000'])
    self.assertLessEqual(max(map(len, said.splitlines())), 80)
    self.assertIn(
      'a word of warning', (self.root / 'output' / f'{OURS}.log').read_text()
    )
    self.assertTrue((self.root / 'a.png').exists())

    with self.subTest('started again'):
      (self.root / 'output' / f'{TORCH}.json').unlink()
      said = self.contest({TORCH: (12,)})
      again = json.loads((self.root / 'a.json').read_text())['curves']
      self.assertEqual(again[OURS], record['curves'][OURS])
      self.assertEqual(again[TORCH][0]['test'], 24 / 36)
    with self.subTest('other settings'):
      self.flags.minutes = 2.0
      with self.assertRaisesRegex(UserError, 'choose another --output'):
        self.contest({})

  def test_time_is_over(self):
    self.flags.minutes = 0.1 / 60
    self.contest({OURS: (1, 2), KERAS: (1, 2), TORCH: (1, 2)})
    curves = json.loads((self.root / 'a.json').read_text())['curves']
    self.assertEqual([len(x) for x in curves.values()], [1, 1, 1])

  def test_a_contestant_without_marks(self):
    with self.assertRaisesRegex(UserError, f'{OURS} failed or made no mark'):
      self.contest({OURS: ()})
    with self.assertRaisesRegex(UserError, f'{OURS} failed .*{OURS}.log'):
      self.contest({OURS: (1, 'x')})
    log = self.root / 'output' / f'{OURS}.log'
    self.assertIn('invalid literal for int', log.read_text())
    self.assertFalse(log.with_suffix('.json').exists())

  def test_unknown_config(self):
    self.flags.name = 'studios'
    with self.assertRaisesRegex(UserError, '--name=studios is no file'):
      self.contest({})

  def test_same_photos_for_all(self):
    root = self.root / 'contest'
    words = whole_job.commands(self.flags, self.root, root)
    for command in words.values():
      self.assertIn(str(root / 'job.json'), command)
    ours = ' '.join(words[OURS])
    self.assertIn(f'--config.data.manual_dir={self.root}', ours)
    for made in ('data', 'programs', 'run'):  # nothing is there yet
      self.assertIn(f'={root}/{made}', ours)


class ContestantsTest(chex.TestCase):
  """The real ones: that they predict all photos, in their order."""

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    make_photos(self.root, 32, 48)
    pairs = whole_job.split(self.root)
    self.job = {
      'growth': 1.0,
      'train': [list(map(str, pair)) for pair in pairs['train']],
      'unseen': [
        str(photo) for photo, _ in pairs['test'] + pairs['validation']
      ],
    }

  def logits(self, words, minutes=0.0):
    """Runs a contestant; what it predicted, mark by mark."""
    found = []

    def scored(logits):
      found.append(logits)
      return {'validation': 0, 'test': 0}

    with contextlib.redirect_stdout(None):
      marks_ = whole_job.curve(
        'a', words, self.root, self.job, minutes, scored, self.root / 'log'
      )
    self.assertLen(found, len(marks_))
    return found

  def check(self, logits, height, width):
    """Of three equal photos of a car, then two of another."""
    chex.assert_shape(logits, (5, height, width))
    first, second = logits[0], logits[-1]
    self.assertGreater(np.abs(first - second).max(), 1e-3)
    for expected, found in zip([first] * 3 + [second] * 2, logits, strict=True):
      np.testing.assert_allclose(found, expected, atol=1e-5)

  def test_ours(self):
    words = [
      sys.executable, '-m', 'benchmarks.own_whole', str(self.root / 'job.json'),
      '--config=configs/debug.py', f'--workdir={self.root / "run"}',
      f'--config.data.data_dir={commands.debug_run() / "data"}',
    ]  # fmt: skip
    (logits,) = self.logits(words)
    self.check(logits, 64, 96)

  def test_crops_are_refused(self):
    config = mock.MagicMock()
    config.data.multiview = True
    with self.assertRaisesRegex(UserError, 'multiview are not compared'):
      own_whole.marking(None)[0](config, None, None)

  def test_ours_is_marked_after_steps_that_are_due(self):
    clock = mock.Mock()
    clock.due.side_effect = [False, True, False]
    with (
      mock.patch.object(validation.Validation, '__init__', lambda *_: None),
      mock.patch.object(epoch, 'train', self.three_steps),
    ):
      made, train = own_whole.marking(clock)
      config = mock.MagicMock()
      config.data.multiview = False
      validator = made(config, None, None)
      validator.logits = lambda variables: variables
      self.assertEqual(train(self.count, types.SimpleNamespace(step=0)), 3)
    (call,) = clock.mark.call_args_list
    (predict,) = call.args
    self.assertEqual(predict(), 'variables of step 2')

  @staticmethod
  def three_steps(train_step, state):
    for _ in range(3):
      state, _ = train_step(state, {}, False)
    return state.step

  @staticmethod
  def count(state, batch, stop_requested):
    del batch, stop_requested
    step = state.step + 1
    variables = f'variables of step {step}'
    return types.SimpleNamespace(step=step, eval_variables=variables), {}

  def test_keras(self):
    words = [sys.executable, '-m', 'benchmarks.frameworks.keras_whole',
             str(self.root / 'job.json')]  # fmt: skip
    (logits,) = self.logits(words)
    self.check(logits, 128, 128)

  @unittest.skipUnless(os.access(PEERS, os.X_OK), f'{PEERS} is absent')
  def test_torch(self):
    words = [str(PEERS), '-m', 'benchmarks.frameworks.torch_whole',
             str(self.root / 'job.json'), '32x48', '2']  # fmt: skip
    (logits,) = self.logits(words)
    self.check(logits, 32, 48)


class CommandTest(parameterized.TestCase):
  def test_as_a_user(self):
    done = subprocess.run(
      [sys.executable, '-m', 'benchmarks.whole_job', '--manual_dir=nowhere'],
      cwd=whole_job.ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    self.assertEqual(done.returncode, 2)
    self.assertLen(done.stderr.splitlines(), 1)
    self.assertIn('--manual_dir=nowhere has no folder train', done.stderr)
