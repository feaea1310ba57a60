"""A run's folder: its config, its records, and the process that has it."""

import contextlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any

from ml_collections import ConfigDict

from carvana_jax.parallel import processes
from carvana_jax.system import config_fields, files
from carvana_jax.system.errors import UserError
from carvana_jax.training import crossval_folder, saved_steps

_EVALUATIONS = 'evaluation'  # the folder of all evaluations of a run
# In the names of the folders of those at the network's size.
_AT_NETWORK_SIZE = '-network_size'
# Fields that may differ between the parts of a run that was interrupted.
_FREE_FIELDS = (
  'train.max_minutes',
  'data.data_dir',
  'data.manual_dir',
  # Of these files a fingerprint is kept.
  'data.pseudo_labels',
  'data.coarse',
)

# Orbax looks for parts of a checkpoint by a pattern that begins with its path,
# and TensorStore takes the last for a slash.
_NOT_FOR_ORBAX = '*?[\\'


@contextlib.contextmanager
def lock(workdir: pathlib.Path) -> Iterator[None]:
  """Makes the folder, and keeps other processes from training in it.

  Half-written files of a process that was killed are removed. The lock ends
  with the process, however that ends, so none is left behind. Processes that
  only read the folder need no lock; of a run's several processes the first
  takes it. If an exception is raised before anything else was made in a new
  folder, the folder is removed.

  Args:
    workdir: the folder, absolute. It need not exist.

  Raises:
    UserError: another process holds the lock, the disk knows no locks, or the
      folder can't be written to, or not by Orbax.
  """
  with contextlib.ExitStack() as stack:
    is_new = processes.broadcast_result(lambda: _lock(workdir, stack))
    try:
      yield
    except Exception:
      path = workdir / 'lock'
      if is_new and processes.is_first() and list(workdir.iterdir()) == [path]:
        path.unlink()
        workdir.rmdir()
      raise


def _lock(workdir, stack):
  """Locks the folder until the stack ends; returns whether it is new."""
  if set(_NOT_FOR_ORBAX) & set(workdir.as_posix()):
    raise UserError(
      f'{workdir} has one of {_NOT_FOR_ORBAX} in its path, with which no '
      'checkpoint can be written; choose another --workdir.'
    )
  files.check_folder(workdir, '--workdir')
  is_new = not workdir.exists()
  workdir.mkdir(parents=True, exist_ok=True)
  try:
    stack.enter_context(files.lock(workdir / 'lock', wait=False))
  except BlockingIOError:
    raise UserError(
      f'another process is training in {workdir}; wait for its end, or '
      'choose another --workdir.'
    ) from None
  except files.NoLocksError as error:
    raise UserError(
      f'{workdir} is on a disk without file locks ({error.strerror}); '
      'choose a --workdir on another disk.'
    ) from error
  for name in ('config.json', 'metrics.jsonl', 'starts.jsonl'):
    files.remove_leftovers(workdir, name)
  for folder in ('checksums', 'pictures'):
    files.remove_leftovers(workdir / folder)
  return is_new


def refuse_other_config(config: ConfigDict, workdir: pathlib.Path) -> None:
  """Raises a `UserError` if the folder holds a run of another config."""
  path = _config_file(workdir)
  if not path.exists():
    return
  there = compared(config_fields.complete(ConfigDict(files.read_json(path))))
  here = compared(config)
  field = 'train.init_from'
  if there.get(field) and here[field]:  # moved, or `initial_network` refuses it
    here[field] = there[field]
  differing = [
    f'{field} ({there.get(field)!r} there, {here.get(field)!r} here)'
    for field in sorted(there.keys() | here.keys())
    if there.get(field) != here.get(field)
  ]
  if differing:
    remedy = 'Choose another --workdir'
    if saved_steps.exists(workdir):
      remedy += (
        f'; with config.train.init_from={workdir} it starts from this '
        "run's network"
      )
    raise UserError(
      f'{workdir} holds a run of another config: {", ".join(differing)}. '
      f'{remedy}.'
    )


def compared(config: ConfigDict) -> dict[str, Any]:
  """Returns {'train.epochs': 20} of all fields that a run may not change."""
  flat = _flat(json.loads(config.to_json()))
  weights = 'model.encoder_weights'
  if weights in flat:  # its folder may be another on each host
    flat[weights] = pathlib.PurePath(flat[weights]).name
  return {x: flat[x] for x in flat if x not in _FREE_FIELDS}


def write_config(config: ConfigDict, workdir: pathlib.Path) -> None:
  """Records the config that the folder belongs to."""
  files.write(_config_file(workdir), config.to_json(indent=2) + '\n')


def read_config(workdir: pathlib.Path) -> ConfigDict:
  """Reads the config of the run in a folder.

  Args:
    workdir: the folder.

  Returns:
    The config, with all fields of configs/default.py.

  Raises:
    UserError: there is no run.
  """
  path = _config_file(workdir)
  if not path.exists():
    crossval_folder.refuse_crossval(workdir)
    raise UserError(
      f'{workdir} holds no run{files.absence(workdir)}; start one with '
      f'python -m carvana_jax.main --workdir={workdir} --config=…'
    )
  return config_fields.complete(ConfigDict(files.read_json(path)))


def add_start(workdir: pathlib.Path, start: dict[str, str]) -> None:
  """Records with what the run was started, or started again.

  Args:
    workdir: the run's folder.
    start: as returned by `provenance.facts`.
  """
  path = workdir / 'starts.jsonl'
  before = path.read_text() if path.exists() else ''
  whole = before[: before.rfind('\n') + 1]  # the rest was cut off
  files.write(path, whole + json.dumps(start) + '\n')


def read_starts(workdir: pathlib.Path) -> list[dict[str, str]]:
  """Reads what `add_start` recorded, the first start first."""
  return [record for _, record in _records(workdir / 'starts.jsonl')]


def read_metrics(workdir: pathlib.Path) -> list[dict[str, float]]:
  """Reads metrics.jsonl, if it is there.

  Args:
    workdir: the run's folder.

  Returns:
    The numbers of each line, by name; each has its `step`, from 1 on.

  Raises:
    UserError: a line is damaged.
  """
  path = workdir / 'metrics.jsonl'
  rows = []
  for number, record in _records(path):
    if not all(map(_is_number, record.values())) or record.get('step', 0) < 1:
      raise _damaged(path, number)
    rows.append(record)
  return rows


def _records(path):
  """Yields the number and the object of every line of a .jsonl."""
  text = path.read_bytes() if path.exists() else b''
  # A line without its end was cut off, or is just being written.
  for number, line in enumerate(text.split(b'\n')[:-1], 1):
    try:
      record = json.loads(line)
    except (ValueError, RecursionError):
      record = None
    if not isinstance(record, dict):
      raise _damaged(path, number)
    yield number, record


def _damaged(path, number):
  return UserError(f'line {number} of {path} is damaged; remove that line.')


def _is_number(value):
  """Returns whether a value is a number that can be drawn, or NaN."""
  return type(value) in (int, float) and not abs(value) > 1e300


def evaluation_folder(
  workdir: pathlib.Path,
  dataset: str,
  split: str,
  fine: bool = False,
  flip: bool | None = None,
  at_network_size: bool = False,
) -> pathlib.Path:
  """Returns the folder that the results of an evaluation are written to.

  Args:
    workdir: the folder of the run.
    dataset: the name of the data set that is scored.
    split: train, validation, test or all.
    fine: whether the run's second network is used as well.
    flip: whether predictions are averaged with those of the mirrored photos,
      if that is not as the run's config has it.
    at_network_size: whether scores are those at the network's size.

  Returns:
    WORKDIR/evaluation/DATASET-SPLIT, followed by -fine, -flip, -noflip or
    -network_size.
  """
  suffix = '-fine' if fine else ''
  if flip is not None:
    suffix += '-flip' if flip else '-noflip'
  if at_network_size:
    suffix += _AT_NETWORK_SIZE
  return workdir / _EVALUATIONS / f'{dataset}-{split}{suffix}'


def evaluation_summaries(
  workdir: pathlib.Path, at_network_size: bool = False
) -> list[pathlib.Path]:
  """Returns the summary.json of each finished evaluation of a run, by name.

  Args:
    workdir: the folder of the run.
    at_network_size: whether those at the network's size are wanted, which hold
      other scores, or those at full size.
  """
  return [
    path
    for path in sorted((workdir / _EVALUATIONS).glob('*/summary.json'))
    if is_at_network_size(path.parent) == at_network_size
  ]


def is_at_network_size(folder: pathlib.Path) -> bool:
  """Returns whether an evaluation's folder is of scores at the network's size.

  Args:
    folder: as `evaluation_folder` names it; a number may follow, where it was
      set aside.
  """
  return _AT_NETWORK_SIZE in folder.name


def _config_file(workdir):
  return workdir / 'config.json'


def _flat(tree, prefix=''):
  """{'train': {'epochs': 20}} -> {'train.epochs': 20}"""
  flat = {}
  for name, value in tree.items():
    if isinstance(value, dict):
      flat |= _flat(value, f'{prefix}{name}.')
    else:
      flat[prefix + name] = value
  return flat
