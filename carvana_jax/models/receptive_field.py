"""Receptive fields: how much of the input a layer's output depends on.

With the jump j, how many pixels of the input lie between neighbouring outputs,
the field's side r follows layer by layer from r = j = 1 (Araujo et al. 2019,
"Computing receptive fields of convolutional neural networks"):

    r_out = r_in + (k - 1) * j_in
    j_out = j_in * s

for a kernel of k x k and a stride s. A pooling of s x s pixels, or s x s pixels
that become channels, counts as k = s. What enlarges by s, with a kernel or by
repeating pixels (k = s), has

    r_out = r_in + (k - s) * j_out
    j_out = j_in / s

and where features are joined, the larger r counts. After an enlargement, pixels
next to each other may see regions of different sizes; r is the mean of these.
Normalisation by statistics of the picture itself (GroupNorm) is left out.
"""

from collections.abc import Sequence
from typing import NamedTuple


class Step(NamedTuple):
  """A layer, as far as receptive fields are concerned."""

  name: str
  rows_in: int  # rows of its input
  rows_out: int  # and of its output
  kernel: int = 1  # rows of its kernel; 1 without one
  transposed: bool = False  # whether it is a transposed convolution


def sides(
  steps: Sequence[Step],
  patch: int = 1,
  skips: Sequence[tuple[str, str]] = (),
) -> list[int]:
  """Returns the side of each layer's receptive field.

  Args:
    steps: the layers in the order in which they are called. Each is given what
      the one before it returned, pooled where it has fewer rows and enlarged by
      repeating pixels where it has more.
    patch: patch x patch pixels become channels before the first layer.
    skips: the names of the layers that each skip connection leads from and to.

  Returns:
    Pixels of the network's input, as many as there are steps.
  """
  total = patch * steps[0].rows_in  # of the input, padded
  sources = {target: source for source, target in skips}
  found = {}
  side = jump = 1
  for step in steps:
    jump_in, jump_out = total // step.rows_in, total // step.rows_out
    side += max(jump_in - jump, 0)  # of a pooling, where (k - 1) * j is that
    side = max(side, found.get(sources.get(step.name), 0))
    if step.transposed:
      side += (step.kernel - step.rows_out // step.rows_in) * jump_out
    else:
      side += (step.kernel - 1) * jump_in
    found[step.name], jump = side, jump_out
  return list(found.values())
