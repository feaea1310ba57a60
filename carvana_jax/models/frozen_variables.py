"""What a network keeps from before training, see `TrainState.frozen`."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from carvana_jax.models import registry
from carvana_jax.system.errors import UserError


def check_weights_file(config: ConfigDict) -> None:
  """Raises a `UserError` where a pretrained encoder can't be had."""
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
  """The frozen variables of a new run.

  Args:
    like: those of a new state, which hold only start values.
    model_config: `config.model`, which names the file of encoder weights.
    batches: the training examples once; `image` uint8 [B, h, w, C], `weight`.

  Returns:
    A tree of the same structure and shapes, and where it comes from: `encoder`
    is the SHA-256 of the file. Prints that, too.
  """
  found, origin = {}, {}
  if model_config.get('encoder_weights') == 'random':
    print('the encoder starts at random and is trained from scratch')
  if 'params' in like:
    file = model_config.encoder_weights
    weights, origin['encoder'] = registry.encoder_weights(
      model_config.name
    ).read(file)
    print(f'the encoder is that of {file}, SHA-256 {origin["encoder"]}')
    found['params'] = {'encoder': weights}
  if 'input' in like:
    found['input'] = channel_statistics(batches)
  return found, origin


def channel_statistics(batches: Iterable[dict]) -> dict[str, np.ndarray]:
  """Mean and standard deviation of every channel over all real pixels.

  Args:
    batches: `image` uint8 [B, h, w, C] and `weight` [B], 0 for padding.

  Returns:
    mean and std, float32 [C], of pixels in 0..1.
  """
  count, total, squares = 0, 0, 0
  for batch in batches:
    image = batch['image'][batch['weight'] > 0]
    pixels = image.reshape(-1, image.shape[-1])
    # Sums of integers are exact, so the order of the examples has no say.
    count += len(pixels)
    total = total + pixels.sum(0, dtype=np.int64)
    squares = squares + np.square(pixels, dtype=np.int64).sum(0)
  mean = total / count / 255
  variance = squares / count / 255**2 - mean**2
  # A channel without any contrast, such as differences of single views, stays.
  std = np.sqrt(np.maximum(variance, 0))
  return {
    'mean': mean.astype(np.float32),
    'std': np.where(std > 0, std, 1).astype(np.float32),
  }
