"""Feature maps as pictures: the colours of one channel, or of all of them."""

import numpy as np

# Red, green and blue of the brightest value.
_POSITIVE, _NEGATIVE = (1.0, 0.9, 0.75), (0.35, 0.6, 1.0)


def grey(values: np.ndarray) -> np.ndarray:
  """Draws values [h, w] from black at 0 to white at 1, as uint8 [h, w, 3]."""
  values = np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)
  return np.repeat(values[..., None], 3, axis=-1)


def signed_channel(channel: np.ndarray) -> np.ndarray:
  """Draws a channel, from black at its least value to bright at its largest.

  Values below zero are blue: a ReLU takes them away.

  Args:
    channel: float [h, w].

  Returns:
    uint8 [h, w, 3]; all of it is bright where all values are equal.
  """
  low, high = channel.min(), channel.max()
  brightness = (channel - low) / (high - low) if high > low else channel * 0 + 1
  colours = np.where(channel[..., None] < 0, _NEGATIVE, _POSITIVE)
  return np.rint(255 * brightness[..., None] * colours).astype(np.uint8)


def principal_components(features: np.ndarray) -> np.ndarray:
  """Draws all channels in one picture; like features get like colours.

  Red, green and blue are the first three principal components, each over its
  own range. With fewer than three channels, all three are the first component.

  Args:
    features: float [h, w, C].

  Returns:
    uint8 [h, w, 3].
  """
  flat = features.reshape(-1, features.shape[-1]).astype(np.float64)
  flat = flat - flat.mean(0)
  _, vectors = np.linalg.eigh(flat.T @ flat)  # of the least variance first
  first = [-1, -2, -3] if len(vectors) > 2 else [-1, -1, -1]
  axes = vectors[:, first]
  # A component's sign means nothing: let it follow most channels.
  parts = flat @ (axes * np.where(axes.sum(0) < 0, -1, 1))
  # A few pixels at the picture's edge would take up half of the range.
  low, high = np.percentile(parts, (1, 99), axis=0)
  parts = np.clip((parts - low) / np.maximum(high - low, 1e-12), 0, 1)
  return np.rint(255 * parts).astype(np.uint8).reshape(*features.shape[:2], 3)
