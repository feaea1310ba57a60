"""Changes images and masks at random, on the device.

Changes of position concern image and mask, changes of colour the image alone.
Where a picture is turned or shifted, what comes in from outside is the picture
mirrored at its edge, so that no black corners appear.
"""

import dm_pix
import jax
import jax.numpy as jnp
from jax.scipy import ndimage

from carvana_jax.datasets.empty_studio import CHANNELS

_SHARE = ('in 0..1', lambda x: 0 <= x <= 1)
_BELOW_1 = ('in 0..1, without 1', lambda x: 0 <= x < 1)
# What the values of fields must be, see `check_config`.
RANGES = {
  'augment.rotation': ('in 0..180', lambda x: 0 <= x <= 180),
  'augment.scale': _BELOW_1,
  'augment.stretch': _BELOW_1,
  'augment.shift': _SHARE,
  'augment.brightness': _SHARE,
  'augment.contrast': _SHARE,
  'augment.saturation': _SHARE,
  'augment.hue': _SHARE,
  'augment.gray': _SHARE,
  'augment.repaint': _SHARE,
  'augment.hide_studio': _SHARE,
}


def augment(
  keys: jax.Array, image: jax.Array, mask: jax.Array, config
) -> tuple[jax.Array, jax.Array]:
  """Changes every example in its own way.

  Args:
    keys: random keys [B]; the same key gives the same changes.
    image: [B, H, W, C], 0..1; of its channels the first three are colours.
    mask: [B, H, W], 0..1.
    config: `config.augment`; configs/default.py describes its fields.

  Returns:
    Image and mask, of the same shapes and ranges; without `config.clip`,
    colours may be beyond 0..1.
  """
  place_keys, colour_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
  if config.repaint:
    paint_keys = jax.vmap(lambda key: jax.random.fold_in(key, 2))(keys)
    repaint = lambda *one: _repaint(*one, config.repaint)
    image = jax.vmap(repaint)(paint_keys, image, mask)
  if config.hide_studio:
    hide_keys = jax.vmap(lambda key: jax.random.fold_in(key, 6))(keys)
    image = jax.vmap(_hide_studio, (0, 0, None))(
      hide_keys, image, config.hide_studio
    )
  channels = jnp.concatenate([image, mask[..., None]], axis=-1)
  # One by one on a CPU: together with the code around it, XLA's gathering of
  # pixels takes three times as long there.
  at_once = 1 if jax.default_backend() == 'cpu' else len(keys)
  channels = jax.lax.map(
    lambda one: _move(*one, config), (place_keys, channels), batch_size=at_once
  )
  change_colour = lambda *one: _change_colour(*one, config)
  colour = jax.vmap(change_colour)(colour_keys, channels[..., :3])
  image = jnp.concatenate([colour, channels[..., 3:-1]], axis=-1)
  return image, channels[..., -1]


def changes(config) -> dict[str, float]:
  """Returns the fields of `config.augment` that change anything, by name."""
  return {name: x for name, x in config.items() if x and name != 'clip'}


def _move(key, channels, config):
  """Flips, turns, scales and shifts [H, W, C]."""
  keys = jax.random.split(key, 5)
  # A change that is added later takes fold_in with the next free number, so
  # that the draws of the others stay what they are.
  stretch_key = jax.random.fold_in(key, 5)
  if config.flip_left_right:
    channels = jnp.where(
      jax.random.bernoulli(keys[0]), channels[:, ::-1], channels
    )
  if config.flip_up_down:
    channels = jnp.where(
      jax.random.bernoulli(keys[1]), channels[::-1], channels
    )
  if config.rotation or config.scale or config.stretch or config.shift:
    angle = jnp.deg2rad(_within(keys[2], config.rotation))
    stretch = 1 + _within(stretch_key, config.stretch)
    scale = 1 + _within(keys[3], config.scale)
    scales = jnp.stack([scale * stretch, scale / stretch])
    shift = _within(keys[4], config.shift, (2,))
    # On CPUs the products take eight times as long as gathering pixels.
    if config.rotation or jax.default_backend() == 'cpu':
      channels = warp(channels, angle, scales, shift)
    else:
      channels = warp_upright(channels, scales, shift)
  return channels


def _within(key, limit, shape=()):
  """Draws numbers from -limit to limit."""
  return jax.random.uniform(key, shape, minval=-limit, maxval=limit)


def warp(channels: jax.Array, angle, scales, shift) -> jax.Array:
  """Turns, scales and shifts a picture about its centre, bilinearly.

  Args:
    channels: [H, W, C].
    angle: in radians, counter-clockwise.
    scales: [2], of height and width; above 1 the content gets larger.
    shift: [2], down and right, in shares of height and width.

  Returns:
    The moved picture, [H, W, C]; angle 0, scales 1 and shift 0 change nothing.
  """
  height, width = channels.shape[:2]
  size = jnp.array([height, width], jnp.float32)
  centre = (size - 1) / 2  # of pixel centres 0..size - 1
  cos, sin = jnp.cos(angle), jnp.sin(angle)
  rows, columns = jnp.meshgrid(
    jnp.arange(height) - centre[0] - shift[0] * height,
    jnp.arange(width) - centre[1] - shift[1] * width,
    indexing='ij',
  )
  source = [
    (cos * rows + sin * columns) / scales[0] + centre[0],
    (-sin * rows + cos * columns) / scales[1] + centre[1],
  ]
  # SciPy's 'reflect' repeats the edge pixel: d c b a | a b c d.
  sample = lambda layer: ndimage.map_coordinates(
    layer, source, order=1, mode='reflect'
  )
  return jax.vmap(sample, in_axes=-1, out_axes=-1)(channels)


def warp_upright(channels: jax.Array, scales, shift) -> jax.Array:
  """Scales and shifts a picture as `warp` does with an angle of 0.

  Rows and columns are then independent, so that two products of matrices do
  what else takes four gathered pixels for each one. Accelerators are made for
  the former.

  Args:
    channels: [H, W, C], 0..1.
    scales: [2], of height and width; above 1 the content gets larger.
    shift: [2], down and right, in shares of height and width.

  Returns:
    The moved picture, [H, W, C], 0..1.
  """
  height, width = channels.shape[:2]
  rows = _interpolation(height, scales[0], shift[0])
  columns = _interpolation(width, scales[1], shift[1])
  # TF32 on GPUs, three times bfloat16 on TPUs: both keep the 8 bits of pixels.
  product = lambda terms, *args: jnp.einsum(terms, *args, precision='high')
  channels = product('yh,hwc->ywc', rows, channels)
  channels = product('xw,ywc->yxc', columns, channels)
  return jnp.clip(channels, 0, 1)  # rounded weights may add up to more


def _interpolation(size, scale, shift):
  """Returns the weights [size, size] of all pixels in each pixel of a line."""
  centre = (size - 1) / 2
  places = jnp.arange(size)
  source = (places - centre - shift * size) / scale + centre
  before = jnp.floor(source)
  after_weight = source - before

  def weights(place, weight):
    # The edge pixel is repeated, d c b a | a b c d, as `warp` has it.
    place = jnp.mod(place.astype(jnp.int32), 2 * size)
    place = jnp.minimum(place, 2 * size - 1 - place)
    return jnp.where(place[:, None] == places, weight[:, None], 0)

  return weights(before, 1 - after_weight) + weights(before + 1, after_weight)


def _repaint(key, image, mask, probability):
  """Paints the car, and it alone, darker or lighter, and tinted.

  Where its difference from the empty studio is known, that changes as much.
  """
  chosen_key, gamma_key, gain_key = jax.random.split(key, 3)
  gamma = 3 ** _within(gamma_key, 1.0)
  gain = 1.3 ** _within(gain_key, 1.0, (3,))
  colour = image[..., :3]
  painted = jnp.minimum(gain * colour**gamma, 1)
  share = mask * jax.random.bernoulli(chosen_key, probability)
  change = share[..., None] * (painted - colour)
  others = image[..., 3:]
  if others.shape[-1] > CHANNELS:
    coarse, difference, views = jnp.split(others, [1, 4], axis=-1)
    changed = jnp.clip(difference + change, 1 / 255, 1)
    difference = jnp.where(views > 0, changed, difference)
    others = jnp.concatenate([coarse, difference, views], axis=-1)
  return jnp.concatenate([colour + change, others], axis=-1)


def _hide_studio(key, image, probability):
  """Takes the last channels from [H, W, C], see `empty_studio.difference`."""
  shown = jax.random.bernoulli(key, 1 - probability)
  others, studio = jnp.split(image, [image.shape[-1] - CHANNELS], axis=-1)
  return jnp.concatenate([others, shown * studio], axis=-1)


def _change_colour(key, image, config):
  """Changes brightness, contrast, saturation and hue, or makes grey."""
  keys = jax.random.split(key, 5)
  amount = lambda i, limit: _within(keys[i], limit)
  if config.brightness:
    image = dm_pix.adjust_brightness(image, amount(0, config.brightness))
  if config.contrast:
    image = dm_pix.adjust_contrast(image, 1 + amount(1, config.contrast))
  if config.saturation:
    image = dm_pix.adjust_saturation(image, 1 + amount(2, config.saturation))
  if config.hue:
    image = dm_pix.adjust_hue(image, amount(3, config.hue))
  if config.gray:
    grey = image @ jnp.array([0.299, 0.587, 0.114])  # ITU-R BT.601 luma
    chosen = jax.random.bernoulli(keys[4], config.gray)
    image = jnp.where(chosen, grey[..., None], image)
  return jnp.clip(image, 0, 1) if config.clip else image
