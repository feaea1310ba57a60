"""From rays to the car's picture: find, march, shade, average.

The kernels are jitted for blocks of `BLOCK` rays, so they compile once for
all sizes, and NumPy picks the rays that each of them still has to see: most
of a picture is room, and most rays are done after a few steps. The `FEW` that
are left march on in a small block to their end.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from carvana_jax.datasets.studio import scene, shape, surface
from carvana_jax.datasets.studio.vec import Vec

BLOCK = 4096  # rays a kernel works on
FEW = 512  # rays that are not sorted out any more
TILE = 8  # pixels, each way, that share their first steps
STEPS = 6  # of a ray before those that are done are sorted out
CONE_ROUNDS = 6
RAY_ROUNDS = 40  # rays that graze the car take many steps; they are few
HIT = 0.001  # metres at which a ray has met the surface
NEAR = 0.003  # and at which it has, when its rounds are over


class View(NamedTuple):
  """What the kernels must know of a photo; a pytree of arrays."""

  shape: shape.Shape
  look: tuple  # cars.Look
  studio: scene.Studio
  place: scene.Placement
  camera: scene.Camera  # in the car's frame


class Layer(NamedTuple):
  """The car alone, over black."""

  light: np.ndarray  # float32 [H, W, 3], times coverage
  coverage: np.ndarray  # float32 [H, W], 0..1


def _box(car: shape.Shape, eye: Vec, ray: Vec, margin):
  """Returns where rays enter and leave the car's box, widened by `margin`."""
  low, high = shape.bounds(car)
  start, end = jnp.zeros_like(ray.x), jnp.full_like(ray.x, 1e3)
  for axis in range(3):
    speed = jnp.where(jnp.abs(ray[axis]) < 1e-6, 1e-6, ray[axis])
    a = (low[axis] - margin - eye[axis]) / speed
    b = (high[axis] + margin - eye[axis]) / speed
    start = jnp.maximum(start, jnp.minimum(a, b))
    end = jnp.minimum(end, jnp.maximum(a, b))
  return start, end


@jax.jit
def _advance(view: View, steps, u, v, t, spread):
  """Moves rays [N] on by up to so many steps of sphere tracing.

  With a `spread` above zero the rays are cones of that half-angle, which stop
  before anything that any ray within them could meet.

  Returns how far they are, how far the car still is, and whether they are
  still inside the car's box.
  """
  eye, ray = view.camera.eye, view.camera.ray(u, v)
  start, end = _box(view.shape, eye, ray, 14 * spread)
  pace = shape.SAFETY / (1 + spread)

  def gap_at(t):
    return shape.distance(view.shape, *eye.along(ray, t)) - spread * t

  def advance(state):
    count, t, _ = state
    gap = gap_at(t)
    return count + 1, jnp.where((gap > HIT) & (t < end), t + pace * gap, t), gap

  def going(state):
    count, t, gap = state
    return (count < steps) & jnp.any((gap > HIT) & (t < end))

  state = 0, jnp.maximum(t, start), jnp.full_like(t, 1e3)
  _, t, gap = jax.lax.while_loop(going, advance, state)
  return t, gap, t < end


@jax.jit
def _shade(view: View, u, v, t, soft, red, green, blue):
  """Returns the light of hits at the distance t: three arrays [N].

  `red`, `green`, `blue` are the empty room's light. Colours stay apart, for
  stacked in here they make XLA compute most of it over and over.
  """
  ray = view.camera.ray(u, v)
  point = view.camera.eye.along(ray, t)
  behind = (red, green, blue)
  return surface.shade(*view[:4], point, ray, soft * t, behind)


def _in_blocks(kernel, block: int, *rays):
  """Runs a kernel over any number of rays [N], so many at once."""
  count = len(rays[0])
  missing = -count % block
  rays = [np.pad(part, (0, missing), 'edge') for part in rays]
  blocks = [
    kernel(*(part[start : start + block] for part in rays))
    for start in range(0, count, block)
  ]
  return jax.tree.map(lambda *parts: np.concatenate(parts)[:count], *blocks)


def _meet(view: View, u, v, start, spread: float, rounds: int, near: float):
  """Marches rays (or cones); returns their distances [N] and which met the car.

  Rays that are not done after all rounds have met what is less than `near`
  away.
  """
  t, gap = start.copy(), np.full_like(start, np.inf)
  inside = np.ones(len(t), bool)
  todo = np.arange(len(t))
  while rounds and len(todo):
    taken, block = (rounds, FEW) if len(todo) <= FEW else (1, BLOCK)
    advance = functools.partial(_advance, view, taken * STEPS)
    rays = u[todo], v[todo], t[todo], np.full(len(todo), spread, np.float32)
    t[todo], gap[todo], inside[todo] = _in_blocks(advance, block, *rays)
    todo = todo[inside[todo] & (gap[todo] > HIT)]
    rounds -= taken
  return t, inside & (gap < near)


def _tiles(view: View, height: int, width: int, zoom: float):
  """Returns tiles that may hold the car: rows, columns, distance free of it."""
  row, column = np.mgrid[0:height:TILE, 0:width:TILE].reshape(2, -1)
  u = (2 * (column + TILE / 2) / width - 1).astype(np.float32)
  v = (2 * (row + TILE / 2) / height - 1).astype(np.float32)
  spread = 1.02 * zoom * np.hypot(TILE / width, TILE / height / scene.ASPECT)
  t, met = _meet(view, u, v, np.zeros_like(u), spread, CONE_ROUNDS, np.inf)
  return row[met], column[met], t[met]


def trace(view: View, behind: np.ndarray, samples: int) -> Layer:
  """Renders the car as the view's camera sees it.

  Args:
    view: car, room and camera.
    behind: float32 [H, W, 3], what the car's windows let through.
    samples: of a pixel, each way.

  Returns:
    The car's layer, [H, W].
  """
  height, width = behind.shape[:2]
  zoom = float(view.studio.zoom)
  top, left, free = _tiles(view, height, width, zoom)
  steps = np.arange(TILE * samples)
  grid = (len(top), len(steps), len(steps))
  row = np.broadcast_to(top[:, None, None] * samples + steps[:, None], grid)
  column = np.broadcast_to(left[:, None, None] * samples + steps, grid)
  inside = (row < height * samples) & (column < width * samples)
  row, column = row[inside], column[inside]
  start = np.broadcast_to(free[:, None, None], grid)[inside]
  u = ((2 * column + 1) / (samples * width) - 1).astype(np.float32)
  v = ((2 * row + 1) / (samples * height) - 1).astype(np.float32)

  t, met = _meet(view, u, v, start, 0.0, RAY_ROUNDS, NEAR)
  u, v, t = u[met], v[met], t[met]
  pixel = row[met] // samples * width + column[met] // samples
  soft = np.full(len(t), 2 * zoom / (width * samples), np.float32)
  spots = behind.reshape(-1, 3)[pixel].T
  light = [np.zeros(0)] * 3
  if len(t):
    light = _in_blocks(
      functools.partial(_shade, view), BLOCK, u, v, t, soft, *spots
    )

  def average(weights):
    total = np.bincount(pixel, weights, minlength=height * width)
    return (total / samples**2).astype(np.float32).reshape(height, width)

  return Layer(np.stack([*map(average, light)], axis=-1), average(None))
