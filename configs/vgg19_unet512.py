"""System A at 512x512: a U-Net on the features of VGG19, which are not trained.

    bash run.sh --config=configs/vgg19_unet512.py --workdir=runs/vgg19 \\
        --config.data.manual_dir=FOLDER --config.model.encoder_weights=FILE

FILE holds the ImageNet weights of VGG19, which are not part of this project:

- vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5, from the releases of
  github.com/fchollet/deep-learning-models, where keras.applications gets it; or
- torchvision's vgg19, a .pth (vgg19-dcbb9e9d.pth) or the same as .safetensors.

Published: no score. Training stops after four epochs without a lower loss on
the validation split; the best epoch is kept. Constants of Adam and of batch
normalisation are Keras's. Everything from scratch, no FILE:

    --config.model.encoder_weights=random
"""

from ml_collections import ConfigDict

from carvana_jax.configs import default


def get_config():
  """Adam 1e-3, BCE, batch 16, 10 epochs, flips and brightness."""
  config = default.get_config()
  config.data.size = '512x512'
  config.model = ConfigDict()
  config.model.name = 'vgg_unet'
  config.model.encoder_weights = ''
  config.model.dropout = 0.0
  config.model.norm_momentum = 0.99
  config.model.norm_epsilon = 1e-3
  config.model.kernel_init = 'normal'  # of the decoder, of std 0.02
  config.model.dtype = 'float32'
  config.augment.flip_left_right = True
  config.augment.brightness = 0.1
  config.augment.clip = False
  config.optimizer.name = 'keras_adam'
  config.optimizer.learning_rate = 1e-3
  config.optimizer.epsilon = 1e-7
  config.optimizer.schedule = 'constant'
  config.optimizer.clip_norm = 0.0
  config.train.loss = 'bce'
  config.train.batch_size = 16
  config.train.epochs = 10
  config.train.average_decay = 0.0
  config.train.monitor = 'loss'
  config.train.patience = 4
  config.train.picture_epochs = 5
  return config
