"""What the car is made of, point by point, and how it answers the light.

Everything works on flat arrays of hits [N]; colours are [3] x [N], linear.
"""

import jax
import jax.numpy as jnp

from carvana_jax.datasets.studio import scene, shape
from carvana_jax.datasets.studio.vec import (
  Vec,
  length,
  mix,
  reflect,
  step,
  unit,
)

_REACH = 0.0025  # metres, of the differences that give the normal
_TETRAHEDRON = ((1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1))


def _distances(car, points: list[Vec]) -> list:
  """Distances at several points of every hit, in one evaluation."""
  together = Vec(*(jnp.concatenate(axis) for axis in zip(*points, strict=True)))
  # Without the barriers XLA fuses everything and computes it several times.
  together = jax.lax.optimization_barrier(together)
  gaps = jax.lax.optimization_barrier(shape.distance(car, *together))
  return jnp.split(gaps, len(points))


def normal(car, p: Vec) -> Vec:
  """Unit normal at points on the surface."""
  corners = [Vec(*corner) for corner in _TETRAHEDRON]
  gaps = _distances(car, [p.along(corner, _REACH) for corner in corners])
  total = Vec(0.0, 0.0, 0.0)
  for corner, gap in zip(corners, gaps, strict=True):
    total = total.along(corner, gap)
  return unit(total)


def openness(car, p: Vec, n: Vec):
  """Share of the surrounding light that reaches p, 0..1."""
  near, far = _distances(car, [p.along(n, 0.05), p.along(n, 0.20)])
  hidden = 4.0 * jnp.maximum(0.05 - near, 0) + 1.2 * jnp.maximum(0.2 - far, 0)
  ground = step(-0.25, 0.55, p.z + 0.45 * n.z)
  return jnp.clip(1 - hidden, 0.05, 1) * mix(0.25, 1.0, ground)


def _within(value, middle, half, soft):
  """1 where |value - middle| < half, with an edge of the width `soft`."""
  return jnp.clip(0.5 + (half - jnp.abs(value - middle)) / soft, 0, 1)


def _below(value, limit, soft):
  return jnp.clip(0.5 + (limit - value) / soft, 0, 1)


def _cabin_margins(car, x, ay, z):
  """Distances from the edges of the cabin: windscreen, roof, rear, side."""
  screen, *roof, rear, _ = shape.profile(car.cabin, x, ay, z)
  top = roof[0]
  for plane in roof[1:]:
    top = jnp.maximum(top, plane)
  return screen, top, rear, shape.cabin_side(car, x, ay, z)


def side_window(car, look, x, z, soft):
  """Where the side of the cabin is glass."""
  zero = jnp.zeros_like(x)
  screen, top, rear, _ = _cabin_margins(car, x, zero, z)
  frame = jnp.maximum(jnp.maximum(screen + 0.07, top + 0.055), rear + 0.13)
  glass = _below(frame, 0.0, soft) * _below(car.belt + 0.035, z, soft)
  for i, half in enumerate((0.035, 0.03)):
    glass = glass * (1 - _within(x, look.pillars[i], half, soft))
  return glass


def glass(car, look, p: Vec, n: Vec, on_cabin, soft):
  """Where the body is glass, 0..1."""
  ay = jnp.abs(p.y)
  screen, top, rear, side = _cabin_margins(car, p.x, ay, p.z)
  at_side = side_window(car, look, p.x, p.z, soft) * (jnp.abs(n.y) > 0.75)
  inner = _below(side, -0.075, soft) * _below(top, -0.05, soft)
  above = _below(car.belt + 0.02, p.z, soft)
  front = inner * (n.x > 0.2) * _below(jnp.abs(screen), 0.08, soft)
  back = inner * above * (n.x < -0.15) * _below(jnp.abs(rear), 0.08, soft)
  return on_cabin * jnp.maximum(at_side, jnp.maximum(front, back))


def see_through(car, look, p: Vec, ray: Vec, behind):
  """What is seen through a window: cabin, seats, and the room behind it."""
  wall = jnp.where(ray.y > 0, 1.0, -1.0) * (car.cabin_half_width - 0.10)
  t_side = (wall - p.y) / jnp.where(jnp.abs(ray.y) < 1e-3, 1e-3, ray.y)
  end = jnp.where(ray.x < 0, car.cabin[4, 2], 0.0)
  rear_x = 0.5 * (car.tail + look.pillars[1]) - 0.1
  front_x = jnp.full_like(p.x, car.mirror[0] - 0.1)
  end = jnp.where(ray.x < 0, rear_x, front_x)
  t_end = (end - p.x) / jnp.where(jnp.abs(ray.x) < 1e-3, 1e-3, ray.x)
  t_side = jnp.where(t_side > 0, t_side, 1e3)
  t_end = jnp.where(t_end > 0, t_end, 1e3)
  out = p.along(ray, jnp.minimum(t_side, t_end))
  pane = jnp.where(
    t_side < t_end,
    side_window(car, look, out.x, out.z, 0.02),
    _within(out.z, 0.5 * (car.belt + car.roof) - 0.02, 0.14, 0.05)
    * _below(jnp.abs(out.y), car.cabin_half_width - 0.25, 0.05),
  )
  seats = 0.0
  for seat in (look.pillars[0] - 0.05, look.pillars[1] + 0.05):
    t = (seat - p.x) / jnp.where(jnp.abs(ray.x) < 1e-3, 1e-3, ray.x)
    q = p.along(ray, jnp.clip(t, 0, 3))
    head = length((jnp.abs(q.y) - 0.36) / 0.14, (q.z - car.belt - 0.10) / 0.11)
    back = length((jnp.abs(q.y) - 0.36) / 0.25, (q.z - car.belt + 0.28) / 0.33)
    across = (jnp.abs(q.x - seat) < 0.06) & (t > 0)
    seats = jnp.maximum(seats, across * _below(jnp.minimum(head, back), 1, 0.1))
    t = (jnp.sign(wall) * 0.36 - p.y) / jnp.where(
      jnp.abs(ray.y) < 1e-3, 1e-3, ray.y
    )
    q = p.along(ray, jnp.clip(t, 0, 3))
    head = length((q.x - seat) / 0.09, (q.z - car.belt - 0.10) / 0.11)
    back = length((q.x - seat) / 0.14, (q.z - car.belt + 0.28) / 0.33)
    seats = jnp.maximum(
      seats, (t > 0) * _below(jnp.minimum(head, back), 1, 0.1)
    )
  dark = 0.012 + 0.02 * step(car.belt - 0.1, car.roof, out.z)
  light = pane * (1 - seats) * look.tint
  return [dark + 0.8 * light * colour for colour in behind]


def _body_colours(car, look, p: Vec, n: Vec, on_cabin, soft):
  """Albedo [3] and gloss of sheet metal with lamps, grille, plate, lines."""
  ay = jnp.abs(p.y)
  on_hull = 1 - on_cabin
  sill = car.hull[9, 2] / car.hull[9, 1]  # height of the floor pan
  side = (jnp.abs(n.y) > 0.6) * 1.0
  front = (n.x > 0.25) * on_hull
  back = (n.x < -0.25) * on_hull

  albedo = [
    mix(look.paint[i], look.roof[i], on_cabin * (p.z > car.belt + 0.05))
    for i in range(3)
  ]
  gloss = jnp.ones_like(p.x)

  def cover(share, colour, shine):
    nonlocal albedo, gloss
    albedo = [mix(a, c, share) for a, c in zip(albedo, colour, strict=True)]
    gloss = mix(gloss, shine, share)

  # Gaps between doors, bonnet and boot.
  a, b = look.pillars
  gap = 0.005 + 0.3 * soft
  lines = jnp.maximum(
    _within(p.x, a, gap, soft), _within(p.x, b - 0.06, gap, soft)
  )
  lines = jnp.maximum(lines, _within(p.x, car.mirror[0] + 0.10, gap, soft))
  lines = lines * side * (p.z > sill + 0.16) * on_hull
  bonnet = _within(ay, 0.80 * car.half_width, gap, soft) * (n.z > 0.6)
  bonnet = bonnet * on_hull * (p.x > car.mirror[0] + 0.4)
  boot = _within(ay, 0.74 * car.half_width, gap, soft) * back * (p.z > 0.62)
  lines = jnp.maximum(lines, jnp.maximum(bonnet, boot)) * 0.75
  cover(lines, (0.005, 0.005, 0.005), 0.3)

  # Door handles.
  handle = _within(p.z, car.belt - 0.12, 0.014, soft) * side
  reach = jnp.minimum(jnp.abs(p.x - a - 0.16), jnp.abs(p.x - b - 0.12))
  handle = handle * _below(reach, 0.09, soft)
  shine = [mix(c, 0.5, look.chrome) for c in look.paint]
  cover(handle * 0.8, [0.7 * c + 0.02 for c in shine], 1.0)

  # Unpainted plastic: sills, arches, lower bumpers.
  hub = length(shape.wheel_offset(car, p.x), p.z - car.wheel)
  plastic = jnp.maximum(
    _below(hub, car.wheel + 0.115, soft), _below(p.z, sill + 0.17, soft)
  )
  plastic = plastic * look.cladding
  plastic = jnp.maximum(plastic, _below(p.z, sill + 0.06, soft)) * on_hull
  cover(plastic, (0.016, 0.016, 0.017), 0.25)
  inside = (hub < car.wheel + 0.052) * 1.0
  cover(inside, (0.004, 0.004, 0.004), 0.0)

  # Grille with slats, an intake below it, chrome around it.
  height, half, wide = look.grille
  narrow = wide - 0.35 * (height - p.z)
  grille = _within(p.z, height, half, soft) * _below(ay, narrow, soft) * front
  ring = _within(p.z, height, half + 0.02, soft) * front
  ring = ring * _below(ay, narrow + 0.02, soft) - grille
  slats = 0.5 + 0.5 * jnp.cos(p.z * (6.2832 / 0.045))
  grey = mix(0.006, mix(0.03, 0.22, look.chrome), slats * slats)
  cover(ring * mix(0.3, 1.0, look.chrome), (0.45, 0.45, 0.46), 1.0)
  cover(grille, (grey, grey, grey), 0.3)
  intake = _within(p.z, sill + 0.13, 0.055, soft) * front
  cover(intake * _below(ay, 0.5, soft), (0.007, 0.007, 0.007), 0.1)
  fog = length(ay - 0.66 * car.half_width / 0.9, p.z - sill - 0.15)
  cover(_below(fog, 0.045, soft) * front, (0.5, 0.5, 0.5), 1.0)
  emblem = length(p.y, p.z - height - half - 0.035)
  cover(_below(emblem, 0.04, soft) * (front + back), (0.5, 0.5, 0.5), 1.0)

  # Head lamps reach around the corner; tail lamps are red.
  head_z, head_half, tail_z, tail_half = look.lamps
  from_nose = car.nose - p.x
  middle = head_z + 0.22 * from_nose
  lamp = _within(p.z, middle, head_half * (1.05 - 0.9 * from_nose), soft)
  lamp = lamp * _below(from_nose, 0.52, soft) * on_hull
  lamp = lamp * _below(wide + 0.03, ay, soft)
  bulb = length(ay - wide - 0.17, p.z - middle)
  bright = 0.30 + 0.45 * _below(bulb, 0.055, 0.02)
  rim = _within(p.z, middle, head_half * (0.85 - 0.9 * from_nose), soft)
  bright = bright * mix(0.25, 1.0, rim)
  cover(lamp, (bright, bright, bright * 1.02), 1.0)
  from_tail = p.x - car.tail
  lamp = _within(p.z, tail_z + 0.1 * from_tail, tail_half, soft)
  lamp = lamp * _below(from_tail, 0.34, soft) * on_hull
  lamp = lamp * _below(0.62 * car.half_width, ay, soft)
  white = _within(p.z, tail_z - 0.3 * tail_half, 0.25 * tail_half, soft)
  white = white * _within(ay, 0.74 * car.half_width, 0.06, soft)
  cover(lamp, (0.26 + 0.3 * white, 0.008 + 0.4 * white, 0.010 + 0.4 * white), 1)

  # The dealer's plate: white with a blue band.
  for facing, plate_z in ((front, look.plate[0]), (back, look.plate[1])):
    plate = (
      _within(p.z, plate_z, 0.075, soft) * _below(ay, 0.155, soft) * facing
    )
    blue = _within(p.z, plate_z - 0.055, 0.022, soft)
    mark = _below(length(p.y - 0.08, p.z - plate_z - 0.02), 0.03, soft)
    blue = jnp.maximum(blue, mark)
    cover(plate, (mix(0.75, 0.1, blue), mix(0.77, 0.4, blue), 0.78), 0.6)

  # Black frames and a chrome line around the side windows.
  frame = on_cabin * side * _within(p.z, car.belt + 0.02, 0.016, soft)
  cover(frame, [mix(0.008, 0.5, look.chrome)] * 3, 1.0)
  posts = sum(_within(p.x, look.pillars[i], 0.04, soft) for i in range(2))
  posts = on_cabin * side * jnp.minimum(posts, 1) * (p.z > car.belt)
  cover(posts, (0.008, 0.008, 0.008), 0.8)
  return albedo, gloss


def _wheel_colours(car, look, p: Vec, soft):
  """Albedo [3] and gloss of tyres, rims and what shows between the spokes."""
  x = shape.wheel_offset(car, p.x)
  z = p.z - car.wheel
  radius = length(x, z)
  turn = jnp.where(p.x > 0, look.twist[0], look.twist[1])
  angle = jnp.arctan2(z, x) + turn
  across = radius * jnp.abs(jnp.sin(0.5 * look.spokes * angle)) / look.spokes
  part = radius / car.rim
  width = 0.028 / look.spokes * (1.5 + part) * 1.6
  spoke = _below(across, width, soft)
  metal = jnp.maximum(spoke, _within(part, 0.93, 0.06, soft / car.rim))
  metal = jnp.maximum(metal, _below(part, 0.22, soft / car.rim))
  disc = 0.008 + 0.05 * _below(part, 0.62, 0.05)
  outside = jnp.abs(p.y) > car.half_width - 0.16
  rim = _below(part, 1.0, soft / car.rim) * outside
  tread = 0.013 + 0.006 * _within(part, 1.2, 0.05, 0.03)
  colours = [mix(tread, mix(disc, look.rim[i], metal), rim) for i in range(3)]
  return colours, rim * metal * 0.9 + 0.05


def shade(car, look, studio, place, p: Vec, ray: Vec, soft, behind):
  """Light [3] x [N] that leaves the car at `p` towards the camera.

  `p` and `ray` are in the car's frame; `soft` is a sample's width in metres,
  over which drawn edges fade; `behind` is the empty room along the same ray.
  """
  n = normal(car, p)
  ay = jnp.abs(p.y)
  lower = shape.hull(car, p.x, ay, p.z)
  upper = shape.cabin(car, p.x, ay, p.z)
  on_cabin = (upper < lower) * 1.0
  sheet = shape.body(car, p.x, ay, p.z)
  wheel = shape.wheels(car, p.x, ay, p.z)
  mirror = shape.mirrors(car, p.x, ay, p.z)
  rest = jnp.minimum(shape.aerial(car, *p), shape.extras(car, p.x, ay, p.z))
  other = jnp.minimum(jnp.minimum(sheet, mirror), rest)
  is_wheel = wheel < other
  is_sheet = sheet < jnp.minimum(mirror, rest)
  is_mirror = mirror < rest

  albedo, gloss = _body_colours(car, look, p, n, on_cabin, soft)
  tyre, tyre_gloss = _wheel_colours(car, look, p, soft)
  blade = p.z < car.rails - 0.05  # a spoiler is painted, rails are not
  for i in range(3):
    fitting = jnp.where(is_mirror | blade, look.paint[i], 0.02)
    albedo[i] = jnp.where(
      is_wheel, tyre[i], jnp.where(is_sheet, albedo[i], fitting)
    )
  gloss = jnp.where(is_wheel, tyre_gloss, gloss)
  pane = glass(car, look, p, n, on_cabin, soft) * (is_sheet & ~is_wheel)

  open_ = openness(car, p, n)
  up = 0.5 + 0.5 * n.z
  bounce = 0.30 * step(0.0, 0.8, p.z) + 0.10
  light = mix(bounce, 1.02, up) * open_
  mirrored = place.turn_to_room(reflect(ray, n))
  seen = scene.surroundings(studio, mirrored)
  cosine = scene.facing(ray, n)
  fresnel = 0.04 + 0.96 * (1 - cosine) ** 5
  flakes = look.metallic * gloss * ~is_wheel
  blurred = (0.25 + 0.95 * step(-0.5, 0.9, mirrored.z)) * open_
  clear = gloss * fresnel * mix(0.35, 1.0, open_)
  through = see_through(car, look, p, ray, behind)
  result = []
  for i in range(3):
    matt = albedo[i] * mix(light, blurred, 0.6 * flakes)
    colour = matt * (1 - fresnel * gloss) + clear * seen[i]
    pane_colour = through[i] * (1 - fresnel) + (fresnel + 0.01) * seen[i]
    result.append(mix(colour, pane_colour, pane))
  return result
