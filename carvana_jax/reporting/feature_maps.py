"""What a network computes on its way to a mask, and what the border rests on.

All of it is for one image, in inference mode; `feature_sheets` draws it.
"""

import collections
import itertools
from collections.abc import Container, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from carvana_jax.metrics import border
from carvana_jax.models import layer_table

_BAND = (0.1, 0.9)  # probabilities between which a pixel is of the border


def layers_to_show(layers: Sequence[layer_table.Layer]) -> list[str]:
  """Returns the names of the layers that are worth a look.

  A layer that a norm follows is not: the norm moves and scales each of its
  channels, so they would look alike.

  Args:
    layers: the layers of the network, in the order in which they are called.

  Returns:
    The names, in the same order.
  """
  kinds = [layer.kind for layer in layers[1:]]
  pairs = itertools.zip_longest(layers, kinds)
  return [layer.name for layer, following in pairs if following != 'norm']


def capture(
  model: nn.Module, variables, image: np.ndarray, names: Container[str]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
  """Runs a network once and keeps the outputs of its layers.

  Outputs are those of the layers themselves: a ReLU, which is no layer in
  Linen, comes after them.

  Args:
    model: a Linen network.
    variables: its parameters and statistics.
    image: [h, w, C], in 0..1.
    names: the names of the layers, as in `layer_table.layers`.

  Returns:
    The layers' outputs float32 [h', w', c], in the order of their calls, and
    the network's logits [h, w].
  """

  @jax.jit
  def forward(variables, image):
    # A plain dict would come back sorted by name.
    outputs = collections.OrderedDict()

    def remember(call, args, kwargs, context):
      output = call(*args, **kwargs)
      name = '/'.join(context.module.scope.path)
      if name in names and context.method_name == '__call__':
        outputs[name] = output[0].astype(jnp.float32)
      return output

    with nn.intercept_methods(remember):
      logits = model.apply(variables, image[None], train=False)
    return outputs, logits[0]

  return jax.device_get(forward(variables, image))


def unsure_pixels(probability: np.ndarray, mask: np.ndarray) -> np.ndarray:
  """Returns the pixels that the network is unsure of.

  Args:
    probability: [h, w], that a pixel is car, 0..1.
    mask: bool [h, w], the mask that is made of it.

  Returns:
    bool [h, w]; where the network is sure of every pixel, the mask's border,
    see `border.border_pixels`, which may be empty.
  """
  low, high = _BAND
  unsure = (probability > low) & (probability < high)
  if unsure.any():
    return unsure
  return border.border_pixels(mask)


def saliency(
  model: nn.Module, variables, image: np.ndarray, where: np.ndarray
) -> np.ndarray:
  """Measures how much each number of the input changes some pixels' logits.

  It is the absolute value of the gradient of the sum of those logits (Simonyan
  et al. 2013, "Deep inside convolutional networks").

  Args:
    model: a Linen network.
    variables: its parameters and statistics.
    image: [h, w, C], in 0..1.
    where: bool [h, w], the pixels.

  Returns:
    float32 [h, w, C], at least 0.
  """

  @jax.jit
  @jax.grad
  def gradient(image, variables):
    logits = model.apply(variables, image[None], train=False)[0]
    return jnp.sum(jnp.where(where, logits, 0))

  return np.abs(gradient(image, variables))
