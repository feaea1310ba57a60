"""The layers of a network: outputs, parameters, FLOPs, receptive fields.

FLOPs are those of the convolutions for one image; a multiplication and an
addition count as two. Norms, poolings and activations are left out, as they are
a few per cent.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import jax
from flax import linen as nn

from carvana_jax import models
from carvana_jax.models import receptive_field
from carvana_jax.models.norm import BatchNorm

_KINDS = {
  'conv': nn.Conv,
  'transposed': nn.ConvTranspose,
  'norm': (BatchNorm, nn.BatchNorm, nn.GroupNorm),
}


class Layer(NamedTuple):
  """A module that holds parameters, as called on one image."""

  name: str
  kind: str  # conv, transposed, norm or other
  output: tuple[int, ...]  # [H, W, C]
  parameters: int
  statistics: int
  flops: int
  field: int  # side of its receptive field, in pixels of the input
  trainable: bool  # whether training changes its parameters


def layers(
  model: nn.Module, image_shape: tuple[int, ...], freeze: str = ''
) -> list[Layer]:
  """Returns a network's layers in the order in which they are called.

  Args:
    model: a Linen network.
    image_shape: (height, width, channels) of its input.
    freeze: `config.train.freeze`.

  Raises:
    UserError: there are no such layers to freeze.
  """
  calls = []

  def remember(call, args, kwargs, context):
    output = call(*args, **kwargs)
    if context.module.scope.path and context.method_name == '__call__':
      path = context.module.scope.path
      calls.append((path, context.module, args, output))
    return output

  def run():
    image = jax.numpy.zeros((1, *image_shape))
    with nn.intercept_methods(remember):
      return model.init(jax.random.key(0), image, train=False)

  variables = jax.eval_shape(run)
  frozen = models.frozen_layers(model, variables['params'], freeze)
  found, steps = [], []
  for path, module, args, output in calls:
    own = {name: _own(tree, path) for name, tree in variables.items()}
    if own.get('params'):
      layer = Layer(
        name='/'.join(path),
        kind=_kind(module),
        output=output.shape[1:],
        parameters=_count(own['params']),
        statistics=_count(own.get('batch_stats')),
        flops=_flops(module, own, args[0].shape, output.shape),
        field=0,  # not known before all layers are
        trainable=path[0] not in frozen,
      )
      found.append(layer)
      steps.append(_step(layer, own['params'], args[0].shape[1]))
  sides = receptive_field.sides(
    steps, getattr(model, 'patch', 1), models.skips(model)
  )
  return [
    layer._replace(field=side) for layer, side in zip(found, sides, strict=True)
  ]


def _step(layer, params, rows_in):
  has_kernel = layer.kind in ('conv', 'transposed')
  return receptive_field.Step(
    layer.name,
    rows_in,
    layer.output[0],
    params['kernel'].shape[0] if has_kernel else 1,
    layer.kind == 'transposed',
  )


def _own(tree, path):
  """The variables of the module at `path`, without those of its parts."""
  for name in path:
    tree = tree.get(name, {})
  return {k: v for k, v in tree.items() if not isinstance(v, Mapping)}


def _kind(module):
  kinds = (name for name, types in _KINDS.items() if isinstance(module, types))
  return next(kinds, 'other')


def _count(tree):
  return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def _flops(module, own, input_shape, output_shape):
  """Twice the multiplications of a convolution; 0 for other layers."""
  kernel = own['params'].get('kernel')
  if kernel is None:
    return 0
  # A transposed convolution applies its kernel at every input pixel.
  transposed = isinstance(module, nn.ConvTranspose)
  pixels = (input_shape if transposed else output_shape)[1:3]
  return 2 * math.prod(pixels) * math.prod(kernel.shape)


def table(found: list[Layer]) -> str:
  """Returns the layers as lines of less than 80 columns, and their totals."""
  row = '{:30} {:>14} {:>11} {:>12} {:>7}'
  lines = [row.format('layer', 'output', 'parameters', 'MFLOPs', 'field')]
  for layer in found:
    lines.append(
      row.format(
        layer.name if layer.trainable else f'{layer.name} (frozen)',
        'x'.join(map(str, layer.output)),
        f'{layer.parameters + layer.statistics:,}',
        f'{layer.flops / 1e6:,.1f}' if layer.flops else '',
        f'{layer.field:,}',
      )
    )
  parameters = sum(layer.parameters + layer.statistics for layer in found)
  flops = sum(layer.flops for layer in found)
  sums = f'{parameters:,}', f'{flops / 1e6:,.1f}'
  lines.append(row.format('', '', *sums, '').rstrip())
  side = f'{found[-1].field:,}'  # all ways through a network end there
  lines.append(f'receptive field {side} x {side} pixels of the input')
  return '\n'.join(lines)


def totals(found: list[Layer]) -> str:
  """Returns a line of counts: parameters, those trained, and statistics."""
  parameters = sum(layer.parameters + layer.statistics for layer in found)
  trainable = sum(layer.parameters for layer in found if layer.trainable)
  statistics = sum(layer.statistics for layer in found)
  return (
    f'parameters {parameters} trainable {trainable} statistics {statistics}'
  )
