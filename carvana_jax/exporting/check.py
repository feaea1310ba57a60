"""Compares what an exported network says of photos with what JAX says."""

import dataclasses
import pathlib
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np
import onnx
import onnxruntime

from carvana_jax.exporting import references
from carvana_jax.inference.prediction import Prediction
from carvana_jax.masks import from_logits
from carvana_jax.metrics import overlap
from carvana_jax.system.errors import UserError
from carvana_jax.training import trained_run

_LOGITS = 1e-4  # by how much logits may differ
_ROUNDING = 2  # how many times further than JAX a file may be from exact ones
# By how much a mask of another form may differ, in Dice, and in any case in so
# many pixels, which count for more where a mask is small.
_FORM, _FEW = 2e-4, 8
# The least mean Dice with JAX's masks. Below, a network is broken.
_LEAST = {'float16': 0.99, 'int8': 0.9}


@dataclasses.dataclass
class Findings:
  """What a comparison has found."""

  things: str  # what was compared, such as photos
  logits: float = 0  # the largest difference, see `compare`
  pixels: int = 0
  other: int = 0  # pixels in which masks differ
  dice: list[float] = dataclasses.field(default_factory=list)  # with JAX's
  # With true masks, where they are known: that of JAX and the file's.
  true: list[tuple[float, float]] = dataclasses.field(default_factory=list)

  def exact_line(self) -> str:
    """Returns what was found of a file that is to say the same as JAX."""
    millions = self.pixels / 1e6
    of = f'{millions:.0f} million' if millions >= 1 else f'{self.pixels:,}'
    return (
      f'checked on {len(self.dice)} {self.things}: logits differ by at most '
      f'{self.logits:.0e}, masks in {self.other:,} of {of} pixels'
    )

  def dice_line(self) -> str:
    """Returns what was found of a file that is to say nearly the same."""
    line = (
      f"checked on {len(self.dice)} {self.things}: Dice with JAX's masks "
      f'{np.mean(self.dice):.5f}, at worst {min(self.dice):.5f}'
    )
    if not self.true:
      return line
    before, after = np.mean(self.true, axis=0)
    return (
      f'{line}; with the true masks {after:.5f}, where JAX has {before:.5f}'
    )

  def add(
    self, expected: np.ndarray, actual: np.ndarray, truth: np.ndarray | None
  ) -> int:
    """Adds a photo's masks, bool [H, W].

    Args:
      expected: what JAX says.
      actual: what the file says.
      truth: the true mask, if it is to be compared with.

    Returns:
      In how many pixels the first two differ.
    """
    wrong = int(np.count_nonzero(expected != actual))
    self.pixels += expected.size
    self.other += wrong
    self.dice.append(_dice(expected, actual))
    if truth is not None:
      self.true.append((_dice(expected, truth), _dice(actual, truth)))
    return wrong


def session_of(
  model: onnx.ModelProto | pathlib.Path,
) -> onnxruntime.InferenceSession:
  """Loads a model, or the file of one, into ONNX Runtime.

  Raises:
    UserError: it is none that ONNX Runtime runs.
  """
  options = onnxruntime.SessionOptions()
  options.log_severity_level = 4  # what it fails at, it raises
  if not isinstance(model, pathlib.Path):
    model = model.SerializeToString()
  try:
    return onnxruntime.InferenceSession(
      model, options, providers=['CPUExecutionProvider']
    )
  except Exception as error:  # of kinds of its own
    reason = ' '.join(str(error).split())[:200]
    raise UserError(f'ONNX Runtime refuses the network ({reason}).') from error


def compare(
  run: trained_run.Run,
  pairs: Iterable[tuple[Any, Prediction]],
  things: str,
  model: onnx.ModelProto | pathlib.Path,
  precision: str,
  level: int,
  ask: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Findings:
  """Compares a model with JAX.

  Args:
    run: the network.
    pairs: photos, as of `sample_photos`, or what else the network is given; and
      what JAX says of them.
    things: what they are, in words.
    model: of the network, of form `network`; or the file of one.
    precision: one of `forms.PRECISIONS`; with float32 both are to say the same.
    level: from which on pixels are object, see `from_logits`.
    ask: the network in another form: returns the probabilities, float32 [H, W],
      of a photo's pixels, uint8 [H, W, 3]. Masks are then made of these; None:
      they are made of logits, as `predict` does it.

  Raises:
    UserError: they differ by more than the precision explains.
  """
  session = session_of(model)
  found = Findings(things)
  exact = precision == 'float32'
  channels = session.get_inputs()[0].shape[-1]  # the others are 0
  # Accelerators would round the factors of products.
  with jax.default_matmul_precision('highest'):
    for photo, prediction in pairs:
      given = prediction.given
      image = given.inputs[0].image
      seen = image[None, ..., :channels]
      own = session.run(['logits'], {'image': seen})[0][0]
      expected = prediction.levels() >= level
      if ask:
        actual = ask(given.photo) >= from_logits.threshold_of(level)
      else:
        actual = prediction._replace(logits=(own,)).levels() >= level
      truth = None if exact or not getattr(photo, 'mask', None) else photo.mask
      wrong = found.add(expected, actual, truth and truth())
      if exact:
        _compare_logits(found, photo, run, prediction, own)
        if ask and not found.dice[-1] >= 1 - _FORM and wrong > _FEW:
          _refuse(f'masks of {photo} have a Dice of {found.dice[-1]:.5f}')
  if not exact and not np.mean(found.dice) >= _LEAST[precision]:
    raise UserError(
      f"in {precision} the network's masks have a Dice of only "
      f"{np.mean(found.dice):.3f} with JAX's, so no file is written; choose "
      'another --precision.'
    )
  return found


def _compare_logits(found, photo, run, prediction, own):
  """Refuses a model whose logits of a photo are not those of JAX.

  Both round, and the more the larger numbers are. So where they differ by more
  than allowed, JAX in float64 tells how far both are from exact logits.
  """
  (expected,) = prediction.logits
  differ = _difference(own, expected)
  if not differ <= _LOGITS:
    image = prediction.given.inputs[0].image
    exact = references.in_float64(run, image)
    differ = _difference(own, exact)
    most = max(_LOGITS, _ROUNDING * _difference(expected, exact))
    if not differ <= most < np.inf:
      _refuse(f'logits of {photo} differ by {differ:.1g}')
  found.logits = max(found.logits, differ)


def _difference(one, other):
  # NaN is no number, and larger than any.
  return float(np.nan_to_num(np.abs(one - other).max(), nan=np.inf))


def _refuse(reason):
  raise UserError(
    f'ONNX Runtime and JAX disagree on the network ({reason}), so no file is '
    "written; please report it with the run's config.json."
  )


def _dice(one, other):
  return overlap.mask_scores(one, other)['dice']
