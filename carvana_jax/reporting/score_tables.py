"""Scores in plain words: of evaluations, groups and images."""

from collections.abc import Sequence

from carvana_jax.evaluation import results
from carvana_jax.metrics import table
from carvana_jax.reporting import page
from carvana_jax.system.errors import UserError


def _fraction(value):
  return f'{float(value):.5f}'


def _threshold(value):
  return f'{value:.3f}'


def _percent(value):
  return f'{100 * float(value):.1f}\N{NO-BREAK SPACE}%'


def _interval(ends):
  return ' to '.join(map(_fraction, ends))


def _yes(value):
  return 'yes' if value else 'no'


def _means(metrics):
  return {metric.mean_key: (metric.label, metric.text) for metric in metrics}


# Names in summary.json, in words with units, and how they are written.
_SUMMARY = {
  'images': ('images', str),
  'cars': ('cars', str),
  'dice_mean': ('Dice, mean', _fraction),
  'dice_interval': ('95 % interval by car', _interval),
  'dice_median': ('Dice, median', _fraction),
  'dice_worst_percent': ('Dice, mean of the worst 1 %', _fraction),
  'dice_worst': ('Dice, worst image', _fraction),
  **_means(table.FRACTIONS),
  'wrong_within_4': ('wrong pixels within 4 pixels of the border', _percent),
  'wrong_beyond_16': ('wrong pixels beyond 16 pixels of it', _percent),
  **_means(table.DISTANCES),
  'threshold': ('threshold', _threshold),
  'cleaning': ('cleaning of masks', str),
  'tuned_threshold': ('tuned threshold, best on validation', _threshold),
  'tuned_cleaning': ('tuned cleaning, best on validation', str),
  'tuned_dice_mean': ('Dice, mean, tuned', _fraction),
  'best_threshold': ('threshold best on these images', _threshold),
  'best_threshold_dice_mean': ('Dice, mean, at that threshold', _fraction),
  'best_cleaning': ('cleaning best on these images', str),
  'best_cleaning_dice_mean': ('Dice, mean, with that cleaning', _fraction),
  'flip': ('averaged with the mirrored photo', _yes),
  'size': ('scored at, height x width (pixels)', str),
  'network_size': ("network's size, height x width (pixels)", str),
  'step': ('step of the network', str),
  'fine_step': ('step of the second network, on tiles', str),
}
_DISTANCE = table.METRICS['surface_distance'].text


def summaries(found: Sequence[results.Evaluation]) -> str:
  """A table of all evaluations: a row a score, a column an evaluation.

  So it fits narrow screens. Scores that no evaluation has are left out.
  """
  return page.table(
    [
      {'score': words}
      | {
        one.name: _written(one, name, write) if name in one.summary else ''
        for one in found
      }
      for name, (words, write) in _SUMMARY.items()
      if any(name in one.summary for one in found)
    ]
  )


def _written(found, name, write):
  try:
    return write(found.summary[name])
  except (TypeError, ValueError) as error:
    raise UserError(
      f'the summary.json of {found.name} has {name}={found.summary[name]!r}; '
      'evaluate again.'
    ) from error


def groups(found: results.Evaluation) -> list[str]:
  """A table for every way to group the images, the worst group first."""
  return [
    page.table(
      [
        {
          by: row['group'],
          'images': row['images'],
          'cars': row['cars'],
          'Dice, mean': _fraction(row['dice_mean']),
          'worst': _fraction(row['dice_worst']),
        }
        for row in found.groups
        if row['by'] == by
      ]
    )
    for by in dict.fromkeys(row['by'] for row in found.groups)
  ]


def errors(found: results.Evaluation) -> str:
  """A table of the wrong pixels by distance from the border."""
  return page.table(
    [
      {
        'pixels from the border': band,
        'missed': f'{float(row["missed"]):,.0f}',
        'added': f'{float(row["added"]):,.0f}',
        'share': _percent(row['share']),
        'Dice to gain': _fraction(row['dice_gain']),
      }
      for band, row in zip(bands(found), found.errors, strict=True)
    ]
  )


def bands(found: results.Evaluation) -> list[str]:
  """The bands of distances in words."""
  return [
    f'{row["over"]} to {row["up_to"]}' if row['up_to'] else f'> {row["over"]}'
    for row in found.errors
  ]


def images(rows: Sequence[dict[str, str]]) -> str:
  """A table of some images of an evaluation."""
  return page.table(
    [
      {
        'image': row['filename'],
        'Dice': _fraction(row['dice']),
        'surface distance (pixels)': _DISTANCE(row['surface_distance']),
        'car': _car(row).replace(' ', '\N{NO-BREAK SPACE}'),
      }
      for row in rows
    ]
  )


def image(row: dict[str, str]) -> str:
  """The same of one image, in a line."""
  return (
    f'{row["filename"]} · Dice {_fraction(row["dice"])} · surface distance '
    f'{_DISTANCE(row["surface_distance"])} pixels · {_car(row)}'
  )


def _car(row):
  return f'{row["colour"]} {row["make"]} {row["model"]}'
