"""How a batch fits the devices: what each gets, and what to do if it doesn't.

Training alone has a choice there. Networks are asked about so many images at a
time as `inference/predictor.py` says.
"""

import jax
from ml_collections import ConfigDict

# So few images at a time leave most of an accelerator idle.
_FEW = 2


def describe(config: ConfigDict) -> str:
  """Returns in words how many images each device gets of a batch."""
  parts = config.train.accumulate
  text = f'{config.train.batch_size} images, {_at_once(config)} a device'
  return f'{text} at a time, {parts} times a step' if parts > 1 else text


def warnings(config: ConfigDict) -> list[str]:
  """Returns a line if an accelerator is given too few images to be busy."""
  images = _at_once(config)
  if jax.default_backend() == 'cpu' or images > _FEW:
    return []
  field = 'a larger config.train.batch_size'
  if config.train.accumulate > 1:
    field = f'a smaller config.train.accumulate or {field}'
  return [
    f'each device gets {images} image(s) at a time, too few to keep it busy; '
    f'{field} is faster.'
  ]


def remedy(config: ConfigDict) -> str:
  """Returns what to change where training needs more memory than there is.

  Args:
    config: as in configs/default.py, and one that `check_config` accepts.

  Returns:
    The end of a sentence: the fields that matter, and values to try.
  """
  size, parts = config.train.batch_size, config.train.accumulate
  more = _more_parts(config)
  each = jax.device_count() * parts
  less = size // 2 // each * each
  choices = []
  if less:
    choices.append(f'--config.train.batch_size={less}')
  if more and _normalizes_batches(config.model):
    choices.append(
      f'--config.train.accumulate={more} (batch normalisation then sees '
      f'{size // more} images at a time)'
    )
  elif more:  # the best there is
    choices.insert(
      0, f'--config.train.accumulate={more} (for the same gradient)'
    )
  if config.model.get('dtype') == 'float32':
    choices.append('--config.model.dtype=bfloat16')
  if not less:
    choices.append(f'a --config.data.size below {config.data.size}')
  return (
    f'with config.train.batch_size={size} and config.train.accumulate={parts}; '
    f'try {", or ".join(choices)}, in another --workdir.'
  )


def _at_once(config):
  """Returns how many images a device is given at a time."""
  parts = jax.device_count() * config.train.accumulate
  return config.train.batch_size // parts


def _more_parts(config):
  """Returns the next number of micro-batches, at least twice as many, or None.

  It is one that splits each device's images evenly.
  """
  images = config.train.batch_size // jax.device_count()
  several = range(2 * config.train.accumulate, images + 1)
  return next((parts for parts in several if images % parts == 0), None)


def _normalizes_batches(model_config):
  """Returns whether batch normalisation makes the micro-batches matter."""
  if model_config.name == 'unet':
    return model_config.norm == 'batch'
  return model_config.name == 'vgg_unet'
