"""Makes the files of a photo: its mask, and what is made with the mask."""

import hashlib
import pathlib
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from carvana_jax.datasets import images, names
from carvana_jax.inference import photos
from carvana_jax.inference.prediction import Prediction
from carvana_jax.masks import composite, doubt, encoding, from_logits, layers
from carvana_jax.system import files
from carvana_jax.system.errors import UserError


class Wanted(NamedTuple):
  """What to make besides the mask."""

  probability: bool = False
  cutout: str | None = None  # png or webp
  trim: bool = False  # whether the cut-out is cropped to the car
  background: np.ndarray | None = None  # uint8 [h, w, 3], of a composite
  shadow: str = 'own'  # of the composite, one of `names.SHADOWS`
  background_name: str | None = None  # the background, as the user gave it
  background_digest: str = ''  # follows from its pixels

  @property
  def photo(self) -> bool:
    """Whether the photo's own pixels are needed."""
    return self.cutout is not None or self.background is not None

  @property
  def settings(self) -> dict[str, Any]:
    """What the files depend on besides the networks and the photos."""
    settings = {}
    if self.cutout:
      settings['trim'] = self.trim
    if self.background is not None:
      settings |= {
        'background': self.background_name,
        'background_digest': self.background_digest,
        'shadow': self.shadow,
      }
    return settings

  def made_of(self, ending: str, photos: str) -> str:
    """Returns what a file is made of: of photos, and maybe the background.

    Args:
      ending: of the file's name.
      photos: tells the photo, or all of its car, from others.
    """
    is_composite = ending == names.COMPOSITE_ENDING
    return f'{photos} {self.background_digest}' if is_composite else photos


class Made(NamedTuple):
  """What is written of a photo."""

  files: list[bytes]  # in the order of `endings`
  is_empty: bool  # whether no car was found
  doubt: doubt.Doubt  # in the mask


def parse_wanted(
  probability: bool,
  cutout: str | None,
  trim: bool,
  background_name: str | None,
  shadow: str | None,
) -> Wanted:
  """Returns what is wanted by the flags of `predict`.

  Args:
    probability: --save_probabilities.
    cutout: --cutout, png or webp; None for no cut-out.
    trim: --trim.
    background_name: --background, see `background`; None for no composite.
    shadow: --shadow, one of `names.SHADOWS`; None for the car's own.

  Raises:
    UserError: the flags don't go together, or the background can't be read.
  """
  if trim and not cutout:
    raise UserError('--trim is of no use without --cutout.')
  if shadow and not background_name:
    raise UserError(f'--shadow={shadow} is of no use without --background.')
  pixels = background(background_name)
  wanted = Wanted(
    probability, cutout, trim, pixels, shadow or 'own', background_name
  )
  if pixels is None:
    return wanted
  digest = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes())
  return wanted._replace(background_digest=digest.hexdigest()[:16])


def background(text: str | None) -> np.ndarray | None:
  """Reads the background of composites.

  Args:
    text: a colour, or the path of an image; None where none is wanted.

  Returns:
    The pixels, uint8 [h, w, 3], of a colour a single one; or None.

  Raises:
    UserError: the text is neither a colour nor an image.
  """
  if text is None:
    return None
  path = files.expand(text)
  if not path.is_file():
    try:
      return composite.plain_background(composite.parse_colour(text), 1, 1)
    except UserError as error:
      raise UserError(
        f'--background: {error} No such file is there.'
      ) from error
  try:
    return photos.on_disk(str(path)).pixels()
  except UserError as error:
    raise UserError(f'--background: {error}') from error


def endings(wanted: Wanted) -> list[str]:
  """Returns the endings of the names of a photo's files, in their order."""
  found = [names.MASK_ENDING]
  if wanted.probability:
    found.append(names.PROBABILITY_ENDING)
  if wanted.cutout:
    found.append(names.CUTOUT_ENDINGS[wanted.cutout])
  if wanted.background is not None:
    found.append(names.COMPOSITE_ENDING)
  return found


def path(output: pathlib.Path, name: str, ending: str) -> pathlib.Path:
  """Returns where a file of a photo goes.

  Args:
    output: the folder for the files.
    name: the photo's, see `photos.Photo.name`.
    ending: one of `endings`.
  """
  return output / f'{name}{ending}'


def make(prediction: Prediction, masking: ConfigDict, wanted: Wanted) -> Made:
  """Makes the files of a photo.

  Args:
    prediction: of the photo, with its pixels if `wanted.photo`.
    masking: `config.eval`, see `from_logits.mask_of`.
    wanted: which files.

  Raises:
    UserError: the photo is too large for a format. The message is to follow the
      photo's name.
  """
  levels = prediction.levels()
  mask = from_logits.mask_of(levels, masking)
  made = [encoding.mask(mask)]
  if wanted.probability:
    made.append(images.encode_png(from_logits.probabilities(levels)))
  if wanted.photo:
    photo = prediction.given.photo
    taken_apart = layers.take_apart(photo, levels, mask, masking.threshold)
    if wanted.cutout:
      made.append(_cut_out(taken_apart, wanted))
    if wanted.background is not None:
      made.append(_composite(taken_apart, wanted))
  doubted = doubt.of(levels, mask, masking.threshold)
  return Made(made, from_logits.is_empty(mask), doubted)


def _cut_out(taken_apart, wanted):
  cut = taken_apart.cut_out(wanted.trim)
  return encoding.png(cut) if wanted.cutout == 'png' else encoding.webp(cut)


def _composite(taken_apart, wanted):
  pixels = taken_apart.composite(wanted.background, wanted.shadow)
  return encoding.jpeg(pixels)
