import _thread
import os
import signal
import subprocess
import sys
import threading
import time
from unittest import mock

from absl.testing import absltest

from carvana_jax.system import threads
from tests.helpers.commands import ROOT


class OrderedMapTest(absltest.TestCase):
  def test_keeps_the_order_when_the_first_are_slowest(self):
    def slow(item):
      time.sleep(0.002 * (10 - item))
      return item * item

    squares = list(threads.ordered_map(slow, range(10)))
    self.assertEqual(squares, [0, 1, 4, 9, 16, 25, 36, 49, 64, 81])

  def test_of_nothing_is_nothing(self):
    self.assertEqual(list(threads.ordered_map(str, [])), [])

  @mock.patch('carvana_jax.system.threads.core_count', lambda: 2)
  def test_works_on_two_items_at_once(self):
    both = threading.Barrier(2, timeout=10)
    # A single thread would wait in vain, and the barrier would break.
    self.assertCountEqual(
      threads.ordered_map(lambda _: both.wait(), range(2)), [0, 1]
    )

  @mock.patch('carvana_jax.system.threads.core_count', lambda: 2)
  def test_takes_no_more_items_than_it_may_hold(self):
    taken = []

    def items():
      for item in range(100):
        taken.append(item)
        yield item

    results = threads.ordered_map(lambda item: item, items())
    next(results)
    self.assertLen(taken, 5)  # two a core and the one handed out
    self.assertEqual(list(results), list(range(1, 100)))

  def test_raises_what_the_function_raises(self):
    def fail_at_three(item):
      if item == 3:
        raise ValueError('three')
      return item

    results = threads.ordered_map(fail_at_three, range(10))
    self.assertEqual([next(results) for _ in range(3)], [0, 1, 2])
    with self.assertRaisesRegex(ValueError, 'three'):
      next(results)

  @mock.patch('carvana_jax.system.threads.core_count', lambda: 2)
  def test_dropped_by_one_of_its_threads(self):
    """As by the garbage collector, which may run in any of them."""
    ends, complaints = threading.Event(), []
    is_dropped, held = threading.Event(), []

    def function(item):
      if item:
        ends.wait(10)
        held.clear()  # the last that refers to the results
        is_dropped.set()
      return item

    held.append(threads.ordered_map(function, range(9)))
    with mock.patch.object(sys, 'unraisablehook', complaints.append):
      self.assertEqual(next(held[0]), 0)
      ends.set()
      self.assertTrue(is_dropped.wait(10))
    self.assertEmpty(complaints)

  @mock.patch('carvana_jax.system.threads.core_count', lambda: 2)
  def test_what_has_not_begun_is_left_out_and_what_has_is_awaited(self):
    begun, ended = [], []

    def slow(item):
      begun.append(item)
      time.sleep(0.05)
      ended.append(item)

    results = threads.ordered_map(slow, range(100))
    next(results)
    results.close()
    self.assertLess(len(begun), 5)
    self.assertCountEqual(begun, ended)

  @mock.patch('carvana_jax.system.threads.core_count', lambda: 2)
  def test_an_interruption_while_it_waits(self):
    def interrupt(item):
      if item == 20:  # once all threads have been started
        _thread.interrupt_main()
      time.sleep(0.005)
      return item

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    self.addCleanup(signal.signal, signal.SIGINT, before)
    count = threading.active_count()
    with self.assertRaises(KeyboardInterrupt):
      list(threads.ordered_map(interrupt, range(100)))
    self.assertEqual(threading.active_count(), count)


class ReadAheadTest(absltest.TestCase):
  def test_takes_so_many_in_advance(self):
    left = iter(range(9))
    read = threads.read_ahead(left, 2)
    self.assertEqual(next(read), 0)
    self.assertEqual(next(left), 3)
    self.assertEqual(list(read), [1, 2, *range(4, 9)])

  def test_fewer_items_than_that(self):
    self.assertEqual(list(threads.read_ahead('ab', 5)), ['a', 'b'])


_CODE = (
  'import os; from carvana_jax.system import threads; '
  'before = threads.core_count(); '
  'os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); '
  'print(before, threads.core_count())'
)


class CountTest(absltest.TestCase):
  def test_a_set_of_one_core_is_heeded(self):
    count = subprocess.run(
      [sys.executable, '-c', _CODE],
      cwd=ROOT,
      capture_output=True,
      text=True,
      check=True,
    )
    self.assertEqual(count.stdout, f'{len(os.sched_getaffinity(0))} 1\n')


if __name__ == '__main__':
  absltest.main()
