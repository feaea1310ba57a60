"""How the car answers the light, hit by hit.

Everything works on flat arrays of hits [N]; colours are [3] x [N], linear.
"""

import jax.numpy as jnp
import numpy as np

from carvana_jax.datasets.studio import details, scene, shape
from carvana_jax.datasets.studio.details import below, within
from carvana_jax.datasets.studio.vec import (
  Vec,
  length,
  mix,
  reflect,
  step,
  unit,
)

_REACH = 0.0025  # metres, of the differences that give the normal
_TETRAHEDRON = np.array(
  [(1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)], np.float32
)


def normal(car, p: Vec) -> Vec:
  """Unit normal at points on the surface, from four distances around each."""
  corner = Vec(*_TETRAHEDRON.T[..., None])  # [4, 1]
  gaps = shape.distance(car, *p.along(corner, _REACH))  # [4, N]
  return unit(Vec(*(jnp.sum(axis * gaps, axis=0) for axis in corner)))


def openness(car, p: Vec, n: Vec):
  """Share of the surrounding light that reaches p, 0..1."""
  reach = jnp.array([0.05, 0.20])[:, None]
  weight = jnp.array([4.0, 1.2])[:, None]
  free = shape.distance(car, *p.along(n, reach))  # [2, N]
  hidden = jnp.sum(weight * jnp.maximum(reach - free, 0), axis=0)
  ground = step(-0.25, 0.55, p.z + 0.45 * n.z)
  return jnp.clip(1 - hidden, 0.05, 1) * mix(0.25, 1.0, ground)


def _time_to(position, speed, plane):
  """How far a ray is from an axis-aligned plane; far where it is behind."""
  t = (plane - position) / jnp.where(jnp.abs(speed) < 1e-3, 1e-3, speed)
  return jnp.where(t > 0, t, 1e3)


def _seats(car, look, p: Vec, ray: Vec):
  """Where a ray through the cabin ends at a seat, 0..1."""
  hidden = 0.0
  row_y = jnp.where(ray.y > 0, 0.36, -0.36)
  beside = p.along(ray, jnp.minimum(_time_to(p.y, ray.y, row_y), 3.0))
  for seat in (look.pillars[0] - 0.05, look.pillars[1] + 0.05):
    behind = p.along(ray, jnp.minimum(_time_to(p.x, ray.x, seat), 3.0))
    on_plane = jnp.abs(behind.x - seat) < 0.06
    off = jnp.abs(behind.y) - 0.36
    head = length(off / 0.14, (behind.z - car.belt - 0.10) / 0.11)
    back = length(off / 0.25, (behind.z - car.belt + 0.28) / 0.33)
    hidden = jnp.maximum(
      hidden, on_plane * below(jnp.minimum(head, back), 1.0, 0.1)
    )
    on_plane = jnp.abs(beside.y - row_y) < 0.06
    off = beside.x - seat
    head = length(off / 0.09, (beside.z - car.belt - 0.10) / 0.11)
    back = length(off / 0.14, (beside.z - car.belt + 0.28) / 0.33)
    hidden = jnp.maximum(
      hidden, on_plane * below(jnp.minimum(head, back), 1.0, 0.1)
    )
  return hidden


def see_through(car, look, p: Vec, ray: Vec, behind):
  """What is seen through a pane: cabin, seats, and the room behind the car.

  The ray goes straight on until it leaves the cabin at its other side, or at
  an end of it, where it may find another window.
  """
  wall = jnp.where(ray.y > 0, 1.0, -1.0) * (car.cabin_half_width - 0.10)
  rear = 0.5 * (car.tail + look.pillars[1]) - 0.1
  end = jnp.where(ray.x < 0, rear, car.mirror[0] - 0.1)
  t_wall, t_end = _time_to(p.y, ray.y, wall), _time_to(p.x, ray.x, end)
  out = p.along(ray, jnp.minimum(t_wall, t_end))
  at_end = within(out.z, 0.5 * (car.belt + car.roof) - 0.02, 0.14, 0.05)
  at_end = at_end * below(jnp.abs(out.y), car.cabin_half_width - 0.25, 0.05)
  at_side = details.side_window(car, look, out.x, out.z, 0.02)
  pane = jnp.where(t_wall < t_end, at_side, at_end)
  light = pane * (1 - _seats(car, look, p, ray)) * look.tint
  dark = 0.010 + 0.015 * step(car.belt - 0.1, car.roof, out.z)
  return [dark + 0.8 * light * colour for colour in behind]


def _coat_and_pane(car, look, p: Vec, n: Vec, soft):
  """The coat of each hit, by the part that it belongs to; where it is glass.

  Returns (coat, how metallic it may be 0..1, share of glass 0..1).
  """
  ay = jnp.abs(p.y)
  sheet = shape.body(car, p.x, ay, p.z)
  wheel = shape.wheels(car, p.x, ay, p.z)
  mirror = shape.mirrors(car, p.x, ay, p.z)
  rest = jnp.minimum(shape.aerial(car, *p), shape.extras(car, p.x, ay, p.z))
  is_wheel = wheel < jnp.minimum(jnp.minimum(sheet, mirror), rest)
  is_fitting = ~is_wheel & (jnp.minimum(mirror, rest) < sheet)
  cabin = shape.cabin(car, p.x, ay, p.z) < shape.hull(car, p.x, ay, p.z)
  cabin = cabin * 1.0

  at = details.spot(car, p, n, cabin, soft)
  coat = details.body_coat(car, look, at)
  # Mirrors and spoilers are painted, aerials and rails black.
  painted = (mirror < rest) | (shape.spoiler(car, p.x, ay, p.z) < 0.01)
  colours = [jnp.where(painted, colour, 0.02) for colour in look.paint]
  coat = coat.cover(is_fitting * 1.0, colours, 1.0)
  coat = coat.cover(is_wheel * 1.0, *details.wheel_coat(car, look, p, soft))
  pane = details.glass(car, look, p, n, cabin, soft)
  return coat, ~is_wheel * coat.gloss, pane * ~(is_wheel | is_fitting)


def shade(car, look, studio, place, p: Vec, ray: Vec, soft, behind):
  """Light [3] x [N] that leaves the car at `p` towards the camera.

  `p` and `ray` are in the car's frame; `soft` is a sample's width in metres,
  over which drawn edges fade; `behind` is the empty room along the same ray.
  """
  n = normal(car, p)
  coat, flakes, pane = _coat_and_pane(car, look, p, n, soft)
  free = openness(car, p, n)
  bounce = 0.10 + 0.30 * step(0.0, 0.8, p.z)
  light = mix(bounce, 1.02, 0.5 + 0.5 * n.z) * free
  mirrored = place.turn_to_room(reflect(ray, n))
  seen = scene.surroundings(studio, mirrored)
  fresnel = 0.04 + 0.96 * (1 - scene.facing(ray, n)) ** 5
  # Metallic paint scatters what it mirrors.
  blurred = (0.25 + 0.95 * step(-0.5, 0.9, mirrored.z)) * free
  light = mix(light, blurred, 0.6 * look.metallic * flakes)
  through = see_through(car, look, p, ray, behind)
  result = []
  for i in range(3):
    matt = coat.albedo[i] * light * (1 - fresnel * coat.gloss)
    paint = matt + coat.gloss * fresnel * mix(0.35, 1.0, free) * seen[i]
    window = through[i] * (1 - fresnel) + (fresnel + 0.01) * seen[i]
    result.append(mix(paint, window, pane))
  return result
