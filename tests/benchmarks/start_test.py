"""Times of stand-ins and of a real first step, and the table made of them."""

import os
import pathlib
import sys
import tempfile
from unittest import mock

import chex

from benchmarks import start
from benchmarks.start import Cost
from carvana_jax.system.errors import UserError
from tests.helpers import commands

# Works for half a second, sleeps as long, says it, and would stay for ever.
STAND_IN = """
import time
while time.process_time() < 0.5:
  pass
time.sleep(0.5)
print('nothing', flush=True)
print('first step after 0.1 s', flush=True)
time.sleep(1000)
"""


class StartTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

  def until(self, words):
    return start.until(words, 'first step after', self.root / 'cache')

  def test_time_to_a_line(self):
    cost = self.until([sys.executable, '-c', STAND_IN])
    self.assertBetween(cost.wall, 1, 10)
    self.assertBetween(cost.cpu, 0.47, 0.9)  # in ticks of 10 ms

  def test_a_command_that_fails_is_an_error(self):
    with self.assertRaisesRegex(UserError, 'ended before its first step'):
      self.until([sys.executable, '-c', 'print("first")'])

  @mock.patch.dict(os.environ)
  def test_a_run_tells_its_first_step(self):
    os.environ.pop('PYTHONUNBUFFERED', None)  # would hide that it tells late
    cost = self.until(
      [
        sys.executable, '-m', 'carvana_jax.main', '--config=configs/debug.py',
        f'--workdir={self.root / "run"}',
        f'--config.data.data_dir={commands.debug_run() / "data"}',
      ]
    )  # fmt: skip
    self.assertGreater(cost.wall, 1)
    self.assertNotEmpty(list((self.root / 'cache').glob('*/*-cache')))
    self.assertFalse((self.root / 'run' / 'metrics.jsonl').exists())

  def test_every_second_start_has_the_programs_of_the_one_before(self):
    with mock.patch.object(start, 'until') as until:
      until.side_effect = [Cost(8, 9), Cost(5, 4), Cost(7, 6), Cost(3, 2)]
      found = start.starts(['train'], 2)
    self.assertEqual(
      found,
      {'cold': [(8, 9), (7, 6)], 'warm': [(5, 4), (3, 2)]},
    )
    caches = [call.args[2] for call in until.call_args_list]
    self.assertEqual(caches[0], caches[1])
    self.assertEqual(caches[2], caches[3])
    self.assertNotEqual(caches[0], caches[2])
    workdirs = {call.args[0][1] for call in until.call_args_list}
    self.assertLen(workdirs, 4)

  def test_table(self):
    lines = start.table({'cold': [Cost(8, 9), Cost(7, 1), Cost(1, 2.25)]})
    words = [line.split() for line in lines.splitlines()]
    self.assertEqual(words[1], ['cold', '7.00', '1.00', '8.00', '2.25'])
    self.assertLess(max(map(len, lines.splitlines())), 81)

  def test_help(self):
    self.assertIn('summary', start.verbs())
    (cost,) = start.helps('summary', 1)
    self.assertBetween(cost.cpu, 0.02, 5)
    self.assertGreaterEqual(cost.wall, 0.02)
