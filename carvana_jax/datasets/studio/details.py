"""What is drawn on the car's surface: panes, lamps, grille, plates, wheels.

Everything works on flat arrays of hits [N] in the car's frame; `soft` is the
width in metres over which drawn edges fade, about that of a sample.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from carvana_jax.datasets.studio import shape
from carvana_jax.datasets.studio.vec import Vec, length, mix

BLACK = (0.006, 0.006, 0.006)
CHROME = (0.46, 0.46, 0.47)


class Coat(NamedTuple):
  """What a surface reflects."""

  albedo: tuple[jax.Array, ...]  # [3] x [N], linear, without gloss
  gloss: jax.Array  # [N], 0..1: share of a clear coat

  def cover(self, share, albedo, gloss) -> 'Coat':
    """Returns this coat under another one that hides `share` (0..1) of it."""
    pairs = zip(self.albedo, albedo, strict=True)
    return Coat(
      tuple(mix(below, above, share) for below, above in pairs),
      mix(self.gloss, gloss, share),
    )


class Spot(NamedTuple):
  """Where on the body the hits are."""

  p: Vec
  ay: jax.Array  # |y|
  cabin: jax.Array  # 1 on the cabin, 0 on the hull
  hull: jax.Array  # the opposite
  side: jax.Array  # 1 where the surface looks sideways
  front: jax.Array  # 1 where the hull looks forward
  back: jax.Array  # 1 where it looks back
  top: jax.Array  # 1 where it looks up
  sill: jax.Array  # height of the floor pan
  soft: jax.Array


def spot(car, p: Vec, n: Vec, cabin, soft) -> Spot:
  """Locates hits `p` with normals `n`; `cabin` is 1 on the cabin."""
  hull = 1 - cabin
  return Spot(
    p=p,
    ay=jnp.abs(p.y),
    cabin=cabin,
    hull=hull,
    side=(jnp.abs(n.y) > 0.6) * 1.0,
    front=(n.x > 0.25) * hull,
    back=(n.x < -0.25) * hull,
    top=(n.z > 0.6) * hull,
    sill=car.hull[9, 2] / car.hull[9, 1],
    soft=soft,
  )


def within(value, middle, half, soft):
  """Returns 1 where |value - middle| < half, with an edge `soft` wide."""
  return jnp.clip(0.5 + (half - jnp.abs(value - middle)) / soft, 0, 1)


def below(value, limit, soft):
  """Returns 1 where value < limit, with an edge `soft` wide."""
  return jnp.clip(0.5 + (limit - value) / soft, 0, 1)


def _cabin_margins(car, x, ay, z):
  """Returns distances from the cabin's windscreen, roof, rear and side."""
  screen, *roof, rear, _ = shape.profile(car.cabin, x, ay, z)
  top = jnp.maximum(jnp.maximum(roof[0], roof[1]), roof[2])
  return screen, top, rear, shape.cabin_side(car, x, ay, z)


def _opening(car, x, z, soft):
  """Returns where the side of the cabin is glass or pillar, 0..1."""
  screen, top, rear, _ = _cabin_margins(car, x, 0.0, z)
  frame = jnp.maximum(jnp.maximum(screen + 0.07, top + 0.055), rear + 0.13)
  return below(frame, 0.0, soft) * below(car.belt + 0.035, z, soft)


def _pillars(look, x, soft):
  """Returns where the B or the C pillar is, 0..1."""
  b, c = look.pillars
  return jnp.maximum(within(x, b, 0.035, soft), within(x, c, 0.03, soft))


def side_window(car, look, x, z, soft):
  """Returns where the side of the cabin is glass, 0..1."""
  return _opening(car, x, z, soft) * (1 - _pillars(look, x, soft))


def glass(car, look, p: Vec, n: Vec, cabin, soft):
  """Returns where the body is glass, 0..1."""
  screen, top, rear, side = _cabin_margins(car, p.x, jnp.abs(p.y), p.z)
  at_side = side_window(car, look, p.x, p.z, soft) * (jnp.abs(n.y) > 0.75)
  inner = below(side, -0.075, soft) * below(top, -0.05, soft)
  above = below(car.belt + 0.02, p.z, soft)
  front = inner * (n.x > 0.2) * below(jnp.abs(screen), 0.08, soft)
  back = inner * above * (n.x < -0.15) * below(jnp.abs(rear), 0.08, soft)
  return cabin * jnp.maximum(at_side, jnp.maximum(front, back))


def _gaps(coat: Coat, car, look, at: Spot) -> Coat:
  """Draws the gaps of doors, bonnet and boot, and the door handles."""
  width = 0.005 + 0.3 * at.soft
  a, b = look.pillars
  doors = jnp.maximum(
    within(at.p.x, a, width, at.soft), within(at.p.x, b - 0.06, width, at.soft)
  )
  wing = within(at.p.x, car.mirror[0] + 0.10, width, at.soft)
  doors = jnp.maximum(doors, wing) * at.side * at.hull
  doors = doors * (at.p.z > at.sill + 0.16)
  bonnet = within(at.ay, 0.80 * car.half_width, width, at.soft) * at.top
  bonnet = bonnet * (at.p.x > car.mirror[0] + 0.4)
  boot = within(at.ay, 0.74 * car.half_width, width, at.soft) * at.back
  boot = boot * (at.p.z > 0.62)
  lines = jnp.maximum(doors, jnp.maximum(bonnet, boot))
  coat = coat.cover(0.75 * lines, BLACK, 0.3)

  handle = within(at.p.z, car.belt - 0.12, 0.014, at.soft) * at.side
  reach = jnp.minimum(jnp.abs(at.p.x - a - 0.16), jnp.abs(at.p.x - b - 0.12))
  handle = handle * below(reach, 0.09, at.soft)
  colour = [0.02 + 0.7 * mix(c, 0.5, look.chrome) for c in look.paint]
  return coat.cover(0.8 * handle, colour, 1.0)


def _plastic(coat: Coat, car, look, at: Spot) -> Coat:
  """Draws unpainted sills and arches, and dark wheel houses."""
  hub = length(shape.wheel_offset(car, at.p.x), at.p.z - car.wheel)
  low = below(at.p.z, at.sill + 0.17, at.soft)
  arch = below(hub, car.wheel + 0.115, at.soft)
  plastic = look.cladding * jnp.maximum(arch, low)
  plastic = jnp.maximum(plastic, below(at.p.z, at.sill + 0.06, at.soft))
  coat = coat.cover(plastic * at.hull, (0.016, 0.016, 0.017), 0.25)
  inside = (hub < car.wheel + 0.052) * 1.0
  return coat.cover(inside, BLACK, 0.0)


def _bed(coat: Coat, car, at: Spot) -> Coat:
  """Draws the dark lining of a pickup's load bed."""
  bed = (at.p.x < car.bed[1] + 0.01) & (at.p.x > car.bed[0] - 0.01)
  bed = bed & (shape.bed_side(car, at.p.x, at.ay) < 0.01)
  bed = bed & (at.p.z > car.bed[2] - 0.01)
  return coat.cover(bed * 1.0, BLACK, 0.0)


def _face(coat: Coat, car, look, at: Spot) -> Coat:
  """Draws a grille with slats and a frame, an intake, fog lamps and emblems."""
  height, half, wide = look.grille
  inner = wide - 0.35 * (height - at.p.z)  # it narrows downwards
  frame = within(at.p.z, height, half + 0.02, at.soft)
  frame = frame * below(at.ay, inner + 0.02, at.soft) * at.front
  coat = coat.cover(frame * mix(0.3, 1.0, look.chrome), CHROME, 1.0)
  grille = within(at.p.z, height, half, at.soft)
  grille = grille * below(at.ay, inner, at.soft) * at.front
  slats = 0.5 + 0.5 * jnp.cos(at.p.z * (2 * jnp.pi / 0.045))
  grey = mix(0.006, mix(0.03, 0.22, look.chrome), slats * slats)
  coat = coat.cover(grille, (grey, grey, grey), 0.3)
  intake = within(at.p.z, at.sill + 0.13, 0.055, at.soft)
  intake = intake * below(at.ay, 0.5, at.soft) * at.front
  coat = coat.cover(intake, BLACK, 0.1)
  fog = length(at.ay - 0.73 * car.half_width, at.p.z - at.sill - 0.15)
  coat = coat.cover(below(fog, 0.045, at.soft) * at.front, CHROME, 1.0)
  emblem = length(at.p.y, at.p.z - height - half - 0.035)
  ends = at.front + at.back
  return coat.cover(below(emblem, 0.04, at.soft) * ends, CHROME, 1.0)


def _lamps(coat: Coat, car, look, at: Spot) -> Coat:
  """Draws head lamps that reach around the corner, and red tail lamps."""
  head_z, head_half, tail_z, tail_half = look.lamps
  from_nose = car.nose - at.p.x
  middle = head_z + 0.22 * from_nose
  inner = look.grille[2] + 0.03
  lamp = within(at.p.z, middle, head_half * (1.05 - 0.9 * from_nose), at.soft)
  lamp = lamp * below(from_nose, 0.52, at.soft) * at.hull
  lamp = lamp * below(inner, at.ay, at.soft)
  bulb = below(length(at.ay - inner - 0.14, at.p.z - middle), 0.055, 0.02)
  lens = within(at.p.z, middle, head_half * (0.85 - 0.9 * from_nose), at.soft)
  bright = (0.30 + 0.45 * bulb) * mix(0.25, 1.0, lens)
  coat = coat.cover(lamp, (bright, bright, bright), 1.0)

  from_tail = at.p.x - car.tail
  lamp = within(at.p.z, tail_z + 0.1 * from_tail, tail_half, at.soft)
  lamp = lamp * below(from_tail, 0.34, at.soft) * at.hull
  lamp = lamp * below(0.62 * car.half_width, at.ay, at.soft)
  white = within(at.p.z, tail_z - 0.3 * tail_half, 0.25 * tail_half, at.soft)
  white = white * within(at.ay, 0.74 * car.half_width, 0.06, at.soft)
  other = 0.009 + 0.4 * white
  return coat.cover(lamp, (0.26 + 0.3 * white, other, other), 1.0)


def _plates(coat: Coat, look, at: Spot) -> Coat:
  """Draws a dealer's plate at each end, white and blue in a black frame."""
  for facing, height in ((at.front, look.plate[0]), (at.back, look.plate[1])):
    frame = within(at.p.z, height, 0.088, at.soft) * facing
    frame = frame * below(at.ay, 0.168, at.soft)
    coat = coat.cover(frame, BLACK, 0.5)
    plate = within(at.p.z, height, 0.075, at.soft) * facing
    plate = plate * below(at.ay, 0.155, at.soft)
    band = within(at.p.z, height - 0.055, 0.022, at.soft)
    mark = length(at.p.y - 0.08, at.p.z - height - 0.02)
    blue = jnp.maximum(band, below(mark, 0.03, at.soft))
    coat = coat.cover(
      plate, (mix(0.75, 0.1, blue), 0.77 - 0.37 * blue, 0.78), 1
    )
  return coat


def _window_frames(coat: Coat, car, look, at: Spot) -> Coat:
  """Draws a line below the side windows, chrome or black, and black pillars."""
  on_side = at.cabin * at.side
  line = within(at.p.z, car.belt + 0.02, 0.016, at.soft) * on_side
  coat = coat.cover(line, [mix(0.008, 0.5, look.chrome)] * 3, 1.0)
  pillars = _pillars(look, at.p.x, at.soft)
  pillars = pillars * _opening(car, at.p.x, at.p.z, at.soft)
  return coat.cover(pillars * on_side, BLACK, 0.8)


def body_coat(car, look, at: Spot) -> Coat:
  """Returns the coat of sheet metal and all that sits in it but the glass."""
  roof = at.cabin * (at.p.z > car.belt + 0.05)
  paint = tuple(mix(look.paint[i], look.roof[i], roof) for i in range(3))
  coat = Coat(paint, jnp.ones_like(at.p.x))
  coat = _gaps(coat, car, look, at)
  coat = _plastic(coat, car, look, at)
  coat = _face(coat, car, look, at)
  coat = _lamps(coat, car, look, at)
  coat = _plates(coat, look, at)
  coat = _bed(coat, car, at)
  return _window_frames(coat, car, look, at)


def wheel_coat(car, look, p: Vec, soft) -> Coat:
  """Returns the coat of tyres, rims and what shows between the spokes."""
  x, z = shape.wheel_offset(car, p.x), p.z - car.wheel
  radius = length(x, z)
  angle = jnp.arctan2(z, x) + jnp.where(p.x > 0, look.twist[0], look.twist[1])
  part = radius / car.rim
  # Metres from the middle of the nearest spoke, and half of its width.
  across = radius * jnp.abs(jnp.sin(0.5 * look.spokes * angle)) / look.spokes
  half = 0.045 * (1.5 + part) / look.spokes
  fade = soft / car.rim
  metal = jnp.maximum(below(across, half, soft), within(part, 0.97, 0.10, fade))
  metal = jnp.maximum(metal, below(part, 0.22, fade))
  disc = 0.008 + 0.05 * below(part, 0.62, 0.05)
  rim = below(part, 1.0, fade) * (jnp.abs(p.y) > car.half_width - 0.16)
  tyre = 0.013 + 0.006 * within(part, 1.2, 0.05, 0.03)
  albedo = (mix(tyre, mix(disc, c, metal), rim) for c in look.rim)
  return Coat(tuple(albedo), 0.05 + 0.9 * rim * metal)
