"""Reads what a finished run left in its folder, piece by piece, to compare."""

import json
import pathlib
from typing import Any

import jax
import numpy as np
from tensorboard.compat.proto import event_pb2

from carvana_jax import models
from carvana_jax.parallel import devices
from carvana_jax.training import checkpoint, logbook, run_folder, train_state
from carvana_jax.training.optimizer import make_optimizer

# What is not the same byte for byte: looked into here, but for starts.jsonl,
# which holds times, and what is in checksums/.
_LOOKED_INTO = (
  'checkpoints', 'checksums', 'metrics.jsonl', 'starts.jsonl', 'tensorboard',
)  # fmt: skip
# Values that are times, or made of them.
_TIMES = ('images_per_second', 'input_wait', 'train_seconds')


def of(workdir: pathlib.Path) -> dict[str, Any]:
  """Returns all that a run has left, except for times.

  Args:
    workdir: the folder of a run that has ended.

  Returns:
    {name: value}. Two runs ended the same if these are equal: the states, the
    best and latest steps and the scores, bit by bit, and lines, events and
    files, including any that should not be there.
  """
  found = {
    str(path.relative_to(workdir)): path.read_bytes()
    for path in sorted(workdir.rglob('*'))
    if path.is_file() and path.relative_to(workdir).parts[0] not in _LOOKED_INTO
  }
  for folder in ('checkpoints', 'checksums'):
    names = (path.name for path in (workdir / folder).iterdir())
    found[f'names in {folder}'] = sorted(names)
  lines = (workdir / 'metrics.jsonl').read_text().split('\n')
  found |= _numbered('metrics.jsonl line', map(_without_times, lines[:-1]))
  found['end of metrics.jsonl'] = lines[-1]
  found |= _numbered('TensorBoard event', _events(workdir / 'tensorboard'))
  # After the names, as it removes what should not be there.
  return found | _checkpoints(workdir)


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
  """Returns the names of what differs between two runs, see `of`."""
  return [name for name in one | other if one.get(name) != other.get(name)]


def _numbered(name, values):
  return {f'{name} {i}': value for i, value in enumerate(values, start=1)}


def _without_times(line):
  values = json.loads(line)
  return json.dumps({k: v for k, v in values.items() if k not in _TIMES})


def _events(folder):
  """(step, tag, bytes) of all values; names of files begin with their time."""
  for path in sorted(folder.iterdir()):
    for record in logbook.read_records(path)[0]:
      event = event_pb2.Event.FromString(record)
      for value in event.summary.value:
        if value.tag not in _TIMES:
          yield event.step, value.tag, value.tensor.SerializeToString()


def _checkpoints(workdir):
  """Reads the latest and best steps, and all states, notes and scores."""
  config = run_folder.read_config(workdir)
  model = models.build(config.model)
  optimizer = make_optimizer(config.optimizer, total_steps=1)
  like = devices.abstract(train_state.creator(config, model, optimizer))
  found = {}
  with checkpoint.Checkpoints(workdir) as checkpoints:
    found['latest step'] = checkpoints.latest_step()
    found['best step'] = checkpoints.best_step()
    names = (path.name for path in (workdir / 'checkpoints').iterdir())
    steps = sorted(int(name) for name in names if name.isdigit())
    for step in steps:
      folder = workdir / 'checkpoints' / str(step)
      scores = (folder / 'metrics' / 'metrics').read_text()
      found[f'step {step} scores'] = scores
      notes = _without_times(json.dumps(checkpoint.read_notes(workdir, step)))
      found[f'step {step} notes'] = notes
      state = checkpoint.read_state(workdir, step, like)
      for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        name = jax.tree_util.keystr(path, simple=True, separator='/')
        found[f'step {step} {name}'] = _bits(leaf)
  return found


def _bits(leaf):
  """Returns type, shape and bytes: NaN equals itself then, and 0 is not -0."""
  kind = str(leaf.dtype)
  return kind, leaf.shape, np.asarray(leaf).tobytes()
