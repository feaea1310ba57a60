"""What is made of a photo: a row for each path, and its parameters."""

import io
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import cv2
import numpy as np

from carvana_jax.datasets import decoding, images, names
from carvana_jax.masks import composite, encoding
from carvana_jax.serving.limits import Refused, check_pixels
from carvana_jax.system.errors import UserError

_PNG, _WEBP, _JPEG = 'image/png', 'image/webp', 'image/jpeg'
_LONGEST = 100  # characters of the query that an error repeats


class Parameter(NamedTuple):
  """A value in the query of a URL."""

  about: str
  default: str
  choices: tuple[str, ...] = ()  # (): any text that `read` takes
  read: Callable[[str], Any] = str  # raises a `UserError`


class Answer(NamedTuple):
  """What a path makes of a photo."""

  about: str
  # Of what is sent, the first one where the query does not choose.
  kinds: tuple[str, ...]
  # (what the network has made of the photo, values of `parameters`) -> a file.
  make: Callable[[Any, Mapping[str, Any]], bytes]
  parameters: Mapping[str, Parameter] = {}

  def kind(self, values: Mapping[str, Any]) -> str:
    """Returns the media type of what `make` returns for such values."""
    chosen = f'image/{values["format"]}' if 'format' in values else None
    return chosen or self.kinds[0]


def _cutout(removed, values):
  picture = removed.cutout(trim=values['trim'] == '1')
  is_png = values['format'] == 'png'
  return encoding.png(picture) if is_png else encoding.webp(picture)


def _composite(removed, values):
  behind = composite.plain_background(values['background'], 1, 1)
  return encoding.jpeg(removed.composite(behind, values['shadow']))


BY_PATH = {
  '/mask': Answer(
    "The photo's mask, PNG of one bit, white where the object is.",
    (_PNG,),
    lambda removed, values: encoding.mask(removed.mask),
  ),
  '/cutout': Answer(
    'The object with a soft border, and nothing around it.',
    (_PNG, _WEBP),
    _cutout,
    {
      'format': Parameter(
        'Of the picture. Without it WebP, if the header Accept names '
        'image/webp and not image/png.',
        'png',
        ('png', 'webp'),
      ),
      'trim': Parameter(
        'Whether the picture ends where the object ends.', '0', ('0', '1')
      ),
    },
  ),
  '/composite': Answer(
    'The object on another background.',
    (_JPEG,),
    _composite,
    {
      'background': Parameter(
        'A colour: a name such as white, or rrggbb, with %23 before it or '
        'without.',
        'white',
        read=composite.parse_colour,
      ),
      'shadow': Parameter(
        "The object's own, a synthetic one or none.", 'own', names.SHADOWS
      ),
    },
  ),
  '/probability': Answer(
    'How sure the network is of every pixel, grey PNG, 0 to 255.',
    (_PNG,),
    lambda removed, values: images.encode_png(removed.probability),
  ),
  '/levels': Answer(
    'The logits in 256 steps, grey PNG: 128 + 16 x logit, rounded down.',
    (_PNG,),
    lambda removed, values: images.encode_png(removed.levels),
  ),
}


def values_of(
  answer: Answer, query: Mapping[str, str], accept: str
) -> dict[str, Any]:
  """Reads the parameters of an answer.

  Args:
    answer: a value of `BY_PATH`.
    query: names and values in the URL.
    accept: the header Accept, '' if there is none.

  Raises:
    Refused: one of them is unknown or wrong.
  """
  for name in query:
    if name not in answer.parameters:
      known = ', '.join(answer.parameters) or 'none'
      raise Refused(
        422, f'{name[:_LONGEST]!r} is no parameter here; there are: {known}.'
      )
  values = {}
  for name, parameter in answer.parameters.items():
    text = query.get(name, parameter.default)[:_LONGEST]
    if parameter.choices and text not in parameter.choices:
      choices = ', '.join(parameter.choices)
      raise Refused(422, f'{name}={text!r}: choose from {choices}.')
    try:
      values[name] = parameter.read(text)
    except UserError as error:
      raise Refused(422, f'{name}: {error}') from error
  prefers_webp = _WEBP in accept and _PNG not in accept
  if _WEBP in answer.kinds and 'format' not in query and prefers_webp:
    values['format'] = 'webp'
  return values


def decode(data: bytes, megapixels: float) -> np.ndarray:
  """Decodes a photo as `predict` does.

  Args:
    data: the photo's file.
    megapixels: which it has at most.

  Returns:
    uint8 [H, W, 3], sRGB, upright.

  Raises:
    Refused: it is no photo, too large or damaged.
  """
  try:
    # By the header: a few bytes may stand for billions of pixels.
    check_pixels(decoding.size_of(io.BytesIO(data)), megapixels)
    return decoding.decode(data)
  except images.TooLargeError as error:
    raise Refused(413, f'the photo {error}; make it smaller.') from error
  except ValueError as error:
    kind = decoding.kind_of(data[: decoding.HEAD])
    is_known = kind and decoding.ENDING_OF[kind] not in decoding.LACKING
    raise Refused(
      422 if is_known else 415, f'the photo {error}; send another one.'
    ) from error


def make(
  answer: Answer,
  values: Mapping[str, Any],
  data: bytes,
  remove: Callable[[np.ndarray], Any],
  megapixels: float,
) -> bytes:
  """Makes an answer of a photo.

  Args:
    answer: a value of `BY_PATH`.
    values: of its parameters.
    data: the photo's file.
    remove: takes pixels, as a `portable.remover.Remover`.
    megapixels: which the photo has at most.

  Returns:
    The bytes of the answer, as `predict` writes them; where an opacity or a
    probability is on the edge between two steps, it may be the other one.

  Raises:
    Refused: it cannot be made of this photo.
  """
  try:
    return answer.make(remove(decode(data, megapixels)), values)
  except UserError as error:  # such as a side too long for WebP
    raise Refused(422, f'the photo {error}') from error
  except (MemoryError, cv2.error) as error:
    if isinstance(error, cv2.error) and error.code != cv2.Error.StsNoMem:
      raise
    raise Refused(
      503, 'there is too little memory for this photo; make it smaller.'
    ) from error
