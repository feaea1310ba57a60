"""The published networks in Keras, from the descriptions of their authors.

They give logits, [B, H, W, C] in 0..1 -> [B, H, W, 1], and have no dropout
unless said otherwise. Constants that nobody names are Keras's own.
"""

from benchmarks.frameworks.host_tensorflow import tf

keras = tf.keras
L = keras.layers


def tiny_unet(size, poolings=3, dropout=0.0):
  """System B, from the slides' description; dropout is a rate."""
  conv = lambda width, size: L.Conv2D(
    width, size, padding='same', activation='relu'
  )
  image = x = keras.Input((*size, 3))
  skips, widths = [], [8 * 2**i for i in range(poolings + 1)]
  for width in widths[:-1]:
    x = conv(width, 3)(conv(width, 3)(x))
    if dropout and width == widths[-2]:
      x = L.Dropout(dropout)(x)
    skips.append(x)
    x = L.MaxPooling2D(2)(x)
  x = conv(widths[-1], 3)(conv(widths[-1], 3)(x))
  if dropout:
    x = L.Dropout(dropout)(x)
  for width, skip in zip(widths[-2::-1], skips[::-1], strict=True):
    x = conv(width, 2)(L.UpSampling2D(2)(x))
    x = L.Concatenate()([skip, x])
    x = conv(width, 3)(conv(width, 3)(x))
  x = conv(2, 3)(x)
  return keras.Model(image, L.Conv2D(1, 1)(x))


def bn_unet(size, first_width=64, decoder_convs=3, **constants):
  """System D, from the README's description; constants are of its norms."""

  def block(x, width):
    x = L.Conv2D(width, 3, padding='same')(x)
    x = L.BatchNormalization(**constants)(x)
    return L.ReLU()(x)

  image = x = keras.Input((*size, 3))
  skips, widths = [], [first_width * 2**i for i in range(5)]
  for width in widths[:-1]:
    x = block(block(x, width), width)
    skips.append(x)
    x = L.MaxPooling2D(2)(x)
  x = block(block(x, widths[-1]), widths[-1])
  for width, skip in zip(widths[-2::-1], skips[::-1], strict=True):
    x = L.Concatenate()([skip, L.UpSampling2D(2)(x)])
    for _ in range(decoder_convs):
      x = block(x, width)
  return keras.Model(image, L.Conv2D(1, 1)(x))


def median_cnn(size, mean, std):
  """System C, from the notebook's description."""
  conv = lambda width, size, activation: L.Conv2D(
    width, size, padding='same', activation=activation
  )
  image = keras.Input((*size, 6))
  x = L.Normalization(mean=mean, variance=std**2)(image)
  x = conv(32, 5, 'relu')(conv(16, 10, 'relu')(x))
  return keras.Model(image, conv(1, 5, None)(x))


def plain_cnn(size):
  """System E's CNN."""
  image = x = keras.Input((*size, 3))
  for width in (64, 128, 256):
    x = L.Conv2D(width, 3, padding='same', activation='relu')(x)
  return keras.Model(image, L.Conv2D(1, 1)(x))


def transposed_unet(size, levels=4, first_width=32):
  """System E's U-Net."""
  conv = lambda width: L.Conv2D(width, 3, padding='same', activation='relu')
  image = x = keras.Input((*size, 3))
  skips, widths = [], [first_width * 2**i for i in range(levels)]
  for width in widths[:-1]:
    x = conv(width)(conv(width)(x))
    skips.append(x)
    x = L.MaxPooling2D(2)(x)
  x = conv(widths[-1])(conv(widths[-1])(x))
  for width, skip in zip(widths[-2::-1], skips[::-1], strict=True):
    x = L.Conv2DTranspose(width, 2, 2)(x)
    x = L.Concatenate()([skip, x])
    x = conv(width)(conv(width)(x))
  return keras.Model(image, L.Conv2D(1, 1)(x))


def vgg_unet(size):
  """System A, from the notebook's description."""
  image = x = keras.Input((*size, 3))
  taps = []
  for convs, width in ((2, 64), (2, 128), (4, 256), (4, 512), (1, 512)):
    if x is not image:
      x = L.MaxPooling2D(2)(x)
    for _ in range(convs):
      x = L.Conv2D(width, 3, padding='same', activation='relu')(x)
      taps.append(x)
  up = lambda width, stride, **kwargs: L.Conv2DTranspose(
    width,
    3,
    stride,
    padding='same',
    kernel_initializer=keras.initializers.RandomNormal(0.0, 0.02),
    **kwargs,
  )
  # In the order of `taps`: 0 and 1 are block 1, 2 and 3 block 2 and so on.
  for width, stride, tap in (
    (512, 1, 9),
    (512, 2, 8),
    (256, 1, 5),
    (256, 2, 4),
    (128, 1, 3),
    (128, 2, 2),
  ):
    x = up(width, stride, use_bias=False)(x)
    x = L.BatchNormalization()(x)
    x = L.ReLU()(x)
    if stride == 2:
      x = L.Concatenate()([taps[tap], x])
  return keras.Model(image, up(1, 2)(x))
