"""What the server takes at most, and how it refuses the rest."""

import dataclasses
from collections.abc import Mapping

from starlette.requests import Request

_MEGA = 10**6


@dataclasses.dataclass(frozen=True)
class Limits:
  """What one photo, and all of them together, may take."""

  megabytes: float  # of a photo's file
  megapixels: float  # of a photo
  seconds: float  # from a request's first line to its answer
  queue: int  # photos that are read or wait while others are worked on
  workers: int  # photos that are worked on at the same time


class Refused(Exception):
  """A request that gets another answer than it asked for.

  Attributes:
    status: of HTTP.
    headers: of the answer.
  """

  def __init__(
    self, status: int, text: str, headers: Mapping[str, str] | None = None
  ):
    """Constructs the refusal; its text is one line with the remedy."""
    super().__init__(text)
    self.status = status
    self.headers = dict(headers or {})


async def read_body(request: Request, megabytes: float) -> bytes:
  """Reads a photo's file, and no more than it may have.

  Args:
    request: whose body is the file.
    megabytes: which it has at most.

  Raises:
    Refused: it is larger, or empty.
    starlette.requests.ClientDisconnect: the client has gone.
  """
  most = int(megabytes * _MEGA)
  too_large = Refused(
    413,
    f'a photo has at most {megabytes:g} megabytes here; make it smaller.',
  )
  length = request.headers.get('Content-Length', '')
  if length.isdecimal() and int(length) > most:
    raise too_large
  data = bytearray()
  async for chunk in request.stream():
    data += chunk
    if len(data) > most:
      raise too_large
  if not data:
    raise Refused(
      415, 'the body is empty; send a photo: curl --data-binary @photo.jpg URL'
    )
  return bytes(data)


def check_pixels(size: tuple[int, int], megapixels: float) -> None:
  """Refuses a photo of more pixels than are allowed.

  Args:
    size: (H, W) of the photo, by its header.
    megapixels: which it has at most.
  """
  if size[0] * size[1] > megapixels * _MEGA:
    raise Refused(
      413,
      f'the photo is {size[0]}x{size[1]}, but has at most {megapixels:g} '
      'megapixels here; make it smaller.',
    )
