"""Findings on masks that don't fit their photos."""

from collections.abc import Iterator, Sequence

from carvana_jax.datasets.diagnosis.file_facts import Facts, MaskFacts
from carvana_jax.datasets.diagnosis.mask_fit import SMALLEST, Fit
from carvana_jax.datasets.diagnosis.single_files import (
  CORRECT,
  Finding,
  is_extreme,
)

# Chosen on half of the cars in `train` and tried on the others, see
# `benchmarks/wrong_labels.py`. Right masks there have a share of the frame of
# 0.1, a mirrored agreement of 0.95, and scores from 0.33 on; of those of other
# photos one in 200 has more than 0.31. On backgrounds full of edges right ones
# have lower scores, but stand out by 6.8 spreads and more.
_FRAMED = 0.75
_BETTER = 1.15
_OUTSTANDING = 5.5
_SURELY = 0.8  # of the least score: wrong all the same
_PLACED = 0.08  # above the least score: the agreement of a shifted mask


def count(facts: Sequence[Facts]) -> int:
  """Returns how many masks were compared with their photos."""
  return sum(_fit(x) is not None for x in facts)


def misfits(facts: Sequence[Facts]) -> Iterator[Finding]:
  """Yields the masks that surely are not those of their photos."""
  for x in facts:
    fit = _fit(x)
    fault = fit and _fault(fit, x.mask.size)
    if fault:
      yield Finding(x.pair, str(x.pair.mask), *fault[:2], CORRECT, fault[2])


def _fit(facts) -> Fit | None:
  mask = facts.mask
  sound = isinstance(mask, MaskFacts) and not is_extreme(mask)
  return mask.fit if sound else None


def _fault(fit: Fit, size: tuple[int, int]) -> tuple[str, str, float] | None:
  """Returns value, expected value and deviation; None without a fault."""
  if fit.framed > _FRAMED:
    value = f'inverted: {fit.framed:.0%} of the frame is car'
    return value, 'background at the frame', 2.0
  if fit.side < SMALLEST:
    return None
  # Of a small picture the border is coarse, and many fit.
  least = 0.36 - 24 / fit.side
  own = max(fit.agreement, 0.01)
  better, way = max(
    (fit.mirrored, 'mirrored'), (fit.upside_down, 'upside down')
  )
  if better > max(least, _BETTER * own):
    value = f'fits {own:.2f}; {better:.2f} if it is {way}'
    return value, 'to fit best as it is', better / own
  score = own * min(own / max(fit.best, 0.01), 1.0)
  outstanding = fit.outstanding > _OUTSTANDING and score > _SURELY * least
  if score >= least or outstanding:
    return None
  value = f'fits {own:.2f}, no edges along its border'
  if fit.best > least + _PLACED:
    down, right = (x * y for x, y in zip(fit.place, size, strict=True))
    value = (
      f'fits {own:.2f}; {fit.best:.2f} if moved {abs(down):.0f} px '
      f'{"down" if down > 0 else "up"}, {abs(right):.0f} px '
      f'{"right" if right > 0 else "left"}'
    )
  return value, f'at least {least:.2f}', least / score
