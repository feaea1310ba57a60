"""Record files, compared with TensorFlow's reader and writer."""

import pathlib
import tempfile

import chex
import numpy as np

from benchmarks.peers.host_tensorflow import tf
from carvana_jax.system import record_files

RNG = np.random.default_rng(0)
# Lengths around multiples of 4, and around powers of 2.
DATA = [RNG.bytes(n) for n in (*range(4, 18), 31, 32, 33, 1023, 5000, 2**17)]


class RecordFilesTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.path = folder / 'records'
    with tf.io.TFRecordWriter(str(self.path)) as writer:
      for data in DATA:
        writer.write(data)

  def test_published_checksum(self):
    """Of RFC 3720, appendix B.4, and of the nine digits."""
    self.assertEqual(record_files._crc32c(bytes(32)), 0x8A9136AA)
    self.assertEqual(record_files._crc32c(b'123456789'), 0xE3069283)

  def test_writes_the_same_bytes(self):
    written = b''.join(map(record_files.record, DATA))
    self.assertEqual(written, self.path.read_bytes())

  def test_reads(self):
    self.assertEqual(record_files.read(self.path), (DATA, True))
    self.path.write_bytes(b'')
    self.assertEqual(record_files.read(self.path), ([], True))

  def test_stops_at_a_record_that_is_cut_off(self):
    first, second = map(record_files.record, DATA[:2])
    for length in range(len(second)):
      self.path.write_bytes(first + second[:length])
      expected = (DATA[:1], length == 0)
      self.assertEqual(record_files.read(self.path), expected)

  def test_stops_at_a_record_that_is_damaged(self):
    first, second, third = map(record_files.record, DATA[:3])
    for place in range(len(second)):
      damaged = bytearray(second)
      damaged[place] ^= 1
      self.path.write_bytes(first + damaged + third)
      self.assertEqual(record_files.read(self.path), (DATA[:1], False))
