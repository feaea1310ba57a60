"""What a network computes on its way to a mask, and what the border rests on.

All of it for one image, in inference mode.
"""

import collections
import itertools
from collections.abc import Container, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from carvana_jax import summary
from carvana_jax.metrics import border

_BAND = (0.1, 0.9)  # probabilities between which a pixel is of the border


def stages(layers: Sequence[summary.Layer]) -> list[str]:
  """Names of the layers that are worth a look, in the order of their calls.

  A layer that a norm follows is not: the norm moves and scales each of its
  channels, so they would look alike.
  """
  kinds = [layer.kind for layer in layers[1:]]
  pairs = itertools.zip_longest(layers, kinds)
  return [layer.name for layer, following in pairs if following != 'norm']


def capture(
  model: nn.Module, variables, image: np.ndarray, names: Container[str]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
  """Runs the network once and keeps what its layers put out.

  Outputs are those of the layers themselves: a ReLU, which is no layer in
  Linen, comes after them.

  Args:
    model: a Linen network.
    variables: its parameters and statistics.
    image: [h, w, C], in 0..1.
    names: of layers, as in `summary.layers`.

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


def doubtful(probability: np.ndarray, mask: np.ndarray) -> np.ndarray:
  """The pixels of which the network is unsure; if of none, the mask's border.

  Args:
    probability: of car, [h, w].
    mask: bool [h, w].

  Returns:
    bool [h, w]. The mask's border is `boundary.border`, which may have none.
  """
  low, high = _BAND
  unsure = (probability > low) & (probability < high)
  if unsure.any():
    return unsure
  return border.border(mask)


def saliency(
  model: nn.Module, variables, image: np.ndarray, where: np.ndarray
) -> np.ndarray:
  """How much each number of the input changes the logits of some pixels.

  The gradient's absolute value, as of Simonyan et al. 2013 ("Deep inside
  convolutional networks"), for the sum of those logits.

  Args:
    model: a Linen network.
    variables: its parameters and statistics.
    image: [h, w, C], in 0..1.
    where: bool [h, w], the pixels.

  Returns:
    float32 [h, w, C], from 0 on.
  """

  @jax.jit
  @jax.grad
  def gradient(image, variables):
    logits = model.apply(variables, image[None], train=False)[0]
    return jnp.sum(jnp.where(where, logits, 0))

  return np.abs(gradient(image, variables))
