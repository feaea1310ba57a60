"""Decoded examples, kept in memory: the same bytes, and nothing left."""

import contextlib
import io
import multiprocessing
import os
import pathlib
import signal
import tempfile
import unittest
from unittest import mock

import chex
import numpy as np

from carvana_jax.configs import debug
from carvana_jax.datasets import decoded, images, input_pipeline, prepare
from carvana_jax.parallel import processes
from tests.helpers import numbered

SHAPE = decoded.Shape(5, (4, 6, 3))
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (5, 4, 6, 3), np.uint8)
MASKS = RNG.integers(0, 256, (5, 4, 6), np.uint8)


def is_mapped():
  """Whether this process holds memory that was kept."""
  return 'memfd:decoded' in pathlib.Path('/proc/self/maps').read_text()


def keep(shapes):
  """What is kept, and what is printed."""
  with contextlib.redirect_stdout(io.StringIO()) as out:
    return decoded.keep(shapes), out.getvalue()


def read(kept, index):
  image, mask = np.empty((4, 6, 3), np.uint8), np.empty((4, 6), np.uint8)
  kept.read(image, mask, index)
  return image, mask


def exchange(pipe, index):
  """A `processes.gather` for two processes with a pipe between them."""

  def gather(value):
    pipe.send(value)
    values = [value, pipe.recv()]
    return values[::-1] if index else values

  return mock.patch.object(processes, 'gather', gather)


def second_process(pipe):
  """Writes the example 3, and the half of 4; then it waits for its end."""
  with exchange(pipe, 1):
    kept = keep({'train': SHAPE})[0]['train']
  kept.write(IMAGES[3], MASKS[3], 3)
  kept.confirm(np.array([3]))
  kept.write(IMAGES[4], 0, 4)
  pipe.send(len(os.listdir('/proc/self/fd')))
  pipe.recv()


class NoMemoryFileTest(chex.TestCase):
  def test_pythons_without_it_decode_in_every_epoch(self):
    for change in ({'new': None}, {'side_effect': OSError('not permitted')}):
      with mock.patch.object(os, 'memfd_create', create=True, **change):
        if 'new' in change:
          del os.memfd_create
        kept, printed = keep({'train': SHAPE})
      self.assertEqual(kept, {})
      self.assertStartsWith(printed, 'photos are decoded in every epoch: ')
      self.assertRegex(printed, 'memfd_create|not permitted')


@unittest.skipUnless(hasattr(os, 'memfd_create'), 'not on this system')
class DecodedTest(chex.TestCase):
  def test_what_is_confirmed_can_be_read(self):
    kept, printed = keep({'validation': SHAPE, 'train': SHAPE})
    self.assertEqual(
      printed,
      'decoded photos are kept in memory: validation (1 MB), train (1 MB)\n',
    )
    for index in range(5):
      kept['train'].write(IMAGES[index], MASKS[index], index)
      kept['validation'].write(255, 255, index)
    self.assertFalse(kept['train'].has(np.arange(5)).any())
    kept['train'].confirm(np.array([4, 1]))
    self.assertEqual(
      kept['train'].has(np.arange(5)).tolist(),
      [False, True, False, False, True],
    )
    self.assertFalse(kept['validation'].has(np.arange(5)).any())
    for index in range(5):
      chex.assert_trees_all_equal(
        read(kept['train'], index), (IMAGES[index], MASKS[index])
      )

  def test_half_of_what_is_free(self):
    one = 5 * (4 * 6 * 4 + 1)
    both = {'train': SHAPE, 'validation': decoded.Shape(1, (4, 6, 3))}
    for free, expected in (
      (2 * one - 1, ['validation']),
      (2 * one, ['train']),
      (2 * (one + one // 5), ['train', 'validation']),
      (0, []),
    ):
      with mock.patch.object(decoded, 'free_memory', lambda free=free: free):
        kept, printed = keep(both)
      self.assertEqual(list(kept), expected)
      self.assertEqual('decoded in every epoch' in printed, len(expected) < 2)
      self.assertLen(printed.splitlines(), 1)
    self.assertEqual(
      printed,
      'photos are decoded in every epoch: train (1 MB), validation (1 MB), as '
      'half of the free memory is 0 MB\n',
    )

  def test_where_free_memory_is_not_known(self):
    with mock.patch.object(decoded, 'free_memory', lambda: None):
      kept, printed = keep({'train': SHAPE})
    self.assertEmpty(kept)
    self.assertRegex(printed, 'every epoch: it is not known how much memory')

  def test_memory_is_given_back(self):
    files = os.listdir('/proc/self/fd')
    kept, _ = keep({'train': SHAPE, 'validation': SHAPE})
    train = kept.pop('train')
    del kept
    self.assertTrue(is_mapped())
    del train
    self.assertFalse(is_mapped())
    self.assertLen(os.listdir('/proc/self/fd'), len(files))

  def test_processes_of_a_machine_share(self):
    ours, theirs = multiprocessing.Pipe()
    other = multiprocessing.get_context('spawn').Process(
      target=second_process, args=(theirs,)
    )
    other.start()
    with exchange(ours, 0):
      kept, printed = keep({'train': SHAPE})
    self.assertLen(printed.splitlines(), 1)
    ours.recv()
    os.kill(other.pid, signal.SIGKILL)  # in the middle of example 4
    other.join()
    train = kept['train']
    self.assertEqual(
      train.has(np.arange(5)).tolist(), [False, False, False, True, False]
    )
    chex.assert_trees_all_equal(read(train, 3), (IMAGES[3], MASKS[3]))

  def test_containers_of_a_machine_share_the_budget_only(self):
    own = decoded._offer()
    other = own | {'ids': 'pid:[1]', 'pid': 1, 'free': 0}
    free = 2 * 2 * SHAPE.bytes
    for value, expected in ((free, ['train']), (free - 1, [])):
      own['free'] = value
      kept, _ = decoded._share({'train': SHAPE}, own, [other, own])
      self.assertEqual(list(kept), expected)
    os.close(own['file'])

  def test_a_process_that_may_not_open_the_file_goes_on_without(self):
    with mock.patch.object(
      decoded, 'open', create=True, side_effect=OSError(13, 'no')
    ):
      kept, printed = keep({'train': SHAPE})
    self.assertEmpty(kept)
    self.assertRegex(printed, 'decoded in every epoch: .*no\n')


class RunDataTest(chex.TestCase):
  """Ten numbered pictures, three epochs of three batches."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = cls.enterClassContext(tempfile.TemporaryDirectory())
    builder = numbered.prepare(folder)
    config = debug.get_config()
    config.train.update(batch_size=4, epochs=3)
    with mock.patch.object(prepare, 'identity', lambda *_: ''):
      cls.data = input_pipeline.RunData.open(builder, config)
    cls.whole = list(cls.data.training(0))

  def kept(self):
    with contextlib.redirect_stdout(io.StringIO()) as out:
      data = self.data.keep_decoded()
    self.assertIn(
      'kept in memory: train (1 MB), validation (1 MB)\n', out.getvalue()
    )
    return data

  def decoding(self):
    """Counts decoded masks, of which each example has one."""
    return self.enterContext(
      mock.patch.object(images, 'decode_mask', wraps=images.decode_mask)
    )

  def test_same_batches_and_each_photo_decoded_once(self):
    data, decode = self.kept(), self.decoding()
    batches = list(data.training(0))
    chex.assert_trees_all_equal(batches, self.whole)
    # The padding, and what is read ahead of the second epoch, may not be there.
    self.assertBetween(decode.call_count, 10, 10 + 2 + 2 * 4)

  def test_goes_on_within_an_epoch(self):
    for start in (1, 5):
      data = self.kept()
      chex.assert_trees_all_equal(
        list(data.training(start)), self.whole[start:]
      )

  def test_validation_is_decoded_once(self):
    data, decode = self.kept(), self.decoding()
    first, second = list(data.once('validation')), list(data.once('validation'))
    chex.assert_trees_all_equal(first, list(self.data.once('validation')))
    chex.assert_trees_all_equal(second, first)
    self.assertEqual(decode.call_count, 2 * 4)  # of the kept, of the others

  def test_short_memory(self):
    decode = self.decoding()
    with (
      mock.patch.object(decoded, 'free_memory', lambda: 1000),
      contextlib.redirect_stdout(io.StringIO()),
    ):
      data = self.data.keep_decoded()
    chex.assert_trees_all_equal(list(data.training(0)), self.whole)
    self.assertEqual(decode.call_count, 3 * 3 * 4)

  def test_a_single_epoch_keeps_nothing(self):
    with self.data.config.unlocked():
      self.data.config.train.epochs = 1
    self.addCleanup(self.data.config.train.update, epochs=3)
    with contextlib.redirect_stdout(io.StringIO()) as out:
      self.assertIs(self.data.keep_decoded(), self.data)
    self.assertIn('one epoch', out.getvalue())
