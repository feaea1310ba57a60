"""What a network will be trained on: photos as augmentation changes them."""

import itertools

import jax
import numpy as np
import tensorflow_datasets as tfds
from ml_collections import ConfigDict

from carvana_jax.datasets import input_pipeline
from carvana_jax.reporting import overlays
from carvana_jax.system import contact_sheet
from carvana_jax.training import augment, steps

_PHOTOS = 6
_CHANGES = 4  # of each
_WIDTH = 314  # of a picture on the sheet, in pixels
_ALONE = 3  # photos in a row where nothing is changed


def draw(builder: tfds.core.DatasetBuilder, config: ConfigDict) -> np.ndarray:
  """Draws the first photos of a run, and what augmentation makes of them.

  Args:
    builder: the prepared data set that the network is trained on.
    config: of the run.

  Returns:
    uint8 [H, W, 3]: a row a photo, which is first drawn as it is stored; photos
    alone where augmentation is off.

  Raises:
    UserError: a split is empty.
  """
  image, mask = _first(input_pipeline.RunData.open(builder, config))
  on = augment.changes(config.augment)
  count = _CHANGES if on else 0
  keys = jax.random.split(jax.random.key(config.seed), (count, len(image)))
  change = jax.jit(lambda *batch: augment.augment(*batch, config.augment))
  batches = [(image, mask)]
  for key in keys:
    changed = change(key, steps.unit(image), steps.unit(mask))
    # What is not clipped for the network is, to be seen.
    pixels = [np.clip(np.rint(255 * np.asarray(x)), 0, 255) for x in changed]
    batches.append(pixels)
  tiles, labels = [], []
  for row in range(len(image)):
    for column, (pictures, masks) in enumerate(batches):
      tiles.append(_tile(pictures[row], masks[row]))
      labels.append(f'augmented, {column}' if column else 'as stored')
  size = 'x'.join(map(str, image.shape[1:]))
  values = ', '.join(f'{name} {x:g}' for name, x in on.items())
  caption = (
    f'Photos of the split train at {size}, masks outlined, as config.augment '
    f'has them:\n{values or "unchanged"}'
  )
  columns = 1 + count if on else _ALONE
  return contact_sheet.sheet(tiles, labels, caption, columns)


def _first(data):
  """Returns image and mask of the first photos that a run is trained on."""
  count = -(-_PHOTOS // data.config.train.batch_size)
  batches = list(itertools.islice(data.training(0), count))
  real = np.concatenate([x['weight'] for x in batches]) > 0
  return (
    np.concatenate([x[name] for x in batches])[real][:_PHOTOS]
    for name in ('image', 'mask')
  )


def _tile(channels, mask):
  """Draws [h, w, C]: the photo, and its other channels beside it, if any."""
  channels = channels.astype(np.uint8)
  count = max(1, channels.shape[-1] // 3)
  parts = [channels[..., 3 * x : 3 * x + 3] for x in range(count)]
  outline = lambda x: overlays.outlined(x, mask.astype(np.uint8), _WIDTH)
  return np.hstack([outline(x) for x in parts])
