"""Speed, memory and kills of stand-ins for the command, and of the command."""

import csv
import json
import pathlib
import subprocess
import sys
import tempfile
from unittest import mock

import chex
import numpy as np
from PIL import Image

from benchmarks import predict, stages
from benchmarks.predict import Course, Sample
from benchmarks.stages import Cost
from carvana_jax.datasets import images
from carvana_jax.inference import finding
from carvana_jax.system.errors import UserError
from tests.helpers import saved_run

# Three parts of 128 rows in about a second; one that goes on where another
# stopped writes RESUMED into its rows.
STAND_IN = """
import os, pathlib, shutil, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
resumed = sys.argv[1]
output = pathlib.Path(sys.argv[2].removeprefix('--output='))
assert not output.exists()
folder = output.with_name(f'{output.name}.parts')
word = resumed if folder.exists() else 'new'
folder.mkdir(exist_ok=True)
for number in range(3):
  part = folder / f'part_{number}.csv'
  if not part.exists():
    memory = b'x' * (10**8 * (number == 1))
    time.sleep(0.3)
    aside = folder / 'tmp'
    aside.write_text('{}\\n' + f'{number},{word}\\n' * 128)
    os.replace(aside, part)
time.sleep(0.1)
text = ''.join(x.read_text() for x in sorted(folder.glob('part_*.csv')))
output.write_text(text)
shutil.rmtree(folder)
time.sleep(0.2)
"""
# Of it, more or less: 512 photos a second after 0.65 s.
COURSE = Course(384, 1.4, 1, [Sample(0.9, 128, 10)])


class SpeedTest(chex.TestCase):
  def test_start_up_is_what_the_photos_did_not_take(self):
    samples = [Sample(4, 0, 1), Sample(8, 128, 1), Sample(20, 500, 1)]
    course = Course(628, 28, 30, samples)
    self.assertEqual(course.rate, 25)  # 500 photos in 20 s
    self.assertAlmostEqual(course.start, 2.88)  # 8 s less 128 photos' time
    text = predict.course_lines(course)
    for part in ('628 photos in 28.0 s', '22.4 images/s', 'of 2.9 s'):
      self.assertIn(part, text)

  def test_start_up_of_a_command_that_is_too_fast(self):
    course = Course(256, 2, 1, [Sample(1, 0, 1), Sample(1.9, 256, 1)])
    self.assertEqual((course.rate, course.start), (128, 0))

  def test_clock_adds_up(self):
    clock = stages.Clock(2)
    for wall, cpu in ((3, 1), (5, 2)):
      with (
        mock.patch('time.perf_counter', side_effect=[10, 10 + wall]),
        mock.patch('time.process_time', side_effect=[20, 20 + cpu]),
        clock('decode'),
      ):
        pass
    self.assertEqual(clock.costs, {'decode': Cost(4000, 1500)})

  def test_table(self):
    costs = {'decode': Cost(30, 29), 'network': Cost(50, 80)}
    costs['write'] = Cost(20, 1.125)
    lines = stages.table(costs).splitlines()
    self.assertLess(max(map(len, lines)), 81)
    self.assertLen(set(map(len, lines[:-1])), 1)
    words = [' '.join(line.split()) for line in lines]
    self.assertEqual(words[2], 'network 50.00 80.00 20.0 50.0%')
    self.assertEqual(words[4], 'all 100.00 110.12 10.0 100.0%')
    self.assertEqual(lines[-1], 'slowest: network')


class MemoryTest(chex.TestCase):
  def test_growth_of_the_peaks(self):
    seen = [(0, 900), (128, 410), (128, 430), (128, 420), (256, 400)]
    seen += [(1024, 450), (1024, 440), (1280, 470)]
    samples = [Sample(i, *x) for i, x in enumerate(seen)]
    table = predict.peaks(samples)
    self.assertEqual(
      [(x.photos, x.megabytes) for x in table],
      [(0, 900), (128, 430), (256, 400), (1024, 450), (1280, 470)],
    )
    ends = predict.growth(table, 10_000)
    self.assertEqual([x.photos for x in ends], [1024, 1280])
    self.assertIn(
      '450 MB at 1,024 photos, 470 MB at 1,280: +20 MB',
      predict.growth_line(*ends),
    )


class CommandTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.output = self.root / 'a.csv'

  def words(self, resumed='new'):
    return [sys.executable, '-c', STAND_IN, resumed]

  def add_photos(self, count, size):
    folder = self.root / 'photos'
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(count):
      photo = rng.integers(0, 256, (*size, 3), np.uint8)
      path = folder / f'car_{i + 1:02}.png'
      path.write_bytes(images.encode_png(photo))
    return folder

  def test_photos_are_repeated(self):
    found = finding.find(str(self.add_photos(3, (2, 2))))
    links = predict.link(found, self.root / 'links', 8)
    repeated = finding.find(str(links))
    self.assertLen(repeated, 8)
    self.assertEqual(repeated[4].file, '00001_car_02.png')
    self.assertEqual(repeated[4].read(), found[1].read())

  def test_watches(self):
    with mock.patch.object(predict, '_SAMPLE_SECONDS', 0.02):
      course = predict.watch(self.words(), self.output, 384)
    counts = [x.photos for x in course.samples]
    self.assertEqual(counts, sorted(counts))  # although parts are removed
    self.assertEqual(set(counts), {0, 128, 256, 384})
    by_count = {x.photos: x.megabytes for x in predict.peaks(course.samples)}
    self.assertBetween(by_count[128] - by_count[0], 90, 110)
    self.assertBetween(course.seconds, course.samples[-1].seconds, 10)
    self.assertBetween(course.cpu_seconds, 0.005, course.seconds)

  def test_a_failure_is_an_error(self):
    self.output.write_text('')
    with self.assertRaisesRegex(UserError, 'failed with exit code 1'):
      predict.watch(self.words(), self.output, 384)

  def survive(self, moments, kills, resumed='new'):
    """Kills, whether they changed nothing, and how late they could be."""
    predict.watch(self.words(), self.root / 'b.csv', 384)
    whole = (self.root / 'b.csv').read_bytes()
    rng = mock.Mock()
    rng.uniform.side_effect = moments
    with mock.patch('numpy.random.default_rng', return_value=rng):
      found, same = predict.survive(
        self.words(resumed), self.output, whole, COURSE, kills
      )
    longest = [call.args[1] for call in rng.uniform.call_args_list]
    return found, same, longest

  def test_kills(self):
    moments = (0.9, 0.1, 0.4)
    kills, same, longest = self.survive(moments, 3)
    self.assertTrue(same)
    self.assertSequenceEqual([kill.seconds for kill in kills], moments)
    first, second, _ = (kill.photos for kill in kills)
    self.assertBetween(first, 128, 384)
    self.assertEqual(second, first)  # 0.1 s are too short for a part
    left = (384 - first) / 512
    chex.assert_trees_all_close(
      longest, [0.65 + 2 * 0.75 / 4, 0.65 + 2 * left / 3, 0.65 + left]
    )

  def test_kills_that_change_rows(self):
    kills, same, _ = self.survive([0.5], 1, 'resumed')
    self.assertLen(kills, 1)
    self.assertFalse(same)

  def test_a_command_that_ends_before_it_is_killed(self):
    late, soon = 60, 0.4
    kills, same, _ = self.survive([late, soon], 1)
    self.assertEqual([kill.seconds for kill in kills], [soon])
    self.assertTrue(same)

  def test_one_that_ended_before_counts(self):
    # It goes on after a kill, the last one does not.
    kills, same, _ = self.survive([0.5, 60, 0], 2, 'resumed')
    self.assertLen(kills, 2)
    self.assertFalse(same)

  def test_as_a_user(self):
    saved_run.save(self.root / 'run')
    record = self.root / 'a.json'
    folder = self.add_photos(12, (64, 96))
    done = subprocess.run(
      [sys.executable, '-m', 'benchmarks.predict', '--images=256', '--kills=1',
       f'--workdir={self.root / "run"}', f'--input={folder}',
       f'--output={self.root / "out"}', f'--json={record}'],
      cwd=predict.ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    self.assertEqual(done.returncode, 0, done.stderr)
    self.assertEqual(done.stdout.splitlines()[-1], 'killed 1 times: identical')
    found = json.loads(record.read_text())
    self.assertEqual(
      list(found['stages']),
      ['read', 'decode', 'reduce', 'network', 'enlarge', 'threshold', 'encode',
       'write'],
    )  # fmt: skip
    for cost in found['stages'].values():
      self.assertGreater(cost['wall'], 0)
    self.assertEqual(found['photos'], 256)
    self.assertLen(found['kills'], 1)
    with (self.root / 'out' / 'memory.csv').open(newline='') as file:
      rows = list(csv.DictReader(file))
    self.assertGreater(float(rows[-1]['megabytes']), 100)
    with Image.open(self.root / 'out' / 'memory.png') as plot:
      self.assertEqual(plot.format, 'PNG')
