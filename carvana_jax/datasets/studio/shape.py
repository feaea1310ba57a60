"""The car's surface as a signed distance function, in metres.

The car stands on z = 0, looks along +x, and x = 0 lies half-way between its
axles. All but the aerial is symmetric in y, so functions take `ay` = |y|.

The body is a smooth intersection of half-spaces that bulge a little (hull)
with a second, narrower one on top of it (the cabin). Half-spaces are cheap,
never overestimate the distance much, and their rounded meeting lines are what
makes sheet metal look like sheet metal.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from carvana_jax.datasets.studio.vec import length

# The bulging half-spaces have gradients a little above one.
SAFETY = 0.85


class Shape(NamedTuple):
  """What the geometry of one car needs; arrays of float32."""

  hull: jax.Array  # [10, 4] edges of the side profile: n_x, n_z, offset, bulge
  cabin: jax.Array  # [6, 4] the same: windscreen, four of the roof, rear, base
  half_width: jax.Array  # of the hull, at the shoulder
  shoulder: jax.Array  # height at which the hull is widest
  cabin_half_width: jax.Array  # at the height `belt`
  belt: jax.Array  # height of the side windows' lower edge
  tumblehome: jax.Array  # how far the cabin leans in, metres per metre
  corner: jax.Array  # [2] rounding of the nose and the tail, seen from above
  nose: jax.Array  # x of the foremost point
  tail: jax.Array  # x of the rearmost point
  roof: jax.Array  # height of the roof
  half_base: jax.Array  # half the wheelbase
  wheel: jax.Array  # radius of the tyre
  tyre_width: jax.Array  # half of it
  rim: jax.Array  # radius of the rim
  bed: jax.Array  # [3] x from, x to, z of the load bed; from > to: none
  mirror: jax.Array  # [3] x, z, size (0: none)
  aerial: jax.Array  # [6] x, y, z of the foot; length, lean in x, radius
  rails: jax.Array  # [3] x from, x to, z of the roof rails; z below 0: none
  spoiler: jax.Array  # [2] x, z of its rear edge (below the ground: none)


def smooth_max(a, b, k):
  """max(a, b), rounded off where they differ by less than `k`."""
  h = jnp.maximum(k - jnp.abs(a - b), 0)
  return jnp.maximum(a, b) + h * h * (0.25 / k)


def profile(edges, x, ay, z) -> list:
  """Distances to the half-spaces of a side profile."""
  return [
    edge[0] * x + edge[1] * z - edge[2] + edge[3] * ay * ay for edge in edges
  ]


def hull_side(shape: Shape, x, ay, z):
  """Distance to the side of the hull."""
  # A crease at the shoulder, a hollow in the doors below it.
  rise = z - shape.shoulder - 0.02 * (shape.nose - x)
  swell = 0.18 * rise * rise + 0.07 * (length(rise, 0.025) - 0.025)
  hollow = jnp.maximum(1 - ((rise + 0.30) / 0.16) ** 2, 0)
  return ay - shape.half_width + swell + 0.012 * hollow**2 + 0.010 * x * x


def cabin_side(shape: Shape, x, ay, z):
  """Distance to the side of the cabin."""
  return (
    ay
    - shape.cabin_half_width
    + shape.tumblehome * (z - shape.belt)
    + 0.022 * x * x
  )


def hull(shape: Shape, x, ay, z):
  """The lower body, before the wheel arches are cut out."""
  edges = profile(shape.hull, x, ay, z)
  distance = edges[0]
  for edge in edges[1:]:
    distance = smooth_max(distance, edge, 0.09)
  distance = smooth_max(distance, hull_side(shape, x, ay, z), 0.13)
  # Two upright planes cut the corners of the nose and of the tail.
  middle = 0.5 * (shape.nose + shape.tail)
  front = 0.64 * (x - shape.nose) + 0.77 * (ay - shape.half_width)
  rear = -0.64 * (x - shape.tail) + 0.77 * (ay - shape.half_width)
  cut = jnp.where(x > middle, front + shape.corner[0], rear + shape.corner[1])
  return smooth_max(distance, cut, 0.28)


def cabin(shape: Shape, x, ay, z):
  """The greenhouse."""
  edges = profile(shape.cabin, x, ay, z)
  distance = edges[0]
  for edge in edges[1:]:
    distance = smooth_max(distance, edge, 0.07)
  return smooth_max(distance, cabin_side(shape, x, ay, z), 0.11)


def wheel_offset(shape: Shape, x):
  """x seen from the hub of the nearer axle."""
  return jnp.abs(x) - shape.half_base


def bed_side(shape: Shape, x, ay):
  """Distance to the load bed's side walls, negative between them."""
  return ay - shape.half_width + 0.11 + 0.014 * x * x


def body(shape: Shape, x, ay, z):
  """Sheet metal and glass."""
  lower = hull(shape, x, ay, z)
  inside = jnp.maximum(
    jnp.maximum(x - shape.bed[1], shape.bed[0] - x),
    jnp.maximum(bed_side(shape, x, ay), shape.bed[2] - z),
  )
  lower = smooth_max(lower, -inside, 0.03)
  distance = -smooth_max(-lower, -cabin(shape, x, ay, z), 0.07)
  from_hub = length(wheel_offset(shape, x), z - shape.wheel)
  arch = jnp.maximum(
    from_hub - shape.wheel - 0.055, shape.half_width - 0.34 - ay
  )
  return smooth_max(distance, -arch, 0.025)


def wheels(shape: Shape, x, ay, z):
  """All four: a rounded tyre with a rim that lies a little deeper."""
  from_hub = length(wheel_offset(shape, x), z - shape.wheel)
  middle = shape.half_width - 0.035 - shape.tyre_width
  dr = from_hub - shape.wheel + 0.03
  dy = jnp.abs(ay - middle) - shape.tyre_width + 0.03
  outside = length(jnp.maximum(dr, 0), jnp.maximum(dy, 0))
  tyre = outside + jnp.minimum(jnp.maximum(dr, dy), 0) - 0.03
  depth = 0.02 + 0.025 * jnp.clip(from_hub / shape.rim, 0, 1)
  dish = jnp.maximum(
    from_hub - shape.rim, middle + shape.tyre_width - depth - ay
  )
  return smooth_max(tyre, -dish, 0.012)


def mirrors(shape: Shape, x, ay, z):
  """Two rounded housings on short arms."""
  mirror_x, mirror_z, size = shape.mirror
  middle = shape.cabin_half_width + 0.16
  dx = (x - mirror_x + 0.25 * (ay - middle)) / 0.55
  dz = (z - mirror_z) / 0.72
  housing = 0.55 * (length(dx, ay - middle, dz) - size)
  along = jnp.clip(ay - middle, -0.2, 0)
  arm = length(x - mirror_x, ay - middle - along, z - mirror_z + 0.05) - 0.022
  return jnp.where(size > 0, jnp.minimum(housing, arm), 9.0)


def aerial(shape: Shape, x, y, z):
  """A rod that leans back and gets thinner; the one part with a side in y."""
  foot_x, foot_y, foot_z, rod, lean, radius = shape.aerial
  dx, dz = x - foot_x, z - foot_z
  t = jnp.clip((dz - lean * dx) / (rod * (1 + lean * lean) + 1e-6), 0, 1)
  axis = length(dx + lean * rod * t, y - foot_y, dz - rod * t)
  return jnp.where(rod > 0, axis - radius * (1.6 - 0.8 * t), 9.0)


def _roof_edge(shape: Shape):
  """y of the roof's edge."""
  return shape.cabin_half_width - shape.tumblehome * (shape.roof - shape.belt)


def rails(shape: Shape, x, ay, z):
  """Two bars along the roof, whose ends bend down to it."""
  rail_from, rail_to, rail_z = shape.rails
  dx = x - jnp.clip(x, rail_from, rail_to)
  end = jnp.minimum(x - rail_from, rail_to - x)
  bend = 0.06 * jnp.maximum(1 - end / 0.12, 0)
  dy = ay - _roof_edge(shape) + 0.10
  return 0.85 * (length(dx, dy, z - rail_z + bend) - 0.02)


def spoiler(shape: Shape, x, ay, z):
  """A blade that rises a little towards its rear edge."""
  dx = x - shape.spoiler[0]
  lift = z - shape.spoiler[1] + 0.12 * dx
  blade = jnp.maximum(jnp.abs(dx - 0.13) - 0.13, jnp.abs(lift) - 0.02)
  return jnp.maximum(blade, ay - _roof_edge(shape) + 0.08 + 0.15 * dx)


def extras(shape: Shape, x, ay, z):
  """Roof rails and spoiler."""
  return jnp.minimum(rails(shape, x, ay, z), spoiler(shape, x, ay, z))


def distance(shape: Shape, x, y, z):
  """Signed distance to the car; `SAFETY` times it is a safe step."""
  ay = jnp.abs(y)
  parts = [
    body(shape, x, ay, z),
    wheels(shape, x, ay, z),
    mirrors(shape, x, ay, z),
    aerial(shape, x, y, z),
    extras(shape, x, ay, z),
  ]
  nearest = parts[0]
  for part in parts[1:]:
    nearest = jnp.minimum(nearest, part)
  return nearest


def bounds(shape: Shape):
  """A box around the car: (low, high), each (x, y, z)."""
  side = shape.half_width + 0.30
  rod = shape.aerial[3]
  top = jnp.maximum(shape.roof + 0.12, shape.aerial[2] + rod + 0.02)
  low = (shape.tail - 0.25, -side, jnp.float32(-0.01))
  return low, (shape.nose + 0.1, side, top)
