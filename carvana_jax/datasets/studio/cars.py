"""Parametric cars: body types, paints, equipment, and the room of each."""

import hashlib
from typing import NamedTuple

import numpy as np

from carvana_jax.datasets.studio.scene import Studio, sample_studio
from carvana_jax.datasets.studio.shape import Shape


class BodyType(NamedTuple):
  """Side profiles (x, z in metres, over the top) and sizes of a typical car."""

  hull: tuple  # 10 points: chin, up the nose, hood, belt, down the tail
  cabin: tuple  # 6 points: foot of the windscreen to foot of the rear window
  half_width: float
  half_base: float
  wheel: float
  tumblehome: float
  corner: tuple[float, float]
  belt: float
  pillars: tuple[float, float]  # x of the B and of the C pillar


BODY_TYPES = {
  'sedan': BodyType(
    (
      *((2.20, 0.24), (2.29, 0.46), (2.24, 0.66), (1.95, 0.80), (0.90, 0.97)),
      *((-1.60, 1.04), (-2.28, 1.03), (-2.42, 0.86), (-2.43, 0.52)),
      (-2.28, 0.27),
    ),
    (
      *((1.12, 0.88), (0.26, 1.38), (-0.22, 1.455), (-0.85, 1.435)),
      *((-1.22, 1.34), (-1.98, 0.98)),
    ),
    *(0.92, 1.39, 0.325, 0.42, (0.20, 0.14), 0.96, (-0.10, -0.98)),
  ),
  'hatchback': BodyType(
    (
      *((1.98, 0.24), (2.06, 0.46), (2.02, 0.70), (1.76, 0.86), (0.98, 1.00)),
      *((-1.75, 1.07), (-1.93, 1.00), (-2.00, 0.82), (-2.00, 0.52)),
      (-1.88, 0.28),
    ),
    (
      *((1.22, 0.90), (0.36, 1.43), (-0.14, 1.51), (-0.95, 1.48)),
      *((-1.42, 1.40), (-1.90, 0.98)),
    ),
    *(0.88, 1.28, 0.315, 0.36, (0.20, 0.16), 0.99, (-0.10, -1.02)),
  ),
  'SUV': BodyType(
    (
      *((2.18, 0.34), (2.28, 0.54), (2.26, 0.86), (2.06, 1.01), (1.10, 1.13)),
      *((-2.15, 1.20), (-2.29, 1.10), (-2.36, 0.90), (-2.36, 0.58)),
      (-2.20, 0.36),
    ),
    (
      *((1.30, 1.02), (0.48, 1.58), (-0.02, 1.71), (-1.20, 1.70)),
      *((-1.88, 1.62), (-2.24, 1.12)),
    ),
    *(0.95, 1.38, 0.37, 0.32, (0.17, 0.14), 1.12, (-0.12, -1.08)),
  ),
  'pickup': BodyType(
    (
      *((2.62, 0.44), (2.71, 0.62), (2.71, 1.02), (2.56, 1.15), (1.45, 1.24)),
      *((-2.85, 1.30), (-2.93, 1.28), (-2.95, 1.22), (-2.95, 0.66)),
      (-2.90, 0.52),
    ),
    (
      *((1.62, 1.14), (0.88, 1.76), (0.42, 1.88), (-0.70, 1.87)),
      *((-1.02, 1.80), (-1.16, 1.20)),
    ),
    *(0.99, 1.78, 0.40, 0.24, (0.14, 0.02), 1.24, (0.10, -0.86)),
  ),
  'van': BodyType(
    (
      *((2.34, 0.25), (2.44, 0.48), (2.40, 0.74), (2.16, 0.90), (1.50, 1.03)),
      *((-2.42, 1.12), (-2.54, 1.04), (-2.61, 0.86), (-2.61, 0.52)),
      (-2.48, 0.30),
    ),
    (
      *((1.88, 0.90), (0.80, 1.58), (0.18, 1.74), (-1.60, 1.75)),
      *((-2.22, 1.68), (-2.52, 1.06)),
    ),
    *(0.99, 1.53, 0.335, 0.24, (0.21, 0.13), 1.06, (0.20, -1.02)),
  ),
  'coupe': BodyType(
    (
      *((2.12, 0.19), (2.21, 0.40), (2.14, 0.60), (1.84, 0.75), (0.72, 0.91)),
      *((-1.55, 0.99), (-2.10, 0.98), (-2.23, 0.82), (-2.23, 0.48)),
      (-2.08, 0.24),
    ),
    (
      *((0.96, 0.82), (0.06, 1.26), (-0.36, 1.335), (-0.82, 1.31)),
      *((-1.18, 1.225), (-2.00, 0.92)),
    ),
    *(0.93, 1.33, 0.335, 0.44, (0.22, 0.17), 0.90, (-0.62, -1.22)),
  ),
}

# Which types and paints follow each other. The lengths have no common factor,
# so every type meets every paint; black and white, the hard ones before dark
# letters and a white wall, come up most.
TYPE_CYCLE = (
  *('sedan', 'SUV', 'hatchback', 'pickup', 'coupe'),
  *('van', 'SUV', 'sedan', 'coupe', 'hatchback'),
)
PAINT_CYCLE = (
  *('black', 'white', 'silver', 'red', 'black', 'grey', 'white'),
  *('blue', 'black', 'silver', 'green', 'white', 'beige'),
)


class Finish(NamedTuple):
  """A paint: linear colour and how metallic it is, 0..1."""

  colour: tuple[float, float, float]
  metallic: float


PAINTS = {
  'black': Finish((0.006, 0.006, 0.007), 0.10),
  'white': Finish((0.80, 0.80, 0.79), 0.0),
  'silver': Finish((0.46, 0.47, 0.48), 0.70),
  'grey': Finish((0.075, 0.078, 0.085), 0.55),
  'red': Finish((0.30, 0.008, 0.012), 0.25),
  'blue': Finish((0.014, 0.055, 0.24), 0.40),
  'green': Finish((0.025, 0.060, 0.032), 0.40),
  'beige': Finish((0.52, 0.44, 0.31), 0.45),
}

MAKERS = (
  *('Aurelo', 'Borea', 'Dunmere', 'Estrano', 'Fennick', 'Haldane'),
  *('Kitaro', 'Lumenor', 'Marlowe', 'Norvik'),
)


class Look(NamedTuple):
  """What the surface of one car needs; arrays of float32."""

  paint: np.ndarray  # [3] linear
  metallic: np.ndarray  # 0..1
  roof: np.ndarray  # [3] linear, the paint's colour or black
  cladding: np.ndarray  # 0..1: how far sills and arches are unpainted
  chrome: np.ndarray  # 0..1: window line and grille
  rim: np.ndarray  # [3] linear
  spokes: np.ndarray  # how many
  twist: np.ndarray  # [2] turn of the front and the rear wheels, radians
  tint: np.ndarray  # 0..1: light that passes a side window
  pillars: np.ndarray  # [2] x of the B and of the C pillar
  lamps: np.ndarray  # [4] height and half height of head lamps, tail lamps
  grille: np.ndarray  # [3] height, half height, half width
  plate: np.ndarray  # [2] height of the front and of the rear plate


class Car(NamedTuple):
  """One car with its metadata."""

  car_id: str  # 12 hexadecimal digits
  index: int
  make: str
  model: str  # the body type
  year: str
  trim: str  # the paint
  shape: Shape
  look: Look
  studio: Studio  # the room as it was on the day of this car's photos


# How much the edges of the profiles bulge, per metre and metre of y.
_HULL_BULGE = (0.05, 0.06, 0.06, 0.05, 0.05, 0.05, 0.05, 0.05, 0.04, 0.0)
_CABIN_BULGE = (0.13, 0.03, 0.03, 0.03, 0.06, 0.0)


def car_id_of(seed: int, index: int) -> str:
  digest = hashlib.md5(f'studio:{seed}:{index}'.encode(), usedforsecurity=False)
  return digest.hexdigest()[:12]


def _edges(points: np.ndarray, bulge) -> np.ndarray:
  """Returns the half-spaces [N, 4] of a convex polygon [N, 2], nose to tail."""
  run = np.roll(points, -1, axis=0) - points
  normal = np.stack([run[:, 1], -run[:, 0]], axis=1)
  normal = normal / np.linalg.norm(normal, axis=1, keepdims=True)
  offset = np.sum(normal * points, axis=1)
  return np.column_stack([normal, offset, bulge]).astype(np.float32)


def _aerial(rng, name: str, body: BodyType, cabin: np.ndarray) -> list[float]:
  """Draws an aerial, if any: foot (x, y, z), length, lean, radius."""
  kind = rng.uniform()
  if name == 'pickup' and kind < 0.7:  # a mast on the front wing
    return [1.25, -body.half_width + 0.16, 1.10, 0.85, 0.12, 0.005]
  if kind < 0.35:  # a short whip at the rear of the roof
    foot = cabin[3]
    return [foot[0] - 0.1, 0.0, foot[1] - 0.05, 0.34, 0.55, 0.006]
  if kind < 0.6:  # a long one at the front of the roof
    foot = cabin[1]
    return [foot[0] - 0.2, 0.0, foot[1] - 0.02, 0.48, 0.75, 0.005]
  if kind < 0.8:  # a fin
    foot = cabin[3]
    return [foot[0] - 0.15, 0.0, foot[1] - 0.05, 0.11, 0.9, 0.022]
  return [0.0] * 6


def _shape(rng, name: str, body: BodyType) -> Shape:
  stretch = np.array([rng.uniform(0.96, 1.04), rng.uniform(0.97, 1.03)])
  widen = rng.uniform(0.97, 1.03)
  hull = np.array(body.hull) * stretch
  cabin = np.array(body.cabin) * stretch
  half_width = body.half_width * widen
  wheel = body.wheel * rng.uniform(0.97, 1.05)
  roof = cabin[:, 1].max()
  bed = (9.0, -9.0, 9.0)
  if name == 'pickup':
    bed = (hull[8, 0] + 0.16, cabin[5, 0] - 0.10, 0.78)
  rails = (0.0, 0.0, -9.0)
  if name in ('SUV', 'van') and rng.uniform() < 0.6:
    rails = (cabin[4, 0] + 0.25, cabin[1, 0] - 0.25, roof - 0.005)
  spoiler = (0.0, -9.0)
  if name in ('hatchback', 'SUV') and rng.uniform() < 0.7:
    spoiler = (cabin[4, 0] - 0.10, cabin[4, 1] + 0.015)
  if name == 'coupe' and rng.uniform() < 0.35:
    spoiler = (hull[6, 0] - 0.06, hull[6, 1] + 0.035)
  belt = body.belt * stretch[1]
  mirror_z = belt + 0.09
  # A little behind the windscreen at that height (x falls as z rises).
  mirror_x = np.interp(mirror_z, cabin[:2, 1], cabin[:2, 0]) - 0.26
  shape = Shape(
    hull=_edges(hull, _HULL_BULGE),
    cabin=_edges(cabin, _CABIN_BULGE),
    half_width=half_width,
    shoulder=belt - rng.uniform(0.20, 0.26),
    cabin_half_width=half_width - 0.085,
    belt=belt,
    tumblehome=body.tumblehome,
    corner=body.corner,
    nose=hull[:, 0].max(),
    tail=hull[:, 0].min(),
    roof=roof,
    half_base=body.half_base * stretch[0],
    wheel=wheel,
    tyre_width=rng.uniform(0.10, 0.12),
    rim=wheel * rng.uniform(0.68, 0.76),
    bed=bed,
    mirror=(mirror_x, mirror_z, rng.uniform(0.105, 0.125)),
    aerial=_aerial(rng, name, body, cabin),
    rails=rails,
    spoiler=spoiler,
  )
  return Shape(*(np.asarray(value, np.float32) for value in shape))


def _look(rng, name: str, body: BodyType, shape: Shape, paint: str) -> Look:
  finish = PAINTS[paint]
  colour = np.clip(np.array(finish.colour) * rng.uniform(0.85, 1.15), 0, 0.82)
  dark_roof = name in ('hatchback', 'coupe') and rng.uniform() < 0.25
  nose_top = 0.36 * float(shape.belt) + 0.36
  rims = ((0.55, 0.55, 0.56), (0.42, 0.42, 0.44), (0.03, 0.03, 0.032))
  pickup = name == 'pickup'
  tall = name in ('SUV', 'pickup', 'van')
  tail_lamp = shape.belt * (0.82 if name != 'van' else 0.95)
  look = Look(
    paint=colour,
    metallic=finish.metallic,
    roof=(0.008, 0.008, 0.008) if dark_roof else colour,
    cladding=float(name in ('SUV', 'pickup') and rng.uniform() < 0.6),
    chrome=rng.choice([0.0, 0.5, 1.0]),
    rim=rims[rng.choice(3, p=[0.45, 0.35, 0.2])],
    spokes=rng.choice([5, 6, 7, 10]),
    twist=rng.uniform(0, 6.28, 2),
    tint=rng.uniform(0.06, 0.36),
    pillars=body.pillars,
    lamps=(
      nose_top - 0.03,
      0.075 if not tall else 0.095,
      tail_lamp,
      0.22 if pickup or name == 'van' else 0.10 if not tall else 0.14,
    ),
    grille=(
      nose_top - (0.08 if not tall else 0.10),
      rng.uniform(0.06, 0.09) if not tall else rng.uniform(0.09, 0.15),
      rng.uniform(0.36, 0.50),
    ),
    plate=(0.43 if not tall else 0.52, 0.78 if not pickup else 0.62),
  )
  return Look(*(np.asarray(value, np.float32) for value in look))


def sample_car(seed: int, index: int) -> Car:
  """Returns the `index`-th car (0, 1, ...) of a seed, always the same one.

  Body type and paint follow fixed cycles, so any thirteen cars in a row hold
  every type and every paint; all else is drawn.
  """
  rng = np.random.default_rng((seed, index))
  name = TYPE_CYCLE[index % len(TYPE_CYCLE)]
  paint = PAINT_CYCLE[index % len(PAINT_CYCLE)]
  body = BODY_TYPES[name]
  shape = _shape(rng, name, body)
  length = float(shape.nose - shape.tail)
  middle = float(shape.nose + shape.tail) / 2
  return Car(
    car_id=car_id_of(seed, index),
    index=index,
    make=str(rng.choice(MAKERS)),
    model=name,
    year=str(rng.integers(2008, 2018)),
    trim=paint,
    shape=shape,
    look=_look(rng, name, body, shape, paint),
    studio=sample_studio(rng, length, middle),
  )
