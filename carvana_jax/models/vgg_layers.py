"""The layers of VGG19 in files that others published, and checks of these.

What the readers of the several formats share, see `vgg_weights`.
"""

import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from carvana_jax.models import vgg_unet
from carvana_jax.system.errors import UserError

# What error messages end in.
OTHER = 'give the weights of VGG19 by Keras or torchvision.'
AGAIN = 'download it again.'


class Layer(NamedTuple):
  """A convolution of VGG19, and what it is called in files."""

  name: str  # in Keras
  index: int  # in torchvision's `features`
  kernel: tuple[int, int, int, int]  # [3, 3, in, out]


def layers() -> list[Layer]:
  """Returns the convolutions of VGG19 down to the last one in use."""
  layers = []
  index, channels = 0, 3
  for block, (convs, width) in enumerate(vgg_unet.BLOCKS, start=1):
    for i in range(1, convs + 1):
      kernel = (3, 3, channels, width)
      layers.append(Layer(f'block{block}_conv{i}', index, kernel))
      index += 2  # the convolution and its ReLU
      channels = width
    index += 1  # the pooling
  return layers


def from_torchvision(
  file: pathlib.Path, array: Callable[[str, tuple[int, ...]], np.ndarray]
) -> dict[str, Any]:
  """Returns the parameters of a file that has torchvision's names and shapes.

  Args:
    file: the file, to name it in messages.
    array: reads the array of a name; it is also given the shape that the array
      must have.

  Returns:
    {layer: {'kernel': [3, 3, in, out], 'bias': [out]}} in float32.

  Raises:
    UserError: an array holds infinite or undefined values.
  """
  params = {}
  for layer in layers():
    height, width, channels, out = layer.kernel
    name = f'features.{layer.index}.weight'
    kernel = array(name, (out, channels, height, width)).transpose(2, 3, 1, 0)
    bias_name = f'features.{layer.index}.bias'
    bias = array(bias_name, (out,))
    params[layer.name] = {
      'kernel': finite(file, name, kernel),
      'bias': finite(file, bias_name, bias),
    }
  return params


def missing(file: pathlib.Path, name: str) -> UserError:
  """Returns the error that a file lacks an array of this name."""
  return UserError(f'{file} lacks {name}; {OTHER}')


def check_shape(
  file: pathlib.Path,
  name: str,
  shape: tuple[int, ...],
  expected: tuple[int, ...],
) -> None:
  """Raises a `UserError` where an array has another shape than VGG19's."""
  if shape != expected:
    raise UserError(
      f'{file} has {name} with shape {shape}, where VGG19 has {expected}; '
      f'{OTHER}'
    )


def finite(file: pathlib.Path, name: str, values: Any) -> np.ndarray:
  """Copies values to a float32 array.

  Args:
    file: the file that they come from, to name it in messages.
    name: the name of the array there.
    values: an array of floating-point numbers.

  Raises:
    UserError: a value is infinite or undefined.
  """
  values = np.array(values, np.float32, order='C')
  if not np.isfinite(values).all():
    raise UserError(
      f'{file} has infinite or undefined values in {name}; {AGAIN}'
    )
  return values
