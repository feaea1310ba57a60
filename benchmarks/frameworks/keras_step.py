"""Training steps and predictions in Keras, asked for by `serving`.

python -m benchmarks.frameworks.keras_step NAME HEIGHT WIDTH BATCH
"""

import sys

import numpy as np

from benchmarks.frameworks import serving
from benchmarks.frameworks.keras_networks import (
  bn_unet,
  keras,
  tf,
  tiny_unet,
  vgg_unet,
)

NETWORKS = {
  'tiny_unet128': tiny_unet,
  'tiny_unet512': lambda size: tiny_unet(size, 4),
  'bn_unet128': bn_unet,
  'vgg19_unet512': vgg_unet,
  'studio': lambda size: bn_unet(size, 8, 2),
}


def main(name, height, width, batch):
  net = NETWORKS[name]((int(height), int(width)))
  if name == 'vgg19_unet512':
    # The encoder, up to the first layer of the decoder.
    for layer in net.layers:
      if isinstance(layer, keras.layers.Conv2DTranspose):
        break
      layer.trainable = False
  net.compile(
    keras.optimizers.Adam(1e-3), keras.losses.BinaryCrossentropy(True)
  )
  rng = np.random.default_rng(0)
  shape = (int(batch), int(height), int(width))
  image = tf.constant(rng.random((*shape, 3), np.float32))
  target = tf.constant(rng.random((*shape, 1), np.float32))

  def train(count):
    for _ in range(count):
      net.train_on_batch(image, target)

  def infer(count):
    for _ in range(count):
      net.predict_on_batch(image)

  serving.serve(net.count_params(), {'train': train, 'infer': infer})


if __name__ == '__main__':
  main(*sys.argv[1:])
