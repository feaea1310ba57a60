"""Random changes of images and masks, on the device, from one key."""

import jax
import jax.numpy as jnp


def flip_left_right(
  key: jax.Array, image: jax.Array, mask: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Mirrors half of the examples, image and mask together.

  Args:
    key: a random key.
    image: [B, H, W, C].
    mask: [B, H, W].
  """
  flipped = jax.random.bernoulli(key, shape=(image.shape[0],))  # [B]
  image = jnp.where(flipped[:, None, None, None], image[:, :, ::-1], image)
  mask = jnp.where(flipped[:, None, None], mask[:, :, ::-1], mask)
  return image, mask
