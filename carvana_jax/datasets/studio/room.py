"""The empty room: floor, turntable, the car's shadow, wall and lettering."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from carvana_jax.datasets.studio.scene import Placement, Studio, room_camera
from carvana_jax.datasets.studio.shape import Shape
from carvana_jax.datasets.studio.vec import Vec, length, mix, step

_INK = (0.085, 0.080, 0.085)
_LINE = 0.008  # metres, half the width of the gap around the turntable


class Survey(NamedTuple):
  """What stands where in the picture; all [H, W], 0..1 unless said."""

  floor: jax.Array  # 1 on the floor, 0 on the wall
  light: jax.Array  # on the floor, relative
  table: jax.Array  # 1 on the turntable
  stains: jax.Array  # on the turntable, about -1..2
  beyond: jax.Array  # 1 where the floor has ended, before the camera
  lip: jax.Array  # 1 at that end
  wall: jax.Array  # light from the bare wall
  ink: jax.Array  # 1 on the lettering


def _shadow(place: Placement, car: Shape, p: Vec):
  """Returns what is left of the light on the floor around the car, 0..1."""
  near = place.to_car(p)
  middle, half_length = 0.5 * (car.nose + car.tail), 0.5 * (car.nose - car.tail)
  dx = jnp.abs(near.x - middle) - half_length + 0.25
  dy = jnp.abs(near.y) - car.half_width + 0.22
  outside = length(jnp.maximum(dx, 0), jnp.maximum(dy, 0))
  gap = outside + jnp.minimum(jnp.maximum(dx, dy), 0)
  under = step(0.30, -0.22, gap)
  around = jnp.exp(-jnp.maximum(gap, 0) / 0.55)
  wheel = length(
    jnp.abs(near.x) - car.half_base, jnp.abs(near.y) - car.half_width + 0.13
  )
  contact = jnp.exp(-((wheel / 0.24) ** 2))
  return (1 - 0.86 * under) * (1 - 0.34 * around) * (1 - 0.5 * contact)


def _stains(place: Placement, p: Vec):
  """Returns uneven traces of tyres and water, which turn with the table."""
  q = place.to_car(p)
  wave = jnp.sin(1.7 * q.x + 1.3 * jnp.sin(1.1 * q.y)) * jnp.sin(
    2.3 * q.y + 1.7 * jnp.sin(0.9 * q.x)
  )
  fine = jnp.sin(5.1 * q.x + 2.0 * wave) * jnp.sin(1.9 * q.y - 3.0 * wave)
  lanes = jnp.exp(-(((jnp.abs(q.y) - 0.8) / 0.3) ** 2)) * step(1.5, 3.2, q.x)
  return 0.5 * wave + 0.3 * fine + 1.2 * lanes


def _letters(texture, studio: Studio, azimuth, z, footprint):
  """Returns how much of a wall point is lettering, 0..1."""
  rows, columns = texture.shape
  middle, foot, cap, width = studio.sign
  scale = columns / width  # texels a metre
  column = (0.5 - (azimuth - middle) * studio.wall / width) * columns - 0.5
  row = (1 - (z - foot) / cap) * rows - 0.5
  inside = (column > 0) & (column < columns - 1) & (row > 0) & (row < rows - 1)
  left = jnp.clip(column, 0, columns - 2).astype(jnp.int32)
  top = jnp.clip(row, 0, rows - 2).astype(jnp.int32)
  fx = jnp.clip(column - left, 0, 1)
  fy = jnp.clip(row - top, 0, 1)
  flat = texture.reshape(-1)
  at = top * columns + left
  upper = mix(flat[at], flat[at + 1], fx)
  lower = mix(flat[at + columns], flat[at + columns + 1], fx)
  distance = mix(upper, lower, fy) / scale
  return jnp.where(inside, jnp.clip(0.5 - distance / footprint, 0, 1), 0.0)


def _floor_points(eye: Vec, ray: Vec):
  """Returns where rays meet the floor, and how far off; far if they do not."""
  t = jnp.where(ray.z < -1e-4, -eye.z / jnp.minimum(ray.z, -1e-4), 1e4)
  return eye.along(ray, t), t


def _wall_points(studio: Studio, eye: Vec, ray: Vec):
  """Returns where rays meet the wall from inside, and how far off that is."""
  a = ray.x**2 + ray.y**2
  b = eye.x * ray.x + eye.y * ray.y
  c = eye.x**2 + eye.y**2 - studio.wall**2
  t = (-b + jnp.sqrt(jnp.maximum(b * b - a * c, 0))) / a
  return eye.along(ray, t), t


def survey(
  texture, studio: Studio, place: Placement, car: Shape, ray: Vec, pixel
) -> Survey:
  """Looks at the room along rays [H, W].

  Args:
    texture: of the lettering.
    studio: the room.
    place: where the car stands.
    car: what leaves its shadow.
    ray: unit directions in the room.
    pixel: the angle that a pixel covers; edges are as soft as that.
  """
  eye = room_camera(studio).eye
  p, t_floor = _floor_points(eye, ray)
  q, t_wall = _wall_points(studio, eye, ray)
  # Wall and floor meet in a small curve.
  curve = 0.25 + 9 * t_wall * pixel
  floor = jnp.clip(0.5 + (t_wall - t_floor) / curve, 0, 1)

  from_axis = length(p.x, p.y)
  blur = jnp.maximum(t_floor * pixel / jnp.maximum(-ray.z, 0.02), 0.01)
  to_edge = studio.table_radius - from_axis
  line = jnp.clip((blur + _LINE - jnp.abs(to_edge)) / blur, 0, 1)
  line = line * jnp.minimum(2 * _LINE / blur, 1)
  # Lamps over the middle; it gets darker towards the wall.
  light = 0.94 + 0.14 * jnp.exp(-((from_axis / 3.5) ** 2))
  light = light - 0.16 * step(6.0, studio.wall, from_axis)
  past_end = from_axis - (studio.distance - studio.edge)
  before = p.x < 0

  azimuth = jnp.arctan2(q.y, q.x)
  bright = 0.86 + 0.06 * step(0.0, 2.5, q.z) - 0.10 * jnp.abs(azimuth)
  return Survey(
    floor=floor,
    light=light * _shadow(place, car, p) * (1 - 0.5 * line),
    table=jnp.clip(0.5 + to_edge / blur, 0, 1),
    stains=_stains(place, p),
    beyond=jnp.clip(0.5 + past_end / blur, 0, 1) * before,
    lip=jnp.exp(-((past_end / 0.05) ** 2)) * before,
    wall=bright,
    ink=_letters(texture, studio, azimuth, q.z, t_wall * pixel),
  )


def paint(studio: Studio, seen: Survey):
  """Returns the room's light, [H, W, 3]."""
  seen = Survey(*(part[..., None] for part in seen))
  worn = 1 + 0.05 * seen.stains * jnp.array([1.0, 0.67, 0.33])
  table = mix(1.0, studio.table * worn, seen.table)
  floor = mix(studio.floor * seen.light * table, 0.80, seen.beyond)
  floor = floor * (1 - seen.lip * jnp.array([0.5, 0.6, 0.7]))
  return mix(mix(seen.wall, jnp.array(_INK), seen.ink), floor, seen.floor)
