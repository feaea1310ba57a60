"""Checkpoints of a run: the latest ones and the best, with their config."""

import dataclasses
import pathlib
from typing import Any

import jax
import orbax.checkpoint as ocp
from ml_collections import ConfigDict
from orbax.checkpoint import checkpoint_managers as policies

from carvana_jax import models, parallel, prepare, train_state
from carvana_jax.errors import UserError


class Checkpoints:
  """Saves in the background; keeps the last two and the best one.

  The best has the highest score, of several the first. Use it as a context
  manager: leaving waits for a save that is still under way.
  """

  def __init__(self, workdir: pathlib.Path):
    self._manager = ocp.CheckpointManager(
      (workdir / 'checkpoints').absolute(),
      options=ocp.CheckpointManagerOptions(
        preservation_policy=policies.AnyPreservationPolicy(
          [
            policies.LatestN(2),
            policies.BestN(get_metric_fn=_rank, n=1),
          ]
        ),
        best_fn=_rank,
        best_mode='max',
        enable_async_checkpointing=True,
      ),
    )

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self._manager.close()

  @property
  def latest(self) -> int | None:
    """The latest step that was saved."""
    return self._manager.latest_step()

  @property
  def best(self) -> int | None:
    """The saved step of the highest validation score."""
    return self._manager.best_step()

  def save(self, state, notes: dict, score: float) -> None:
    """Saves a state under its step.

    Args:
      state: a `TrainState`.
      notes: what else describes the run at this step, as for JSON.
      score: of validation, the higher the better.
    """
    step = int(state.step)
    self._manager.save(
      step,
      args=ocp.args.Composite(
        state=ocp.args.StandardSave(state), notes=ocp.args.JsonSave(notes)
      ),
      metrics={'score': score, 'step': step},
    )

  def notes(self, step: int) -> dict:
    """The notes saved with a step."""
    args = ocp.args.Composite(notes=ocp.args.JsonRestore())
    return self._manager.restore(step, args=args)['notes']

  def state(self, step: int, like: Any) -> Any:
    """The state saved with a step, on the devices and types of `like`."""
    args = ocp.args.Composite(state=ocp.args.StandardRestore(like))
    return self._manager.restore(step, args=args)['state']


def _rank(metrics):
  if 'score' not in metrics:
    raise UserError(
      'the run was made by an older version of this code; train it again.'
    )
  return metrics['score'], -metrics['step']


def exists(workdir: pathlib.Path) -> bool:
  """Whether a run has left a whole checkpoint in the folder."""
  folder = workdir / 'checkpoints'
  # Orbax gives a folder its number when all is written.
  return any(path.name.isdigit() for path in folder.glob('*'))


def state_creator(config: ConfigDict, model, optimizer):
  """A function without arguments that makes the run's first state."""
  shape = prepare.input_shape(config.data)
  averaged = config.train.average_decay > 0
  return lambda: train_state.create(
    model, optimizer, shape, config.seed, averaged
  )


def abstract(create) -> Any:
  """Shapes, types and placement of what `create` would make."""
  place = lambda x: jax.ShapeDtypeStruct(
    x.shape, x.dtype, sharding=parallel.replicated()
  )
  return jax.tree.map(place, jax.eval_shape(create))


@dataclasses.dataclass
class Run:
  """What is needed to use a trained network."""

  config: ConfigDict
  model: Any
  variables: Any  # replicated over the devices
  step: int
  data: str  # `prepare.identity` of what it was trained on


def load(workdir: pathlib.Path) -> Run:
  """The best network of a run, from its workdir alone.

  Raises:
    UserError: there is no checkpoint in the folder.
  """
  if not (workdir / 'checkpoints').is_dir():
    raise UserError(
      f'{workdir} holds no checkpoint; train one with '
      f'python -m carvana_jax.main --workdir={workdir} --config=…'
    )
  with Checkpoints(workdir) as checkpoints:
    step = checkpoints.best
    if step is None:
      raise UserError(f'{workdir} holds no finished checkpoint yet.')
    notes = checkpoints.notes(step)
    config = ConfigDict(notes['config'])
    model = models.build(config.model)
    optimizer = train_state.make_optimizer(config.optimizer, total_steps=1)
    create = state_creator(config, model, optimizer)
    state = checkpoints.state(step, abstract(create))
  return Run(config, model, state.best_variables, step, notes['data'])
