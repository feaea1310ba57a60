"""Tables of the report: scores of evaluations, of groups and of images.

The metrics among them are those of `metrics.table`.
"""

from collections.abc import Sequence

from carvana_jax.datasets import names
from carvana_jax.evaluation import results
from carvana_jax.metrics import table
from carvana_jax.reporting import page
from carvana_jax.system.errors import UserError


def _fraction(value):
  return f'{float(value):.5f}'


def _percent(value):
  return f'{100 * float(value):.1f}\N{NO-BREAK SPACE}%'


def _interval(ends):
  return ' to '.join(map(_fraction, ends))


def _yes(value):
  return 'yes' if value else 'no'


def _means(metrics):
  return {metric.mean_key: (metric.label, metric.text) for metric in metrics}


_threshold = '{:.3f}'.format

# Keys of summary.json: what they are in words, and how they are written.
_SUMMARY = {
  'images': ('images', str),
  'cars': ('{group}s', str),
  'dice_mean': ('Dice, mean', _fraction),
  'dice_interval': ('95 % interval by {group}', _interval),
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
  'splits_text': ('split', str),
  'leak': ('views of its {group}s in other splits', _yes),
  'flip': ('averaged with the mirrored photo', _yes),
  'size': ('scored at, height x width (pixels)', names.size_text),
  'network_size': ("network's size, height x width (pixels)", str),
  'step': ('step of the network', str),
  'fine_step': ('step of the second network, on tiles', str),
}
# The same for evaluations at the network's size.
_AT_NETWORK_SIZE = {
  'images': ('images', str),
  'splits_text': ('split', str),
  'leak': ('views of its {group}s in other splits', _yes),
  'cars': ('{group}s', str),
  'dice_at_network_size': ('Dice of masks, mean over images', _fraction),
  'iou_at_network_size': ('IoU of masks, mean over images', _fraction),
  'accuracy_at_network_size': ('accuracy of the pixels, mean', _fraction),
  'soft_dice_batches': ('soft Dice, mean over batches', _fraction),
  'soft_iou_batches': ('soft IoU, mean over batches', _fraction),
  'batch_size': ('images of a batch', str),
  'soft_dice_set': ('soft Dice, over all images at once', _fraction),
  'soft_iou_set': ('soft IoU, over all images at once', _fraction),
  'loss_at_network_size': ('loss, mean over images', _fraction),
  'loss': ('which loss', str),
  'threshold': ('threshold of masks', _threshold),
  'network_size': ('size, height x width (pixels)', str),
  'cropped': ('in the crop of each photo', _yes),
  'step': ('step of the network', str),
}
# Of groups of own photos, of which there may be hundreds.
_MOST_GROUPS = 20
_DISTANCE = table.METRICS['surface_distance'].text


def summary_table(evaluations: Sequence[results.Evaluation]) -> str:
  """Returns a table of evaluations at full size, as HTML.

  Each score has a row and each evaluation a column, which fits narrow screens.
  Scores that no evaluation has are left out.

  Raises:
    UserError: a score is not a number.
  """
  return _table(evaluations, _SUMMARY)


def network_size_table(evaluations: Sequence[results.Evaluation]) -> str:
  """As `summary_table`, of evaluations at the network's size."""
  return _table(evaluations, _AT_NETWORK_SIZE)


def _table(evaluations, scores):
  group = _common_group_word(evaluations)
  return page.table(
    [
      {'score': words.format(group=group)}
      | {
        one.name: _written(one, name, write) if name in one.summary else ''
        for one in evaluations
      }
      for name, (words, write) in scores.items()
      if any(name in one.summary for one in evaluations)
    ]
  )


def _common_group_word(evaluations):
  found = {names.group_word(x.summary.get('dataset', '')) for x in evaluations}
  return found.pop() if len(found) == 1 else 'car'


def _written(evaluation, name, write):
  value = evaluation.summary[name]
  try:
    return write(value)
  except (TypeError, ValueError) as error:
    raise UserError(
      f'the summary.json of {evaluation.name} has {name}={value!r}; '
      'evaluate again.'
    ) from error


def group_tables(evaluation: results.Evaluation) -> list[str]:
  """Returns a table for every way of grouping the images, the worst first."""
  word = names.group_word(evaluation.summary.get('dataset', ''))
  by_kind = {}
  for row in evaluation.groups:
    by_kind.setdefault(row['by'], []).append(row)
  return [
    page.table(
      [
        {
          by: row['group'],
          'images': row['images'],
          f'{word}s': row['cars'],
          'Dice, mean': _fraction(row['dice_mean']),
          'worst': _fraction(row['dice_worst']),
        }
        for row in (rows[:_MOST_GROUPS] if by == 'group' else rows)
      ]
    )
    for by, rows in by_kind.items()
  ]


def error_table(evaluation: results.Evaluation) -> str:
  """Returns a table of the wrong pixels by their distance from the border."""
  bands = band_names(evaluation)
  return page.table(
    [
      {
        'pixels from the border': band,
        'missed': f'{float(row["missed"]):,.0f}',
        'added': f'{float(row["added"]):,.0f}',
        'share': _percent(row['share']),
        'Dice to gain': _fraction(row['dice_gain']),
      }
      for band, row in zip(bands, evaluation.errors, strict=True)
    ]
  )


def band_names(evaluation: results.Evaluation) -> list[str]:
  """Returns the bands of distances in words, such as '2 to 4'."""
  return [
    f'{row["over"]} to {row["up_to"]}' if row['up_to'] else f'> {row["over"]}'
    for row in evaluation.errors
  ]


def image_table(rows: Sequence[dict[str, str]], word: str) -> str:
  """Returns a table of some images.

  Args:
    rows: of images.csv.
    word: for what they show.
  """
  return page.table(
    [
      {
        'image': row['filename'],
        'Dice': _fraction(row['dice']),
        'surface distance (pixels)': _DISTANCE(row['surface_distance']),
        word: shown_text(row).replace(' ', '\N{NO-BREAK SPACE}'),
      }
      for row in rows
    ]
  )


def image_line(row: dict[str, str]) -> str:
  """Returns what `image_table` says of one image, in a line."""
  return (
    f'{row["filename"]} · Dice {_fraction(row["dice"])} · surface distance '
    f'{_DISTANCE(row["surface_distance"])} pixels · {shown_text(row)}'
  )


def shown_text(row: dict[str, str]) -> str:
  """Returns what is known of the car or object of a row of images.csv."""
  known = row['colour'], row['make'], row['model']
  return ' '.join(text for text in known if text)
