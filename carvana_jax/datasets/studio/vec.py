"""Points and directions as three arrays, so that XLA fuses what uses them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Vec(NamedTuple):
  """Three arrays of one shape (or numbers): x forward, y left, z up."""

  x: jax.Array
  y: jax.Array
  z: jax.Array

  def along(self, direction: 'Vec', t) -> 'Vec':
    """The point `t` further in `direction`."""
    return Vec(
      self.x + t * direction.x,
      self.y + t * direction.y,
      self.z + t * direction.z,
    )


def dot(a: Vec, b: Vec) -> jax.Array:
  return a.x * b.x + a.y * b.y + a.z * b.z


def length(*parts) -> jax.Array:
  return jnp.sqrt(sum(part * part for part in parts))


def unit(a: Vec) -> Vec:
  scale = 1 / jnp.maximum(length(*a), 1e-9)
  return Vec(a.x * scale, a.y * scale, a.z * scale)


def reflect(direction: Vec, normal: Vec) -> Vec:
  """`direction` mirrored at the plane with this unit normal."""
  return direction.along(normal, -2 * dot(direction, normal))


def turn(a: Vec, cos, sin) -> Vec:
  """`a` turned about the z axis, counter-clockwise seen from above."""
  return Vec(cos * a.x - sin * a.y, sin * a.x + cos * a.y, a.z)


def mix(a, b, share):
  """`a` where share is 0, `b` where it is 1."""
  return a + (b - a) * share


def step(low, high, x):
  """0 below `low`, 1 above `high`, smooth between."""
  t = jnp.clip((x - low) / (high - low), 0, 1)
  return t * t * (3 - 2 * t)
