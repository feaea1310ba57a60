"""What an exported network says of itself, as metadata of its ONNX file."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from carvana_jax.datasets import fitting
from carvana_jax.masks import cleaning
from carvana_jax.portable.forms import FORMS, PRECISIONS
from carvana_jax.system.errors import UserError

RGB = ('red', 'green', 'blue')
# Of a second network: the first one's probability, 0..255, in addition.
TILE = (*RGB, 'coarse')


@dataclasses.dataclass(frozen=True)
class Facts:
  """How an exported network is used, and where it comes from."""

  form: str  # one of `forms.FORMS`
  precision: str  # of its weights, one of `forms.PRECISIONS`
  size: tuple[int, int]  # (h, w) of the picture that the network sees
  fit: str  # how photos are brought to that size, one of `fitting.FITS`
  inputs: tuple[str, ...]  # what the channels of the input are: RGB, and more
  flip: bool  # whether the file itself asks about the mirrored picture, too
  threshold: float  # the probability, 0..1, from which on pixels are object
  cleaning: str  # a key of `cleaning.WAYS`
  object: str  # what is cut out, such as 'car'
  network: str  # `trained_run.Run.digest`
  run: str  # name of the run's folder
  step: int  # of the training
  commit: str  # of the code that exported it, '' if unknown

  def strings(self) -> dict[str, str]:
    """Returns the entries of the file's metadata, names and values."""
    entries = dataclasses.asdict(self)
    entries['size'] = f'{self.size[0]}x{self.size[1]}'
    entries['inputs'] = ','.join(self.inputs)
    entries['flip'] = 'yes' if self.flip else 'no'
    return {name: str(value) for name, value in entries.items()}


def read(entries: Mapping[str, str], file: Any) -> Facts:
  """Reads the metadata of an exported network.

  Args:
    entries: of the file's metadata.
    file: the file, which errors name.

  Raises:
    UserError: the file was not written by `export`.
  """
  try:
    height, width = map(int, entries['size'].split('x'))
    facts = Facts(
      form=entries['form'],
      precision=entries['precision'],
      size=(height, width),
      fit=entries['fit'],
      inputs=tuple(entries['inputs'].split(',')),
      flip=entries['flip'] == 'yes',
      threshold=float(entries['threshold']),
      cleaning=entries['cleaning'],
      object=entries['object'],
      network=entries['network'],
      run=entries['run'],
      step=int(entries['step']),
      commit=entries['commit'],
    )
    known = (
      facts.form in FORMS
      and facts.precision in PRECISIONS
      and facts.fit in fitting.FITS
      and facts.cleaning in cleaning.WAYS
    )
  except (KeyError, ValueError):
    known = False
  if not known or not 0 < facts.threshold < 1:
    raise UserError(
      f'{file} is no network of carvana_jax; make one with python -m '
      'carvana_jax.export.'
    )
  return facts
