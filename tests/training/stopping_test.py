"""A signal is noted; a second one is an end."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import chex
from absl.testing import parameterized

from carvana_jax.training.stopping import StopSignal

ROOT = pathlib.Path(__file__).parents[2]


class StopSignalTest(chex.TestCase):
  @parameterized.parameters(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
  def test_the_first_signal_is_noted(self, number):
    # Tests may have been started by nohup.
    before = signal.signal(number, signal.default_int_handler)
    self.addCleanup(signal.signal, number, before)
    with StopSignal() as stop_signal:
      self.assertEqual(stop_signal.received_by_any(), 0)
      os.kill(os.getpid(), number)
      self.assertEqual(stop_signal.received_by_any(), number)
    self.assertEqual(signal.getsignal(number), signal.default_int_handler)

  def test_a_closed_terminal_is_ignored_under_nohup(self):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    self.addCleanup(signal.signal, signal.SIGHUP, before)
    with StopSignal() as stop_signal:
      os.kill(os.getpid(), signal.SIGHUP)
      self.assertFalse(stop_signal.received)
    self.assertEqual(signal.getsignal(signal.SIGHUP), signal.SIG_IGN)

  def test_a_closed_terminal_comes_twice(self):
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    self.addCleanup(signal.signal, signal.SIGHUP, before)
    with StopSignal() as stop_signal:
      for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM):
        os.kill(os.getpid(), number)
      self.assertEqual(stop_signal.received_by_any(), signal.SIGHUP)

  @parameterized.parameters(signal.SIGINT, signal.SIGTERM)
  def test_the_second_ends_the_process_at_once(self, number):
    code = """
from carvana_jax.training.stopping import StopSignal
import time
with StopSignal() as stop_signal:
  print('ready', flush=True)
  while not stop_signal.received:
    time.sleep(0.01)
  print('received', flush=True)
  try:
    time.sleep(60)
  finally:
    print('waited')
"""
    with subprocess.Popen(
      [sys.executable, '-c', code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
      for expected in ('ready', 'received'):
        self.assertEqual(process.stdout.readline().strip(), expected)
        process.send_signal(number)
      began = time.monotonic()
      rest = process.stdout.read()
    self.assertLess(time.monotonic() - began, 30)
    self.assertEqual(process.returncode, 128 + number)
    self.assertEqual(rest, '')
