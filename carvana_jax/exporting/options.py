"""What is asked of an exported file, beside its kind."""

from typing import NamedTuple

from carvana_jax.portable import facts


class Options(NamedTuple):
  """How a trained network is exported."""

  run: str  # name of the run's folder, which files tell
  form: str = facts.FORMS[0]  # one of `facts.FORMS`
  precision: str = facts.PRECISIONS[0]  # one of `facts.PRECISIONS`
  # Photos to check the file on, and to calibrate int8 on, as --input of
  # `predict`; None: those of the run's data set.
  photos: str | None = None
