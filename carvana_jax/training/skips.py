"""Steps that were skipped because their numbers were not finite."""

from carvana_jax.datasets.run_data import RunData
from carvana_jax.system.errors import UserError


class Skips:
  """Ends a run that skips too many steps in a row."""

  def __init__(self, data: RunData, limit: int):
    """`limit`: how many steps in a row end the run."""
    self._data = data
    self._limit = limit
    self.row = 0  # how many were skipped just before the next

  def add(self, step: int, skipped: bool) -> None:
    """Takes note of a step; call it for every one, in their order.

    Args:
      step: counted from 1 over all epochs.
      skipped: whether it was.

    Raises:
      UserError: the limit is reached.
    """
    self.row = self.row + 1 if skipped else 0
    if self.row < self._limit:
      return
    files = ', '.join(self._data.training_files(step - 1))
    raise UserError(
      f'the loss or its gradient was not finite in {self._limit} steps in a '
      f'row, the last of them step {step} on {files}; choose another --workdir '
      'and a lower config.optimizer.learning_rate or '
      'config.optimizer.clip_norm, or look at these files.'
    )
