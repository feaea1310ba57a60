"""Progress bars, the same in all commands."""

from collections.abc import Iterable
from typing import TextIO

from tqdm import tqdm

_is_hidden = False


def bar(
  items: Iterable | None = None,
  *,
  total: int,
  unit: str,
  title: str = '',
  initial: int = 0,
) -> tqdm:
  """Returns a progress bar, drawn on a terminal only and removed at its end.

  Args:
    items: what the bar yields, counting; None where the caller counts, by the
      bar's method `update`.
    total: how many items there are with those done before.
    unit: what an item is called.
    title: what stands before the bar.
    initial: how many items were done before.

  Returns:
    An iterable, and a context manager.
  """
  return tqdm(
    items,
    desc=title,
    total=total,
    unit=unit,
    initial=initial,
    leave=False,
    disable=True if _is_hidden else None,  # None: unless on a terminal
  )


def hide_bars() -> None:
  """Draws no bar from here on, where another process draws the same ones."""
  global _is_hidden
  _is_hidden = True


def print_above(text: str, stream: TextIO | None = None) -> None:
  """Prints a line above the bars on the terminal, and does so at once.

  Args:
    text: the line.
    stream: where to; None for standard output.
  """
  with tqdm.external_write_mode():
    print(text, file=stream, flush=True)
