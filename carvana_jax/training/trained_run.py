"""A trained network, as it is read from the folder of its run, or a file."""

import dataclasses
import hashlib
import json
import pathlib
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from carvana_jax import models
from carvana_jax.parallel import devices, processes
from carvana_jax.system import config_fields
from carvana_jax.system.errors import UserError
from carvana_jax.training import (
  checkpoint,
  network_file,
  saved_steps,
  train_state,
)
from carvana_jax.training.optimizer import make_optimizer


@dataclasses.dataclass
class Run:
  """A trained network and all that is needed to use it."""

  config: ConfigDict
  model: Any
  variables: Any  # replicated over the devices
  step: int
  data: str  # `prepare.identity` of what it was trained on
  # What its run started from, see `initial_network.start_from`; None: nothing.
  start: dict[str, Any] | None = None
  # A second network, for tiles of the photo along this one's border.
  fine: 'Run | None' = None

  @property
  def compares_views(self) -> bool:
    """Whether the views of a car are better given together."""
    data = self.config.data
    of_tiles = self.fine is not None and self.fine.config.data.empty_studio
    return data.multiview or of_tiles

  def with_flip(self, flip: bool) -> 'Run':
    """Returns the same network with another `config.eval.flip`."""
    config = self.config.copy_and_resolve_references()
    config.eval.flip = flip
    return dataclasses.replace(self, config=config)

  def digest(self) -> str:
    """Returns 16 hexadecimal digits that follow from model and variables."""
    text = config_fields.model_text(self.config.model)
    digest = hashlib.sha256(text.encode())
    shown = [self.config.data.size, self.step]
    if self.config.data.fit != 'stretch':
      shown.append(self.config.data.fit)
    digest.update(json.dumps(shown).encode())
    for leaf in jax.tree.leaves(self.variables):
      digest.update(np.ascontiguousarray(leaf))
    if self.fine:
      digest.update(self.fine.digest().encode())
    return digest.hexdigest()[:16]


def load(workdir: pathlib.Path, of_tiles: bool = False) -> Run:
  """Loads the best network of a run, from its workdir alone.

  Args:
    workdir: the run's folder, or a file, see `network_file`.
    of_tiles: whether it may be a second network, which is given tiles.

  Returns:
    The network, on all devices of this process; of a file the first one.

  Raises:
    UserError: the folder holds no checkpoint that is whole, the code makes
      other arrays of its config than were saved, the weights are not finite, or
      it is a second network's folder though `of_tiles` is False.
  """
  if network_file.is_one(workdir):
    return load_file(workdir)
  network_file.refuse_instead(workdir)
  try:
    run = _load(workdir)
  except (UserError, jax.errors.JaxRuntimeError):
    raise
  except Exception as error:  # Orbax raises all kinds
    reason = ' '.join(str(error).split())[:200]
    raise UserError(
      f'the checkpoints in {saved_steps.folder_of(workdir)} cannot be read '
      f'({reason}); bring back a copy of that folder, or train again in '
      'another --workdir.'
    ) from error
  if run.config.data.coarse and not of_tiles:
    raise UserError(
      f'{workdir} holds a second network, of no use alone; give '
      f'--workdir={workdir.parent} and --fine.'
    )
  return run


def load_file(path: pathlib.Path, fine: bool = False) -> Run:
  """Loads a network from a file, see `network_file.read`.

  Args:
    path: of the file.
    fine: whether to load its second network, not its first.

  Returns:
    The network, on all devices of this process.

  Raises:
    UserError: there is none that can be used.
  """
  found = network_file.read(path, fine)
  run = Run(
    found.config,
    models.build(found.config.model),
    found.variables,
    found.step,
    found.data,
    found.start,
  )
  if run.digest() != found.network:
    raise UserError(
      f'{path} holds another network than {network_file.facts_path(path).name} '
      'is of; copy both files anew, or make them with python -m '
      'carvana_jax.export.'
    )
  return run


def _load(workdir):
  step = processes.broadcast_result(
    lambda: saved_steps.best_whole_step(workdir)
  )
  notes = checkpoint.read_notes(workdir, step)
  config = config_fields.complete(ConfigDict(notes['config']))
  model = models.build(config.model)
  # Only its shapes are needed, to tell whether the code still fits the run.
  optimizer = make_optimizer(config.optimizer, total_steps=1)
  like = devices.abstract(train_state.creator(config, model, optimizer))
  variables = checkpoint.read_eval_variables(workdir, step, like)
  if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(variables)):
    raise UserError(
      f'the network in {saved_steps.folder_of(workdir) / str(step)} has '
      'weights that are NaN or infinite; train again in another --workdir.'
    )
  return Run(config, model, variables, step, notes['data'], notes.get('init'))
