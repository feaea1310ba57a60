"""Ratios and processes of the comparison with other libraries."""

import contextlib
import io
import json
import pathlib
import sys
import tempfile
import types
from unittest import mock

import chex
from absl.testing import parameterized

from benchmarks import own_step, step, workers
from carvana_jax.system.errors import UserError

# A library that takes as many seconds for a step as its second argument says.
STAND_IN = """
import sys
print('a word of warning')
print('answer:', sys.argv[1], flush=True)
for line in sys.stdin:
  task, count = line.split()
  print('answer:', float(sys.argv[2]) * int(count), flush=True)
"""


def stand_in(seconds, parameters=7):
  return [[sys.executable, '-c', STAND_IN, str(parameters), str(seconds)]]


class RatioTest(chex.TestCase):
  def test_is_the_median_of_the_better_peer(self):
    found = {
      step.OURS: [1.0, 2.0, 4.0],
      'a': [3.0, 6.0, 4.0],  # 3, 3, 1
      'b': [2.0, 8.0, 6.0],  # 2, 4, 1.5
    }
    self.assertEqual(step.ratios(found), [1.5, 2.0, 4.0])


class WorkersTest(chex.TestCase):
  def test_asked_in_turn(self):
    commands = {'fast': stand_in(0.5), 'pair': stand_in(1) + stand_in(3)}
    with workers.started(commands) as asked:
      found = workers.times(asked, ('train', 'infer'), rounds=2, seconds=4)
    # Of two processes that work together the slower one counts.
    expected = {'fast': [0.5, 0.5], 'pair': [3.0, 3.0]}
    self.assertEqual(found, {'train': expected, 'infer': expected})

  def test_networks_of_different_sizes_are_refused(self):
    commands = {'a': stand_in(1, 7), 'b': stand_in(1, 8)}
    with (
      self.assertRaisesRegex(UserError, "{'a': 7.0, 'b': 8.0}"),
      workers.started(commands),
    ):
      pass

  def test_a_process_that_fails_is_named(self):
    commands = {'broken': [[sys.executable, '-c', '1 / 0']]}
    with (
      self.assertRaisesRegex(UserError, 'broken failed'),
      workers.started(commands),
    ):
      pass


class StepTest(chex.TestCase):
  @parameterized.parameters(*step.CASES)
  def test_nothing_random_is_compared(self, name):
    config = own_step.compared_config(name)
    self.assertFalse(any(config.augment.values()))
    self.assertEqual(config.model.dropout, 0)

  def test_command_writes_ratios(self):
    """Of this project and Keras; PyTorch is not there."""
    case = step.Case('tiny_unet128', 16, 24, 4)
    commands = step.commands(case, 'nowhere')
    commands |= {name: stand_in(1e9, 120_965) for name in step.LAYOUTS}
    file = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())) / 'a'
    flags = types.SimpleNamespace(
      cases=['tiny_unet128'],
      peers=sys.executable,
      rounds=2,
      seconds=0.1,
      json=str(file),
    )
    output = io.StringIO()
    with (
      mock.patch.object(step.flags, 'FLAGS', flags),
      mock.patch.dict(step.CASES, tiny_unet128=case),
      mock.patch.object(step, 'commands', lambda *_: commands),
      contextlib.redirect_stdout(output),
    ):
      step.main()
    (row,) = json.loads(file.read_text())
    self.assertEqual(row['case'], 'tiny_unet128')
    for task in step.TASKS:
      rates = row['images_per_second'][task]
      self.assertEqual(rates['PyTorch'], 4e-9)
      self.assertGreater(rates[step.OURS], 1)
      self.assertGreater(rates[step.KERAS], 1)
      # Two rounds differ by much less than that on any machine.
      expected = rates[step.OURS] / rates[step.KERAS]
      self.assertBetween(row[f'ratio_{task}'] / expected, 0.05, 20)
    for line in output.getvalue().splitlines():
      self.assertLessEqual(len(line), 80)

  def test_unknown_cases_and_missing_peers(self):
    flags = types.SimpleNamespace(cases=['studios'], peers=sys.executable)
    with mock.patch.object(step.flags, 'FLAGS', flags):
      with self.assertRaisesRegex(UserError, '--cases=studios is unknown'):
        step.main()
      flags.cases, flags.peers = ['studio'], '/nowhere/python'
      with self.assertRaisesRegex(UserError, 'python3 -m venv .peers'):
        step.main()
