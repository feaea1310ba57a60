"""What is asked of an exported file, beside its kind."""

import pathlib
from typing import NamedTuple

from carvana_jax.portable import forms


class Options(NamedTuple):
  """How a trained network is exported."""

  run: str  # name of the run's folder, which files tell
  form: str = forms.FORMS[0]  # one of `forms.FORMS`
  # One of `forms.PRECISIONS`; None: the usual one of this kind of file.
  precision: str | None = None
  # Photos to check the file on, and to calibrate int8 on, as --input of
  # `predict`; None: those of the run's data set.
  photos: str | None = None
  # What runs networks in browsers, see `runtime.load`.
  runtime: pathlib.Path | None = None
