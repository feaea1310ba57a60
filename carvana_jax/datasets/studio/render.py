"""Renders photos: the room, the car in front of it, and the camera's part."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from carvana_jax.datasets.studio import lettering, march, room, scene
from carvana_jax.datasets.studio.cars import Car
from carvana_jax.datasets.studio.vec import Vec

SAMPLES = 2  # a pixel, each way
REFLECTION = (48, 72)  # pixels of the floor's blurred reflection, at any size
GLEAM = 0.07  # share of the light that the floor reflects
NOISE = 2.6  # grey levels, at the width of the real photos


@functools.partial(jax.jit, static_argnames=('height', 'width'))
def _survey(view: march.View, texture, *, height: int, width: int):
  ray = scene.room_camera(view.studio).ray(*_grid(height, width))
  pixel = 2 * view.studio.zoom / width
  return room.survey(texture, view.studio, view.place, view.shape, ray, pixel)


# Apart from `_survey`, or XLA would survey the room for every colour again.
_paint = jax.jit(room.paint)


def _grid(height: int, width: int):
  """Returns u and v of the pixels' centres, -1..1, [H, W] each."""
  u = (2 * jnp.arange(width) + 1) / width - 1
  v = (2 * jnp.arange(height) + 1) / height - 1
  return jnp.meshgrid(u, v)


def _mirror(camera: scene.Camera) -> scene.Camera:
  """Returns the camera below the floor that sees what the floor reflects."""
  return scene.Camera(*(Vec(a.x, a.y, -a.z) for a in camera))


def _encode(light):
  """Encodes linear light in 0..255, by a soft shoulder and the sRGB curve."""
  light = jnp.maximum(light, 0)
  bright = 0.8 + 0.2 * jnp.tanh((light - 0.8) / 0.2)
  light = jnp.where(light > 0.8, bright, light)
  curve = 1.055 * jnp.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055
  return 255 * jnp.where(light < 0.0031308, 12.92 * light, curve)


@jax.jit
def _develop(studio, empty, seen: room.Survey, car, reflection, key):
  """Composes layers to a photo uint8 [H, W, 3] and a mask uint8 [H, W]."""
  height, width = seen.floor.shape
  blurred = jnp.concatenate(
    [reflection.light, reflection.coverage[..., None]], axis=-1
  )
  blurred = jax.image.resize(blurred, (height, width, 4), 'cubic')
  gleam = GLEAM * (seen.floor * (1 - seen.beyond))[..., None]
  empty = empty * (1 - gleam * blurred[..., 3:]) + gleam * blurred[..., :3]
  light = empty * (1 - car.coverage[..., None]) + car.light
  exposure = scene.fall_off(studio, *_grid(height, width))[..., None]
  light = light * exposure * studio.balance
  # Reduced photos hold less noise, for their pixels are averages.
  grain = jax.random.normal(key, light.shape) * (NOISE * width / 1918 + 0.4)
  photo = jnp.clip(jnp.round(_encode(light) + grain), 0, 255)
  mask = jnp.round(255 * car.coverage)
  return photo.astype(jnp.uint8), mask.astype(jnp.uint8)


@jax.jit
def _prepare(car, look, studio, number) -> tuple[march.View, march.View]:
  """Returns the photo's view and that of its reflection."""
  place = scene.placement(studio, number)
  camera = scene.room_camera(studio)
  views = (
    march.View(car, look, studio, place, scene.camera_in_car(place, one))
    for one in (camera, _mirror(camera))
  )
  return tuple(views)


def render(
  car: Car, view: int, height: int, width: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
  """Renders one photo of the studio.

  Args:
    car: what `cars.sample_car` gave.
    view: 1..16; 1 is the front, 5 has the nose on the left, 9 is the rear.
    height: of the picture in pixels.
    width: of the picture in pixels; the scene is squeezed to fit both.
    seed: of the noise, together with the car and the view.

  Returns:
    The photo, uint8 [H, W, 3], and the share of every pixel that is car, uint8
    [H, W], 0..255.
  """
  # On the CPU everywhere, so that pixels do not depend on the accelerator.
  with jax.default_device(jax.local_devices(backend='cpu')[0]):
    photo, reflected = _prepare(
      car.shape, car.look, car.studio, np.float32(view)
    )
    seen = _survey(photo, lettering.texture(), height=height, width=width)
    empty = _paint(car.studio, seen)
    layer = march.trace(photo, np.asarray(empty), SAMPLES)
    grey = np.full((*REFLECTION, 3), 0.3, np.float32)
    reflection = march.trace(reflected, grey, SAMPLES)
    key = jax.random.fold_in(jax.random.key(seed), car.index)
    key = jax.random.fold_in(key, view)
    image, mask = _develop(car.studio, empty, seen, layer, reflection, key)
    return np.asarray(image), np.asarray(mask)
