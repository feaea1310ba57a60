"""Files of records as TensorFlow writes them and TensorBoard reads them.

A record is the length of its data, that length's checksum, the data, and their
checksum: https://www.tensorflow.org/tutorials/load_data/tfrecord
"""

import functools
import pathlib
import struct

import numpy as np

_LENGTH, _CHECKSUM = struct.Struct('<Q'), struct.Struct('<I')
_POLYNOMIAL = np.uint32(0x82F63B78)  # of CRC-32C, with its bits reversed


def record(data: bytes) -> bytes:
  """Returns a record of data, of which there are 4 bytes at least."""
  length = _LENGTH.pack(len(data))
  return length + _checksum(length) + data + _checksum(data)


def read(path: pathlib.Path) -> tuple[list[bytes], bool]:
  """Reads a file up to its end, or up to a record that is damaged or cut off.

  Returns:
    The data of the records, and whether these are all that the file holds.
  """
  found = []
  with path.open('rb') as file:
    while length := file.read(_LENGTH.size):
      checksum = file.read(_CHECKSUM.size)
      if len(length) < _LENGTH.size or checksum != _checksum(length):
        return found, False
      data = file.read(*_LENGTH.unpack(length))
      checksum = file.read(_CHECKSUM.size)
      if not checksum or checksum != _checksum(data):
        return found, False
      found.append(data)
  return found, True


def _checksum(data):
  """Returns the four bytes that follow data: their CRC-32C, masked."""
  crc = _crc32c(data)
  rotated = crc >> 15 | crc << 17
  return _CHECKSUM.pack((rotated + 0xA282EAD8) % 2**32)


def _crc32c(data):
  """Returns the CRC-32C of 4 bytes or more.

  A checksum that starts from 0 is linear, and zeros in front do not change it:
  so checksums of words, then of pairs of words and so on, come from those of
  their halves, all at once.
  """
  padded = np.zeros(-(-len(data) // 4) * 4, np.uint8)
  own = padded[-len(data) :]
  own[:] = np.frombuffer(data, np.uint8)
  own[:4] ^= 255  # as if it did not start from 0
  parts = _through(_zeros(4), padded.view('<u4'))
  length = 4  # of what a part is the checksum of
  while len(parts) > 1:
    if len(parts) % 2:
      parts = np.append(np.uint32(0), parts)
    parts = _through(_zeros(length), parts[::2]) ^ parts[1::2]
    length *= 2
  return int(parts[0]) ^ 0xFFFFFFFF


def _through(tables, checksums):
  """Returns what checksums become, by tables for each of their bytes."""
  parts = [table[checksums >> 8 * i & 255] for i, table in enumerate(tables)]
  return parts[0] ^ parts[1] ^ parts[2] ^ parts[3]


@functools.cache
def _zeros(count):
  """Returns tables [4, 256] of what checksums become after so many zeros.

  Args:
    count: of bytes, a power of 2.
  """
  if count > 1:
    half = _zeros(count // 2)
    return _through(half, half)
  places = np.arange(0, 32, 8, dtype=np.uint32)[:, None]
  tables = np.arange(256, dtype=np.uint32) << places
  for _ in range(8):
    tables = tables >> 1 ^ (tables & 1) * _POLYNOMIAL
  return tables
