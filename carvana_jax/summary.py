"""Prints the layers of a config's network.

    python -m carvana_jax.summary --config=configs/studio.py

FLOPs are those of the convolutions for one image, a multiplication and an
addition counting as two; norms, poolings and activations are left out, being a
few per cent. The last line counts parameters, those that are trained, and the
statistics of batch normalisation.
"""

import math
from typing import NamedTuple

import jax
from absl import flags
from flax import linen as nn
from ml_collections import config_flags

from carvana_jax import checkpoint, cli, models
from carvana_jax.datasets import spec


class Layer(NamedTuple):
  """A module that holds parameters, as called on one image."""

  name: str
  output: tuple[int, ...]  # [H, W, C]
  parameters: int
  statistics: int
  flops: int


def layers(model: nn.Module, image_shape: tuple[int, ...]) -> list[Layer]:
  """The network's layers in the order in which they are called.

  Args:
    model: a Linen network.
    image_shape: (height, width, channels).
  """
  calls = []

  def remember(call, args, kwargs, context):
    output = call(*args, **kwargs)
    if context.module.scope.path and context.method_name == '__call__':
      path = context.module.scope.path
      calls.append((path, context.module, args[0].shape, output.shape))
    return output

  def run():
    image = jax.numpy.zeros((1, *image_shape))
    with nn.intercept_methods(remember):
      return model.init(jax.random.key(0), image, train=False)

  variables = jax.eval_shape(run)
  found = []
  for path, module, input_shape, output_shape in calls:
    own = {name: _at(tree, path) for name, tree in variables.items()}
    layer = Layer(
      name='/'.join(path),
      output=output_shape[1:],
      parameters=_count(own.get('params')),
      statistics=_count(own.get('batch_stats')),
      flops=_flops(module, own, input_shape, output_shape),
    )
    if layer.parameters:
      found.append(layer)
  return found


def _at(tree, path):
  for name in path:
    tree = tree.get(name, {})
  return tree


def _count(tree):
  return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def _flops(module, own, input_shape, output_shape):
  """2 * multiplications of a convolution, 0 for other layers."""
  kernel = own['params'].get('kernel') if own.get('params') else None
  if kernel is None:
    return 0
  # A transposed convolution applies its kernel at every input pixel.
  transposed = isinstance(module, nn.ConvTranspose)
  pixels = (input_shape if transposed else output_shape)[1:3]
  return 2 * math.prod(pixels) * math.prod(kernel.shape)


def table(found: list[Layer]) -> str:
  """The layers in lines of less than 80 columns, with totals."""
  row = '{:32} {:>16} {:>12} {:>14}'
  lines = [row.format('layer', 'output', 'parameters', 'MFLOPs')]
  for layer in found:
    lines.append(
      row.format(
        layer.name,
        'x'.join(map(str, layer.output)),
        f'{layer.parameters:,}',
        f'{layer.flops / 1e6:,.1f}' if layer.flops else '',
      )
    )
  parameters = sum(layer.parameters for layer in found)
  flops = sum(layer.flops for layer in found)
  lines.append(row.format('', '', f'{parameters:,}', f'{flops / 1e6:,.1f}'))
  return '\n'.join(lines)


def main() -> None:
  """The command line."""
  config = flags.FLAGS.config
  shape = (*spec.parse_size(config.data.size), checkpoint.CHANNELS)
  found = layers(models.build(config.model), shape)
  parameters = sum(layer.parameters for layer in found)
  statistics = sum(layer.statistics for layer in found)
  print(table(found))
  print(
    f'parameters {parameters} trainable {parameters} statistics {statistics}'
  )


if __name__ == '__main__':
  config_flags.DEFINE_config_file('config', None, 'A file of configs/.')
  cli.run(main)
