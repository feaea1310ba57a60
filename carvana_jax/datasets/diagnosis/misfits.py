"""Findings on masks that don't fit their photos."""

from collections.abc import Iterator, Sequence

from carvana_jax.datasets.diagnosis.file_facts import Facts, MaskFacts
from carvana_jax.datasets.diagnosis.mask_fit import SMALLEST, Fit
from carvana_jax.datasets.diagnosis.pairs import CAR
from carvana_jax.datasets.diagnosis.single_files import (
  CORRECT,
  Finding,
  is_extreme,
)

# Chosen on the real cars in `train` and on rendered ones; how many wrong masks
# are found is in `benchmarks/README.md`. Of right masks of 480 pixels the share
# of the frame is at most 0.1, the mirrored agreement 0.95 times their own, and
# the score at least 0.33; of those of other photos one in 200 has 0.31. Before
# a clutter right ones score as low, but stand out by 6.8 spreads and more.
_FRAMED = 0.75
_BETTER = 1.15
_OUTSTANDING = 5.5
_SURELY = 0.8  # of the least score: wrong all the same
_PLACED = 0.08  # above the least score: the agreement of a shifted mask


def count(facts: Sequence[Facts]) -> int:
  """Returns how many masks were compared with their photos."""
  return sum(_fit(x) is not None for x in facts)


def misfits(facts: Sequence[Facts], thing: str = CAR) -> Iterator[Finding]:
  """Yields the masks that surely are not those of their photos.

  Args:
    facts: of the pairs.
    thing: what the masks show.
  """
  for x in facts:
    fit = _fit(x)
    fault = fit and _fault(fit, x.mask.size, thing)
    if fault:
      value, expected, deviation = fault
      file = str(x.pair.mask)
      yield Finding(x.pair, file, value, expected, CORRECT, deviation)


def _fit(facts) -> Fit | None:
  mask = facts.mask
  sound = isinstance(mask, MaskFacts) and not is_extreme(mask)
  return mask.fit if sound else None


def _fault(
  fit: Fit, size: tuple[int, int], thing: str
) -> tuple[str, str, float] | None:
  """Returns value, expected value and deviation; None without a fault."""
  if fit.framed > _FRAMED:
    value = f'inverted: {fit.framed:.0%} of the frame is {thing}'
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
