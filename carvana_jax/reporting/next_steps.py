"""What would come next, in sentences, by a few rules on a run's numbers.

They point at what is worth trying first; only a run tells whether it helps.
What Dice lacks is the distance of its mean from 1.

- Flips, threshold and cleaning can be tried without training: a sentence says
  what they gained on these images, or that they are untried.
- The network's size is the limit where perfect masks of that size would lack at
  least half of what Dice lacks, or where most is lost within 4 pixels of the
  border and a pixel of the network is wider than these. If it is not, the
  network could do better at its size. Either way, a second network along the
  border comes first.
- Errors beyond 16 pixels are parts of cars or of the studio. They matter where
  they cost at least a third; they sit in few images where a tenth of the images
  has half of them.
- A loss on validation that is at least 1.25 times that of training is
  overfitting.
- The weakest view, colour and body are named where they are below the mean by
  at least a quarter of what it lacks.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from carvana_jax.datasets import names, prepare, spec
from carvana_jax.evaluation.results import Evaluation
from carvana_jax.metrics import error_bands
from carvana_jax.reporting import score_tables

# From which shares on a sentence is said.
_NOTABLE = 0.01  # a gain, as a share of what Dice lacks
_LIMITING = 0.5  # the resolution's part of what Dice lacks
_COSTLY = 1 / 3  # the far bands' part of what all bands would gain
_FEW = 0.1  # share of the images up to which "few" hold half of the far errors
_OVERFIT = 1.25  # validation loss over training loss
_WEAK = 0.25  # a group's distance from the mean, as a share of what Dice lacks
_COLOUR_CHANGES = (
  'brightness', 'contrast', 'saturation', 'hue', 'gray', 'repaint',
)  # fmt: skip


def sentences(
  evaluation: Evaluation,
  others: Sequence[Evaluation],
  metrics: Sequence[dict[str, float]],
  config: ConfigDict,
) -> list[str]:
  """Says what would come next after an evaluation.

  Args:
    evaluation: the evaluation that the sentences follow from.
    others: all evaluations of the run.
    metrics: the rows of metrics.jsonl.
    config: the config of the run.

  Returns:
    Sentences; none where the evaluation's errors were not counted.
  """
  if not evaluation.errors:
    return []
  lacks = 1 - evaluation.summary['dice_mean']
  if lacks <= 0:
    return ['Every mask is perfect: nothing is left to gain on these images.']
  near, middle, far = _gains(evaluation)
  total = max(near + middle + far, 1e-12)
  return [
    f'Dice lacks {lacks:.5f} of 1. With all pixels right within '
    f'{error_bands.NEAR} pixels of the border it would gain {near:.5f}, '
    f'between {error_bands.NEAR} and {error_bands.FAR} pixels {middle:.5f}, '
    f'beyond {far:.5f}.',
    *_without_training(evaluation, others, config, lacks),
    *_resolution(evaluation, config, lacks, near / total),
    *_far(evaluation, config, far / total),
    *_fit(evaluation, metrics),
    *_weakest(evaluation, lacks),
  ]


def _gains(evaluation):
  """What Dice would gain near the border, farther away, and far from it."""
  gains = [0.0, 0.0, 0.0]
  for row in evaluation.errors:
    over = float(row['over'])
    place = (over >= error_bands.NEAR) + (over >= error_bands.FAR)
    gains[place] += float(row['dice_gain'])
  return gains


def _without_training(evaluation, others, config, lacks) -> Iterator[str]:
  summary = evaluation.summary
  tuned = summary.get('tuned_dice_mean')
  if isinstance(tuned, float):
    yield (
      f'Threshold and cleaning that were best on validation: '
      f'{_gain(tuned - summary["dice_mean"], lacks, "use --tuned")}'
    )
  elif evaluation.of_test:
    yield (
      'Threshold and cleaning are untried: evaluate the validation split, then '
      'this one again.'
    )
  if summary.get('flip') is not False:
    return
  flipped = [
    other.summary
    for other in others
    if other.summary.get('flip') is True
    and _same(other.summary, summary, config.get('data'))
    and isinstance(other.summary.get('dice_mean'), float)
  ]
  if flipped:
    gain = flipped[0]['dice_mean'] - summary['dice_mean']
    advice = 'set config.eval.flip in the next run'
    yield f'Averaging with the mirrored photo: {_gain(gain, lacks, advice)}'
  else:
    yield 'Averaging with the mirrored photo is untried: evaluate with --flip.'


def _percent(share):
  return f'{100 * share:.0f}\N{NO-BREAK SPACE}%'


def _same(one: dict[str, Any], other: dict[str, Any], data_config: Any) -> bool:
  """Whether two summaries are of the same images and network."""
  names = ('split', 'network', 'step', 'fine_step')
  if any(one.get(name) != other.get(name) for name in names):
    return False
  first, second = one.get('origin'), other.get('origin')
  return first == second or (
    isinstance(data_config, ConfigDict)
    and prepare.are_same(data_config, first, second)
  )


def _gain(gain, lacks, advice):
  notable = gain >= _NOTABLE * lacks
  return f'{gain:+.5f} Dice; {advice if notable else "not worth it here"}.'


def _resolution(evaluation, config, lacks, near_share) -> Iterator[str]:
  summary = evaluation.summary
  size, ceiling = summary['network_size'], summary['ceiling_soft_mean']
  pixel = _pixel(evaluation)
  share = (1 - ceiling) / lacks
  near = (
    f'{_percent(near_share)} of the loss is within {error_bands.NEAR} pixels '
    'of the border'
  )
  if 'fine_step' in summary:  # which saw the photo's own pixels
    yield (
      f'{near}, with a second network along it. Next: longer training, then a '
      'larger network.'
    )
    return
  second = 'a second network along the border (carvana_jax.refine), then '
  data = config.get('data')
  if isinstance(data, ConfigDict) and data.get('multiview'):
    second = ''  # `refine` wants whole photos
  perfect = f'perfect masks of {size} would have {ceiling:.5f} (the ceiling)'
  if share >= _LIMITING:
    yield (
      f'The size that the network sees is the limit: {perfect}, so the size '
      f'explains {_percent(share)} of what is lacking. Next: {second}a larger '
      'config.data.size.'
    )
  elif near_share <= 0.5:
    yield (
      f'A larger config.data.size alone would not help much: {perfect}, so the '
      f'size explains {_percent(share)} of what is lacking.'
    )
  elif pixel > error_bands.NEAR:
    yield (
      f'{near}, and a pixel of the network is {pixel:.1f} of them wide. Next: '
      f'{second}a larger config.data.size, although {perfect}.'
    )
  else:
    yield (
      f'{near}, though {perfect}. Next: {second}a larger network '
      '(config.model.first_width) or longer training, then a larger '
      'config.data.size.'
    )


def _pixel(evaluation):
  """The height of a pixel of the network, in pixels of the photo."""
  summary = evaluation.summary
  network = spec.parse_size(summary['network_size'])
  if summary['size'] != names.OWN_SIZE:
    return spec.parse_size(summary['size'])[0] / network[0]
  scales = [
    max(float(row['height']) / network[0], float(row['width']) / network[1])
    for row in evaluation.images
  ]
  return float(np.median(scales))


def _far(evaluation, config, share) -> Iterator[str]:
  counts = sorted(float(row['wrong_far']) for row in evaluation.images)[::-1]
  total = sum(counts)
  if share < _COSTLY or not total:
    return
  half = 1 + int(np.searchsorted(np.cumsum(counts), total / 2))
  far = [
    row for row in evaluation.errors if float(row['over']) >= error_bands.FAR
  ]
  missed, added = (
    sum(float(row[name]) for row in far) for name in ('missed', 'added')
  )
  own = names.is_own(evaluation.summary.get('dataset', ''))
  word = 'object' if own else 'car'
  text = (
    f'{_percent(share)} of the loss is beyond {error_bands.FAR} pixels, where '
    f'whole parts are wrong: {_percent(missed / (missed + added))} of those '
    f'pixels are missed {word}, the others background taken for {word}. '
  )
  if half > max(1, _FEW * len(counts)):
    yield (
      f'{text}They are spread: half of them are in {half} of {len(counts)} '
      'images. Next: average several networks (several --workdir), or a '
      'network that sees more around each pixel (config.model.levels).'
    )
    return
  car, its = _worst_car(evaluation)
  augment = config.get('augment', {})
  colour = any(augment.get(name) for name in _COLOUR_CHANGES)
  yield (
    f'{text}Half of them are in {half} of {len(counts)} images, and '
    f'{_percent(its / total)} in those of one '
    f'{"group" if own else "car"} ({car}). Next: more varied '
    f'{"photos" if own else "cars, rendered ones to begin with"}, and '
    f'{"stronger " if colour else ""}changes of colour (config.augment'
    f'{"" if colour else ", where all are off"}).'
  )


def _worst_car(evaluation):
  """The car with the most far errors, in words, and how many."""
  totals, words = {}, {}
  for row in evaluation.images:
    car = row['car_id']
    totals[car] = totals.get(car, 0) + float(row['wrong_far'])
    words[car] = f'{car}, {score_tables.shown_text(row)}'
  worst = max(totals, key=totals.get)
  return words[worst], totals[worst]


def _fit(evaluation, metrics) -> Iterator[str]:
  if 'fine_step' in evaluation.summary:  # the losses are the first network's
    return
  losses = {
    row['step']: (row['train/loss'], row['validation/loss'])
    for row in metrics
    if row.get('train/loss', 0) > 0 and 'validation/loss' in row
  }
  if evaluation.summary['step'] not in losses:
    return
  train, validation = losses[evaluation.summary['step']]
  word = names.group_word(evaluation.summary.get('dataset', ''))
  both = (
    f'the loss is {train:.4f} on the training {word}s and {validation:.4f} on '
    f'those of validation, {validation / train:.2f} times as much'
  )
  if validation >= _OVERFIT * train:
    yield (
      f'Overfitting: {both}. Next: more {word}s, more config.augment or '
      'config.model.dropout, before a larger network or longer training.'
    )
  else:
    yield (
      f'No overfitting: {both}, so a larger network or longer training can '
      'still help.'
    )


def _weakest(evaluation, lacks) -> Iterator[str]:
  weak = []
  word = names.group_word(evaluation.summary.get('dataset', ''))
  for by in ('view', 'colour', 'body'):
    groups = [row for row in evaluation.groups if row['by'] == by]
    worst = min(groups, key=lambda row: float(row['dice_mean']), default=None)
    if worst is None or len(groups) == 1:
      continue
    below = evaluation.summary['dice_mean'] - float(worst['dice_mean'])
    if below >= _WEAK * lacks:
      count = worst['cars']
      cars = f'{count} {word}{"" if count == "1" else "s"}'
      weak.append(f'{by} {worst["group"]}, {below:.5f} below the mean ({cars})')
  if weak:
    yield f'Weakest: {"; ".join(weak)}.'
