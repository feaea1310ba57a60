"""How a config splits its photos: by the cars' folds, or by shares and a seed.

Which split a car is in by its fold follows from its id alone. Shares give exact
numbers instead, so there it also depends on which other cars there are.
"""

import hashlib
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from carvana_jax.datasets import labels, spec
from carvana_jax.datasets.names import group_word
from carvana_jax.system.errors import UserError

_SPLITS = ('train', 'validation', 'test')
_UNITS = ('car', 'photo')
_SUCH = 'such as (80, 10, 10)'


class Splits(NamedTuple):
  """The fields of `config.data` that say what is in each split.

  Attributes:
    validation_folds: the folds to validate on, without `shares`.
    shares: of train, validation and test, in whole numbers; (): by folds.
    seed: another one gives other splits of the same shares.
    by: what is split, car or photo.
    first: so many cars or photos are used, 0: all.
  """

  validation_folds: tuple[int, ...] = (spec.VALIDATION_FOLD,)
  shares: tuple[int, ...] = ()
  seed: int = 0
  by: str = 'car'
  first: int = 0

  def facts(self) -> dict[str, Any]:
    """Returns the fields by name, as for JSON; see `from_facts`."""
    return {
      name: list(value) if isinstance(value, tuple) else value
      for name, value in self._asdict().items()
    }

  def text(self, dataset: str) -> str:
    """Returns the shares, or by what else photos are split, in words.

    Args:
      dataset: the name of the data set.
    """
    word = _word(self, dataset)
    how = "by the hash's folds"
    if self.shares:
      shares = '/'.join(map(str, self.shares))
      how = f'{shares} by {word}, seed {self.seed}'
    if self.first:
      how += f', of the first {self.first} {word}s'
    return how


STORED = Splits()  # those that the prepared data sets come in


def of(data_config: ConfigDict) -> Splits:
  """Returns the splits of a config.

  Args:
    data_config: `config.data`.

  Raises:
    UserError: a field has a value that it can't have, or that does not go with
      another's.
  """
  config = data_config
  found = Splits(
    tuple(config.validation_folds),
    tuple(config.split_shares),
    config.split_seed,
    config.split_by,
    config.first,
  )
  if found.shares and (len(found.shares) != 3 or min(found.shares) < 1):
    raise UserError(
      f'config.data.split_shares={found.shares} must be three whole numbers '
      f'above 0, of train, validation and test, {_SUCH}; or () for the '
      "hash's folds."
    )
  if found.by not in _UNITS:
    raise UserError(
      f'config.data.split_by={found.by} must be one of {", ".join(_UNITS)}.'
    )
  for name, value in (('split_seed', found.seed), ('first', found.first)):
    if value < 0:
      raise UserError(f'config.data.{name}={value} must be at least 0.')
  if not found.shares and (found.seed or found.by != 'car'):
    name, value = ('split_seed', found.seed)
    if found.by != 'car':
      name, value = 'split_by', found.by
    raise UserError(
      f'config.data.{name}={value} needs config.data.split_shares, {_SUCH}.'
    )
  if found.shares and found.validation_folds != STORED.validation_folds:
    raise UserError(
      f'config.data.validation_folds={found.validation_folds} is of no use '
      f'with config.data.split_shares={found.shares}; leave one of them out.'
    )
  return found


def from_facts(facts: Any) -> Splits | None:
  """Returns what `Splits.facts` gave; None where it did not."""
  try:
    found = Splits(**facts)
    found = found._replace(
      validation_folds=tuple(found.validation_folds), shares=tuple(found.shares)
    )
  except TypeError:
    return None
  numbers = (*found.validation_folds, *found.shares, found.seed, found.first)
  is_good = all(type(x) is int and x >= 0 for x in numbers)
  is_good &= len(found.shares) in (0, 3) and 0 not in found.shares
  return found if is_good and found.by in _UNITS else None


def use_stored(data_config: ConfigDict) -> None:
  """Sets `config.data` to the splits by folds, of all cars."""
  data_config.split_shares = STORED.shares
  data_config.split_seed = STORED.seed
  data_config.split_by = STORED.by
  data_config.first = STORED.first


def assign(found: labels.Labels, splits: Splits, dataset: str) -> np.ndarray:
  """Shares examples among the splits.

  Cars, or photos, are used in the order of their ids, or names, and come to
  splits of shares by a hash of seed and id. Neither depends on the machine, on
  the size of the pictures or on the order of files.

  Args:
    found: the labels of all labelled examples.
    splits: how to split them.
    dataset: the name of the data set, for messages.

  Returns:
    The name of each example's split, str [N]; '' where it is in none.

  Raises:
    UserError: there are fewer cars, or photos, than are asked for.
  """
  units = found.filename if splits.by == 'photo' else found.car_id
  ids, unit_of = np.unique(units, return_inverse=True)
  word = _word(splits, dataset)
  if splits.first > len(ids):
    raise UserError(
      f'config.data.first={splits.first} is more than the {len(ids)} {word}s '
      f'of {dataset}; choose at most {len(ids)}, or 0 for all.'
    )
  used = ids[: splits.first or None].tolist()
  if splits.shares:
    there = _by_shares(used, splits, word)
  else:
    folds = dict(zip(found.car_id.tolist(), found.fold.tolist(), strict=True))
    there = {x: _by_fold(folds[x], splits) for x in used}
  return np.array([there.get(x, '') for x in ids.tolist()])[unit_of]


def _by_shares(used, splits, word):
  """{id: its split}, in exact numbers."""
  digest = lambda x: hashlib.sha256(f'{splits.seed}:{x}'.encode()).digest()
  counts = _counts(len(used), splits.shares)
  if min(counts) < 1:
    raise UserError(
      f'config.data.split_shares={splits.shares} of {len(used)} {word}s leaves '
      f'none for {_SPLITS[counts.index(min(counts))]}; add {word}s, or choose '
      'other shares.'
    )
  names = np.repeat(_SPLITS, counts).tolist()
  return dict(zip(sorted(used, key=digest), names, strict=True))


def _counts(total, shares):
  """Shares out whole numbers, the rest by the largest remainders."""
  parts = [divmod(total * share, sum(shares)) for share in shares]
  counts = [whole for whole, _ in parts]
  # Of equal remainders that of the earlier split counts as larger.
  order = sorted(range(len(parts)), key=lambda x: (-parts[x][1], x))
  for place in order[: total - sum(counts)]:
    counts[place] += 1
  return counts


def _by_fold(fold, splits):
  if fold == spec.TEST_FOLD:
    return 'test'
  return 'validation' if fold in splits.validation_folds else 'train'


def _word(splits, dataset):
  """What is split, as messages call it."""
  return 'photo' if splits.by == 'photo' else group_word(dataset)
