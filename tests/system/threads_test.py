import os
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
