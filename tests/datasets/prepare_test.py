"""Data sets are prepared once, whoever asks first."""

import fcntl
import os
import tempfile
import threading

import chex

from carvana_jax.configs import debug
from carvana_jax.datasets import prepare
from tests.helpers import numbered


class TogetherTest(chex.TestCase):
  def test_the_second_waits_and_uses_what_the_first_made(self):
    folder = self.enterContext(tempfile.TemporaryDirectory())
    config = debug.get_config().data
    config.data_dir = folder
    looked, found = threading.Event(), []

    def create():
      builder = numbered.Numbered(data_dir=folder, file_format='array_record')
      looked.set()
      return builder

    number = os.open(folder, os.O_RDONLY)
    # A folder that is opened again is locked as by another process.
    fcntl.flock(number, fcntl.LOCK_EX)
    second = threading.Thread(
      target=lambda: found.append(
        prepare._prepared(config, folder, create, None)
      )
    )
    second.start()
    self.assertTrue(looked.wait(60))
    made = numbered.prepare(folder)
    before = made.data_path.stat().mtime
    self.assertEmpty(found)
    os.close(number)
    second.join(60)
    self.assertEqual(
      found[0].info.splits['train'].num_examples, numbered.SPLITS['train']
    )
    self.assertEqual(found[0].data_path.stat().mtime, before)
