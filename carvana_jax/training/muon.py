"""Muon, with the products of many kernels in one.

Jordan et al. 2024: the momentum of every kernel is made orthogonal, nearly, by
five rounds of three products of matrices each. optax.contrib.muon does so
kernel by kernel, which makes hundreds of products, most of them too small for a
GPU. Here, kernels of the same shorter side are cut into blocks of equal size,
which are multiplied together. The state is that of optax.contrib.muon, so
checkpoints fit both.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax

# As in Jordan's code and in optax.
_DECAY = 0.95  # of the momentum
_EPSILON = 1e-8
_COEFFICIENTS = 3.4445, -4.7750, 2.0315
_ROUNDS = 5
# The least shorter side: filled up with zeros, kernels that are smaller go
# with those of this size, at next to no cost.
_LEAST = 64


def muon(
  learning_rate: optax.ScalarOrSchedule, weight_decay: float, epsilon: float
) -> optax.GradientTransformation:
  """Makes Muon for kernels [h, w, I, O], and Adam for all else.

  Args:
    learning_rate: of both, a number or a function of the step.
    weight_decay: of kernels, a share of the learning rate.
    epsilon: added to Adam's denominator.

  Returns:
    The optimizer. A kernel's update has entries of the size of Adam's (Liu et
    al. 2025), so that Adam's rates and decays fit.
  """
  kernels = optax.chain(
    optax.GradientTransformation(optax.contrib.scale_by_muon().init, _update),
    optax.stateless(lambda updates, _: jax.tree.map(_scale, updates)),
    optax.add_decayed_weights(weight_decay),
    optax.scale_by_learning_rate(learning_rate),
  )
  others = optax.adamw(
    learning_rate, eps=epsilon, weight_decay=0.0, nesterov=True
  )
  label = lambda x: 'muon' if jnp.ndim(x) == 4 else 'adam'
  return optax.partition(
    {'muon': kernels, 'adam': others}, lambda x: jax.tree.map(label, x)
  )


def _update(gradients, state, params=None):
  """Adds the gradients to the momentum, and makes Nesterov's orthogonal."""
  del params
  moments = optax.tree.update_moment(gradients, state.mu, _DECAY, 1)
  count = optax.safe_increment(state.count)
  ahead = jax.tree.map(
    lambda moment, gradient: _DECAY * moment + (1 - _DECAY) * gradient,
    optax.tree.bias_correction(moments, _DECAY, optax.safe_increment(count)),
    optax.tree.bias_correction(gradients, _DECAY, count),
  )
  kernels, structure = jax.tree.flatten(ahead)
  # Jordan's code has bfloat16; on CPUs that would be slower.
  on_cpu = jax.default_backend() == 'cpu'
  updates = orthogonal(kernels, jnp.float32 if on_cpu else jnp.bfloat16)
  state = state._replace(count=count, mu=moments)
  return jax.tree.unflatten(structure, updates), state


def _scale(update):
  # Equation 4 of Liu et al. 2025.
  return 0.2 * math.sqrt(max(_matrix_shape(update))) * update


def _matrix_shape(kernel):
  """(h * w * I, O)."""
  return math.prod(kernel.shape[:-1]), kernel.shape[-1]


def orthogonal(kernels: list[jax.Array], dtype) -> list[jax.Array]:
  """Makes the columns of matrices, or else their rows, nearly orthonormal.

  Args:
    kernels: [h, w, I, O] each, standing for the matrix [h * w * I, O].
    dtype: of the arguments of products; sums are float32.

  Returns:
    Arrays of the same shapes, float32. Singular values are some 0.7 to 1.2.
  """
  groups = {}  # width of blocks -> indices of kernels
  for index, kernel in enumerate(kernels):
    width = max(_LEAST, min(_matrix_shape(kernel)))
    groups.setdefault(width, []).append(index)
  result = list(kernels)
  for width, indices in groups.items():
    group = [kernels[i] for i in indices]
    for i, kernel in zip(indices, _group(group, width, dtype), strict=True):
      result[i] = kernel
  return result


def _group(kernels, width, dtype):
  """Makes kernels of a shorter side of at most `width` orthogonal."""
  lengths = [max(_matrix_shape(kernel)) for kernel in kernels]
  # The height of blocks that makes the least of their and their products' size.
  height = min(lengths, key=lambda h: (h + width) * sum(_counts(lengths, h)))
  counts = _counts(lengths, height)
  x = jnp.concatenate([_blocks(kernel, height, width) for kernel in kernels])
  owners = np.repeat(np.arange(len(kernels)), counts)
  x = _newton_schulz(x, owners, dtype)
  parts = jnp.split(x, np.cumsum(counts)[:-1])
  return [
    _kernel(part, kernel) for part, kernel in zip(parts, kernels, strict=True)
  ]


def _counts(lengths, height):
  return [-(-length // height) for length in lengths]


def _blocks(kernel, height, width):
  """Cuts a kernel's matrix, upright, into blocks [n, height, width]."""
  matrix = kernel.reshape(_matrix_shape(kernel))
  if matrix.shape[0] < matrix.shape[1]:
    matrix = matrix.T
  rows, columns = matrix.shape
  matrix = jnp.pad(matrix, ((0, -rows % height), (0, width - columns)))
  return matrix.reshape(-1, height, width)


def _kernel(blocks, like):
  """Turns `_blocks` of a kernel into the kernel."""
  rows, columns = _matrix_shape(like)
  matrix = blocks.reshape(-1, blocks.shape[-1])
  if rows < columns:
    matrix = matrix[:columns, :rows].T
  return matrix[:rows, :columns].reshape(like.shape)


def _newton_schulz(x, owners, dtype):
  """Makes upright matrices nearly orthogonal.

  Zeros below or right of a matrix stay zeros and change nothing else.

  Args:
    x: blocks of all matrices, [N, height, width].
    owners: [N], the matrix that each block belongs to, ascending.
    dtype: of the arguments of products.

  Returns:
    The blocks, [N, height, width], float32.
  """
  members = [np.flatnonzero(owners == i) for i in range(owners[-1] + 1)]
  most = max(map(len, members))
  table = np.full((len(members), most), len(owners))
  for row, member in zip(table, members, strict=True):
    row[: len(member)] = member
  # What each matrix' blocks add up to; where there are fewer, with zeros.
  total = lambda y: y.at[table].get(mode='fill', fill_value=0).sum(1)
  product = lambda terms, *arrays: jnp.einsum(
    terms,
    *(y.astype(dtype) for y in arrays),
    preferred_element_type=jnp.float32,
  )
  norm = jnp.sqrt(total(jnp.sum(x * x, (1, 2)))) + _EPSILON
  x /= norm[owners, None, None]
  first, third, fifth = _COEFFICIENTS

  def one_round(_, x):
    a = total(product('nhv,nhw->nvw', x, x))
    b = third * a + fifth * product('muv,mvw->muw', a, a)
    return first * x + product('nhv,nvw->nhw', x, b[owners])

  return jax.lax.fori_loop(0, _ROUNDS, one_round, x)
