"""Requests of no use for `benchmarks.serving`: photos that are no photos."""

import io
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

GONE = b''  # the last part of requests whose sender does not wait
_KINDS = ('JPEG', 'PNG', 'WEBP', 'TIFF', 'BMP', 'AVIF')
_OTHERS = (
  b'', b'text', b'GIF89a', b'%PDF-1.7', b'PK\3\4', b'<svg/>', b'{"a": 1}',
  b'RIFF\0\0\0\0WAVEfmt ', b'\0\0\0\x18ftypheic\0\0\0\0heicmif1', b'II*\0',
  b'MM\0*\xff\xff\xff\xff', b'BM', b'\xff\xd8\xff\xe0', b'\x89PNG\r\n\x1a\n',
)  # fmt: skip
_HEADERS = (
  b'Content-Length: -1', b'Content-Length: 1e3', b'Content-Length: 9, 9',
  b'Content-Length: 99999999999999999999', b'Transfer-Encoding: gzip',
  b'Content-Length: 3\r\nContent-Length: 4', b'A' * 70_000, b'no colon',
  b'Content-Encoding: gzip', b'Content-Type: multipart/form-data; boundary=a',
  b'Expect: 200-ok', b'Upgrade: websocket\r\nConnection: upgrade', b'\0: a',
)  # fmt: skip
_PATHS = (b'/mask', b'/cutout?format=webp', b'/composite', b'/levels')


def quick(count: int) -> Iterator[list[bytes]]:
  """Yields requests that an answer is expected of at once.

  Args:
    count: how many; always the same ones.

  Yields:
    What is sent, in parts. After a last one, `GONE`, the sender goes away.
  """
  rng = np.random.default_rng(0)
  makers = (
    _cut, _changed, _other, _too_many_pixels, _wrong_header, _wrong_chunks,
    _left, _no_http,
  )  # fmt: skip
  photos = [_photo(kind) for kind in _KINDS]
  for number in range(count):
    photo = photos[rng.integers(len(photos))]
    yield makers[number % len(makers)](photo, rng)


def slow() -> list[list[bytes]]:
  """Returns requests that never end."""
  photo = _photo('JPEG')
  head = _head(photo, np.random.default_rng(1))
  return [[head[:20]], [head], [head, photo[:200]], [b'P']]


def _photo(kind):
  pixels = np.zeros((60, 80, 3), np.uint8)
  pixels[20:, 20:50] = 200, 180, 240
  stream = io.BytesIO()
  Image.fromarray(pixels).save(stream, kind)
  return stream.getvalue()


def _head(body, rng, *more):
  path = _PATHS[rng.integers(len(_PATHS))]
  if not any(x.startswith((b'Content-L', b'Transfer-E')) for x in more):
    more = (*more, b'Content-Length: %d' % len(body))
  lines = [b'POST %s HTTP/1.1' % path, b'Host: localhost', *more]
  return b'\r\n'.join(lines) + b'\r\n\r\n'


def _cut(photo, rng):
  body = photo[: rng.integers(len(photo))]
  return [_head(body, rng), body]


def _changed(photo, rng):
  body = bytearray(photo)
  for place in rng.integers(len(body), size=rng.integers(1, 30)):
    body[place] = rng.integers(256)
  return [_head(body, rng), bytes(body)]


def _other(photo, rng):
  start = _OTHERS[rng.integers(len(_OTHERS))]
  body = start + rng.bytes(rng.integers(500))
  return [_head(body, rng), body]


def _too_many_pixels(photo, rng):
  """A PNG of a hundred bytes that says how large it is."""
  width, height = (2 ** int(x) - 1 for x in rng.integers(13, 32, 2))
  header = b'IHDR' + width.to_bytes(4) + height.to_bytes(4) + b'\x08\2\0\0\0'
  body = b'\x89PNG\r\n\x1a\n' + _chunk(header)
  body += _chunk(b'IDAT' + zlib.compress(bytes(10_000))) + _chunk(b'IEND')
  return [_head(body, rng), body]


def _chunk(content):
  length = (len(content) - 4).to_bytes(4)
  return length + content + zlib.crc32(content).to_bytes(4)


def _wrong_header(photo, rng):
  return [_head(photo, rng, _HEADERS[rng.integers(len(_HEADERS))]), photo]


def _wrong_chunks(photo, rng):
  size = (b'zz', b'-1', b'fffffffffffffffff', b'%x' % (len(photo) - 1))
  chosen = size[rng.integers(len(size))]
  head = _head(photo, rng, b'Transfer-Encoding: chunked')
  return [head, chosen + b'\r\n', photo, b'\r\n0\r\n\r\n']


def _left(photo, rng):
  return [_head(photo, rng), photo[: rng.integers(len(photo) + 1)], GONE]


def _no_http(photo, rng):
  return [rng.bytes(rng.integers(1, 300)) + b'\r\n\r\n']
