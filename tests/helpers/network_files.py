"""Files of networks that were never trained, written without the exporter."""

import json
import pathlib
from typing import Any

import jax
import numpy as np
import safetensors.numpy
from ml_collections import ConfigDict

from carvana_jax import models
from carvana_jax.configs import debug
from carvana_jax.parallel import devices
from carvana_jax.training import train_state, trained_run
from carvana_jax.training.optimizer import make_optimizer


def config_of(coarse: str = '') -> ConfigDict:
  """Returns the config of a small network, with `coarse` of a second one."""
  config = debug.get_config()
  config.model.update(levels=2, first_width=4, encoder_convs=1)
  config.model.decoder_convs = 1
  config.data.update(size='32x48', coarse=coarse)
  return config


def run_of(config: ConfigDict, seed: int = 0) -> trained_run.Run:
  """Returns a network of random numbers that float16 would round."""
  model = models.build(config.model)
  optimizer = make_optimizer(config.optimizer, 1)
  shapes = jax.eval_shape(
    train_state.creator(config, model, optimizer)
  ).eval_variables
  rng = np.random.default_rng(seed)
  value = lambda leaf: rng.uniform(0.1, 0.3, leaf.shape).astype(leaf.dtype)
  variables = devices.replicate(jax.tree.map(value, shapes))
  return trained_run.Run(config, model, variables, 7, 'studio/64x96/1.0.0')


def arrays_of(variables: Any, prefix: str = '') -> dict[str, np.ndarray]:
  """Returns {'params/logits/bias': array}."""
  arrays = {}
  for name, value in variables.items():
    if hasattr(value, 'items'):
      arrays |= arrays_of(value, f'{prefix}{name}/')
    else:
      arrays[prefix + name] = np.asarray(value)
  return arrays


def facts_of(run: trained_run.Run) -> dict[str, Any]:
  """Returns the entries on a network."""
  return {
    'format': 'carvana_jax 1',
    'config': run.config.to_dict(),
    'step': run.step,
    'data': run.data,
    'init': run.start,
    'network': run.digest(),
  }


def write(
  path: pathlib.Path,
  run: trained_run.Run,
  fine: trained_run.Run | None = None,
) -> None:
  """Writes X.safetensors and X.json."""
  arrays, facts = arrays_of(run.variables), facts_of(run)
  if fine:
    arrays |= arrays_of(fine.variables, 'fine/')
    facts['fine'] = facts_of(fine)
  path.write_bytes(safetensors.numpy.save(arrays))
  path.with_suffix('.json').write_text(json.dumps(facts))
