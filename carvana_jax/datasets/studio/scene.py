"""The studio: its measures, the camera, where the car stands, the light.

The room's frame: the turntable's axis is the z axis, the floor z = 0, and the
camera stands at (-distance, 0, height) and looks along +x; +y is to its left.
Light is linear, 1 is what the camera shows as white.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from carvana_jax.datasets.studio.vec import Vec, dot, mix, step, turn, unit

# Photos are this much wider than high, also where they are stored squeezed.
ASPECT = 1918 / 1280


class Studio(NamedTuple):
  """The room on the day of one car's photos; arrays of float32."""

  distance: np.ndarray  # of the camera from the turntable's axis, metres
  height: np.ndarray  # of the camera, metres
  table_radius: np.ndarray  # metres
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


def sample_studio(
  rng: np.random.Generator, length: float, middle: float
) -> Studio:
  """Draws a room with the small differences that days of work leave.

  Args:
    rng: the source of random numbers.
    length: of the car in metres; long ones make the photographer step back.
    middle: x of the car's middle in its own frame.
  """
  warm = rng.beta(0.7, 0.9)  # 0: blue-grey floor, 1: beige
  cool, beige = np.array([0.40, 0.42, 0.455]), np.array([0.56, 0.53, 0.46])
  warm_table = rng.uniform(0.2, 1.0)
  parking = rng.normal(0, (0.10, 0.10, 0.03))
  studio = Studio(
    distance=rng.uniform(9.2, 10.0) + max(0.0, 1.4 * (length - 4.9)),
    height=rng.uniform(1.95, 2.2),
    table_radius=rng.uniform(3.2, 3.8),
    aim=(rng.normal(0, 0.12), rng.uniform(0.42, 0.66)),
    roll=rng.normal(0, 0.004),
    zoom=rng.uniform(0.315, 0.345),
    wall=rng.uniform(9.6, 11.5),
    sign=(rng.normal(0.0, 0.015), 0.34, 1.62, 11.6),
    parking=parking - (middle, 0, 0),
    floor=(cool + (beige - cool) * warm) * rng.uniform(0.92, 1.06),
    table=1 + warm_table * np.array([0.05, 0.02, -0.05]),
    balance=rng.uniform(0.95, 1.04) * (1 + rng.normal(0, 0.012, 3)),
    slope=rng.normal(0, (0.05, 0.03)),
    vignette=rng.uniform(0.05, 0.16),
    edge=rng.uniform(3.6, 5.2),
  )
  return Studio(*(np.asarray(value, np.float32) for value in studio))


class Camera(NamedTuple):
  """A pin-hole camera: where it stands and its axes, with |forward| = 1."""

  eye: Vec
  forward: Vec
  right: Vec  # as long as half the picture's width at distance one
  down: Vec  # as long as half the picture's height

  def ray(self, u, v) -> Vec:
    """Returns unit directions; u, v in -1..1 are from left and from the top."""
    return unit(self.forward.along(self.right, u).along(self.down, v))


def room_camera(studio: Studio) -> Camera:
  """Returns the camera in the room's frame."""
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


class Placement(NamedTuple):
  """Where the car stands in the room."""

  cos: jax.Array  # of the angle from the room's x axis to the car's
  sin: jax.Array
  x: jax.Array  # of the car's origin in the room, metres
  y: jax.Array

  def to_car(self, point: Vec) -> Vec:
    """Returns a point of the room in the car's frame."""
    return self.turn_to_car(Vec(point.x - self.x, point.y - self.y, point.z))

  def turn_to_car(self, direction: Vec) -> Vec:
    """Returns a direction of the room in the car's frame."""
    return turn(direction, self.cos, -self.sin)

  def turn_to_room(self, direction: Vec) -> Vec:
    """Returns a direction of the car's frame in the room."""
    return turn(direction, self.cos, self.sin)


def placement(studio: Studio, view) -> Placement:
  """Returns where the car stands in a view, 1..16.

  View 1 looks the car in the face; every step turns it by 22.5 degrees, so
  that view 5 has its nose on the left and view 9 shows its tail.
  """
  angle = jnp.pi - (view - 1) * (jnp.pi / 8) + studio.parking[2]
  cos, sin = jnp.cos(angle), jnp.sin(angle)
  x, y, _ = studio.parking
  return Placement(cos, sin, cos * x - sin * y, sin * x + cos * y)


def camera_in_car(place: Placement, camera: Camera) -> Camera:
  """Returns the same camera in the car's frame."""
  axes = (place.turn_to_car(axis) for axis in camera[1:])
  return Camera(place.to_car(camera.eye), *axes)


def surroundings(studio: Studio, direction: Vec) -> list[jax.Array]:
  """Returns the light [3] x [N] from a direction of the room onto the car."""
  up = direction.z
  flat = jnp.maximum(up, 0.05)
  # Two long rows of lamps under the ceiling, seen from the car.
  x, y = direction.x / flat, direction.y / flat
  row = step(0.62, 0.42, jnp.abs(jnp.abs(y) - 0.85)) * step(
    2.4, 1.9, jnp.abs(x)
  )
  lamps = 2.6 * row * step(0.2, 0.4, up)
  # The hall is dark behind the camera, white elsewhere.
  hall = mix(0.16, 0.80, step(-0.75, 0.35, direction.x))
  above = mix(hall, 0.55, step(0.15, 0.75, up)) + lamps
  # The wall ends at the floor a little below the horizon.
  share = step(-0.10, 0.02, up)
  near = step(-0.9, -0.1, up)  # the car's own shadow darkens the floor below
  return [
    mix(studio.floor[i] * mix(0.10, 0.75, near), above, share) for i in range(3)
  ]


def fall_off(studio: Studio, u, v):
  """Uneven exposure over the picture: gradient and vignette, about 1."""
  across = 1 + studio.slope[0] * u + studio.slope[1] * v
  return across * (1 - studio.vignette * 0.5 * (u * u + v * v))


def facing(ray: Vec, normal: Vec):
  """Cosine of the angle between a surface and the one who sees it, 0..1."""
  return jnp.clip(-dot(ray, normal), 0, 1)
