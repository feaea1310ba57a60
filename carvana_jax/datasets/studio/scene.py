"""The room: camera, floor, turntable, wall, lettering and light.

The room's frame: the turntable's axis is the z axis, the floor z = 0, and the
camera stands at (-distance, 0, height) and looks along +x; +y is to its left.
Light is linear, 1 is what the camera shows as white.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from carvana_jax.datasets.studio.shape import Shape
from carvana_jax.datasets.studio.vec import Vec, dot, length, mix, step, unit

# Photos are this much wider than high, also where they are stored squeezed.
ASPECT = 1918 / 1280
TURNTABLE = 3.4  # radius in metres


class Studio(NamedTuple):
  """The room on the day of one car's photos; arrays of float32."""

  distance: np.ndarray  # of the camera from the turntable's axis, metres
  height: np.ndarray  # of the camera, metres
  aim: np.ndarray  # [2] y and z of the point it looks at, above the axis
  roll: np.ndarray  # radians
  zoom: np.ndarray  # half the picture's width, at distance one
  wall: np.ndarray  # radius of the wall, metres
  sign: np.ndarray  # [4] lettering: azimuth, foot, cap height, width in metres
  parking: np.ndarray  # [3] where the car stands on the table: x, y, turn
  floor: np.ndarray  # [3] linear colour
  table: np.ndarray  # [3] the turntable's colour, relative to the floor
  balance: np.ndarray  # [3] exposure times white balance
  slope: np.ndarray  # [2] light's gradient along u and v
  vignette: np.ndarray
  edge: np.ndarray  # distance at which the floor ends before the camera


def sample_studio(rng: np.random.Generator) -> Studio:
  """A room with the small differences that days of work leave."""
  warm = rng.beta(0.7, 0.9)  # 0: blue-grey floor, 1: beige
  cool, beige = np.array([0.40, 0.42, 0.455]), np.array([0.56, 0.53, 0.46])
  warm_table = rng.uniform(0.2, 1.0)
  studio = Studio(
    distance=rng.uniform(9.2, 10.0),
    height=rng.uniform(1.95, 2.2),
    aim=(rng.normal(0, 0.12), rng.uniform(0.42, 0.66)),
    roll=rng.normal(0, 0.004),
    zoom=rng.uniform(0.315, 0.345),
    wall=rng.uniform(9.6, 11.5),
    sign=(rng.normal(0.0, 0.015), 0.34, 1.62, 11.6),
    parking=(*rng.normal(0, 0.10, 2), rng.normal(0, 0.03)),
    floor=(cool + (beige - cool) * warm) * rng.uniform(0.92, 1.06),
    table=1 + warm_table * np.array([0.05, 0.02, -0.05]),
    balance=rng.uniform(0.95, 1.04) * (1 + rng.normal(0, 0.012, 3)),
    slope=rng.normal(0, (0.05, 0.03)),
    vignette=rng.uniform(0.05, 0.16),
    edge=rng.uniform(3.7, 4.6),
  )
  return Studio(*(np.asarray(value, np.float32) for value in studio))


class Camera(NamedTuple):
  """A pin-hole camera: where it stands and its axes, with |forward| = 1."""

  eye: Vec
  forward: Vec
  right: Vec  # as long as half the picture's width at distance one
  down: Vec  # as long as half the picture's height

  def ray(self, u, v) -> Vec:
    """Unit directions; u, v in -1..1 from left to right and top to bottom."""
    return unit(self.forward.along(self.right, u).along(self.down, v))


def room_camera(studio: Studio) -> Camera:
  """The camera in the room's frame."""
  eye = Vec(-studio.distance, jnp.float32(0), studio.height)
  forward = unit(Vec(-eye.x, studio.aim[0] - eye.y, studio.aim[1] - eye.z))
  side = unit(Vec(forward.y, -forward.x, jnp.zeros_like(forward.x)))
  below = unit(
    Vec(
      forward.x * forward.z,
      forward.y * forward.z,
      -(forward.x**2 + forward.y**2),
    )
  )
  cos, sin = jnp.cos(studio.roll), jnp.sin(studio.roll)
  zero = Vec(0.0, 0.0, 0.0)
  width, height = studio.zoom, studio.zoom / ASPECT
  right = zero.along(side, width * cos).along(below, width * sin)
  down = zero.along(below, height * cos).along(side, -height * sin)
  return Camera(eye, forward, right, down)


def heading(studio: Studio, view) -> jax.Array:
  """The angle of the car's x axis in the room; view 1..16.

  View 1 looks the car in the face; every step turns it by 22.5 degrees, so
  that view 5 has its nose on the left and view 9 shows its tail.
  """
  return jnp.pi - (view - 1) * (jnp.pi / 8) + studio.parking[2]


class Placement(NamedTuple):
  """Where the car stands in the room."""

  cos: jax.Array
  sin: jax.Array
  x: jax.Array
  y: jax.Array

  def to_car(self, point: Vec) -> Vec:
    return self.turn_to_car(Vec(point.x - self.x, point.y - self.y, point.z))

  def turn_to_car(self, a: Vec) -> Vec:
    return Vec(
      self.cos * a.x + self.sin * a.y, self.cos * a.y - self.sin * a.x, a.z
    )

  def turn_to_room(self, a: Vec) -> Vec:
    return Vec(
      self.cos * a.x - self.sin * a.y, self.sin * a.x + self.cos * a.y, a.z
    )


def placement(studio: Studio, view) -> Placement:
  angle = heading(studio, view)
  cos, sin = jnp.cos(angle), jnp.sin(angle)
  x, y, _ = studio.parking
  return Placement(cos, sin, cos * x - sin * y, sin * x + cos * y)


def camera_in_car(place: Placement, camera: Camera) -> Camera:
  """The same camera in the car's frame."""
  axes = (place.turn_to_car(axis) for axis in camera[1:])
  return Camera(place.to_car(camera.eye), *axes)


def surroundings(studio: Studio, direction: Vec) -> list[jax.Array]:
  """Light [3] x [N] that reaches the car from `direction` in the room."""
  up = direction.z
  flat = jnp.maximum(up, 0.05)
  # Two long rows of lamps under the ceiling, seen from the car.
  x, y = direction.x / flat, direction.y / flat
  row = step(0.75, 0.45, jnp.abs(jnp.abs(y) - 0.75)) * step(
    2.6, 1.9, jnp.abs(x)
  )
  lamps = 1.5 * row * step(0.2, 0.4, up)
  above = 0.62 + 0.25 * step(0.0, 0.5, up) + lamps
  # The wall ends at the floor a little below the horizon.
  share = step(-0.16, 0.0, up)
  near = step(-1.0, -0.15, up)  # the car's own shadow darkens the floor below
  return [
    mix(studio.floor[i] * mix(0.12, 0.85, near), above, share) for i in range(3)
  ]


def _shadow(place: Placement, car: Shape, p: Vec):
  """What is left of the light on the floor around the car, 0..1."""
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
  """Uneven traces of tyres and water that turn with the table."""
  q = place.to_car(p)
  wave = jnp.sin(1.7 * q.x + 1.3 * jnp.sin(1.1 * q.y)) * jnp.sin(
    2.3 * q.y + 1.7 * jnp.sin(0.9 * q.x)
  )
  fine = jnp.sin(5.1 * q.x + 2.0 * wave) * jnp.sin(1.9 * q.y - 3.0 * wave)
  lanes = jnp.exp(-(((jnp.abs(q.y) - 0.8) / 0.3) ** 2)) * step(1.5, 3.2, q.x)
  return 0.5 * wave + 0.3 * fine + 1.2 * lanes


def letters(texture, studio: Studio, azimuth, z, footprint):
  """How much of a wall point is lettering, 0..1."""
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


def room(texture, studio: Studio, place: Placement, car: Shape, ray: Vec, pixel):
  """The empty room: colours [3] x [N], and where its floor is, 0..1.

  The car leaves its shadow only; `pixel` is the angle that a pixel covers.
  """
  eye = room_camera(studio).eye
  # Floor.
  t_floor = jnp.where(ray.z < -1e-4, -eye.z / jnp.minimum(ray.z, -1e-4), 1e4)
  # Wall: from inside the cylinder, the far crossing.
  a = ray.x**2 + ray.y**2
  b = eye.x * ray.x + eye.y * ray.y
  c = eye.x**2 + eye.y**2 - studio.wall**2
  t_wall = (-b + jnp.sqrt(jnp.maximum(b * b - a * c, 0))) / a
  on_floor = jnp.clip(
    0.5 + (t_wall - t_floor) / (0.25 + t_wall * pixel * 9), 0, 1
  )

  p = eye.along(ray, t_floor)
  from_axis = length(p.x, p.y)
  blur = jnp.maximum(t_floor * pixel / jnp.maximum(-ray.z, 0.02), 0.01)
  on_table = jnp.clip(0.5 + (TURNTABLE - from_axis) / blur, 0, 1)
  rim_width = 0.018
  rim = jnp.clip(
    (blur + rim_width - jnp.abs(from_axis - TURNTABLE)) / blur, 0, 1
  )
  rim = rim * jnp.minimum(rim_width * 2 / blur, 1)
  shade = _shadow(place, car, p)
  stains = _stains(place, p)
  # Grazing light from the wall, lamps over the middle.
  light = 0.94 + 0.14 * jnp.exp(-((from_axis / 3.5) ** 2))
  light = light - 0.16 * step(6.0, studio.wall, from_axis)
  light = light * shade * (1 - 0.45 * rim)
  beyond = step(
    0.0, 1.0, (studio.distance - studio.edge + 0.06 * p.y + p.x * 0)
  )
  del beyond
  before = length(p.x, p.y) - (studio.distance - studio.edge)
  over = jnp.clip(0.5 + before / blur, 0, 1) * (p.x < 0)
  lip = jnp.exp(-((before / 0.05) ** 2)) * (p.x < 0)

  q = eye.along(ray, t_wall)
  azimuth = jnp.arctan2(q.y, q.x)
  ink = letters(texture, studio, azimuth, q.z, t_wall * pixel)
  wall = 0.83 + 0.06 * step(0.0, 2.5, q.z) - 0.10 * jnp.abs(azimuth)

  colours = []
  for i in range(3):
    table = mix(
      1.0, studio.table[i] * (1 + 0.035 * stains * (3 - i) / 3), on_table
    )
    floor = studio.floor[i] * light * table
    floor = mix(floor, 0.80, over)
    floor = floor * (1 - 0.5 * lip * (1 + 0.2 * i))
    paper = mix(wall, (0.085, 0.080, 0.085)[i], ink)
    colours.append(mix(paper, floor, on_floor))
  return colours, on_floor * (1 - over)


def fall_off(studio: Studio, u, v):
  """Uneven exposure over the picture: gradient and vignette, about 1."""
  across = 1 + studio.slope[0] * u + studio.slope[1] * v
  return across * (1 - studio.vignette * 0.5 * (u * u + v * v))


def facing(ray: Vec, normal: Vec):
  return jnp.clip(-dot(ray, normal), 0, 1)
