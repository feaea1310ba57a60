"""The variables that training leaves alone, see `TrainState.frozen`.

They are a pretrained encoder, layers of `config.train.freeze`, and the mean and
spread of the training data.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from carvana_jax.models import registry
from carvana_jax.system.errors import UserError


def check_weights_file(config: ConfigDict) -> None:
  """Raises a `UserError` where the weights of an encoder can't be read."""
  if 'encoder_weights' not in config.model:
    return
  file = config.model.encoder_weights
  weights = registry.encoder_weights(config.model.name)
  if not file:
    raise UserError(
      f'config.model.encoder_weights names no file: give it {weights.FILES}, '
      "or 'random' to train the encoder from scratch."
    )
  if file != 'random':
    weights.read(file)


def values(
  like: Any, model_config: ConfigDict, batches: Iterable[dict]
) -> tuple[Any, dict[str, str]]:
  """Makes the frozen variables of a new run, and prints where they come from.

  Args:
    like: the frozen variables of a new state, which hold only initial values.
    model_config: `config.model`, which names the file of the encoder's weights.
    batches: the training examples, each once; `image` uint8 [B, h, w, C] and
      `weight` [B], 0 for padding.

  Returns:
    A tree of the same structure and shapes, and where it comes from: `encoder`
    is the SHA-256 of the file.

  Raises:
    UserError: the file can't be read.
  """
  found, origin = dict(like), {}
  file = model_config.get('encoder_weights')
  if file not in (None, 'random'):
    reader = registry.encoder_weights(model_config.name)
    weights, origin['encoder'] = reader.read(file)
    print(f'the encoder is that of {file}, SHA-256 {origin["encoder"]}')
    found['params'] = {**like['params'], 'encoder': weights}
  if 'input' in like:
    found['input'] = channel_statistics(batches)
  return found, origin


def channel_statistics(batches: Iterable[dict]) -> dict[str, np.ndarray]:
  """Takes mean and standard deviation of every channel over all real pixels.

  Args:
    batches: `image` uint8 [B, h, w, C] and `weight` [B], 0 for padding.

  Returns:
    mean and std, float32 [C], of pixels in 0..1.
  """
  count, total, squares = 0, 0, 0
  for batch in batches:
    image = batch['image'][batch['weight'] > 0]
    pixels = image.reshape(-1, image.shape[-1])
    # Sums of integers are exact, so the order of the examples doesn't matter.
    count += len(pixels)
    total = total + pixels.sum(0, dtype=np.int64)
    squares = squares + np.square(pixels, dtype=np.int64).sum(0)
  mean = total / count / 255
  variance = squares / count / 255**2 - mean**2
  # A channel without any contrast, such as the differences of a car with a
  # single view, is not scaled.
  std = np.sqrt(np.maximum(variance, 0))
  return {
    'mean': mean.astype(np.float32),
    'std': np.where(std > 0, std, 1).astype(np.float32),
  }
