"""Trial, to be written."""

from configs import default


def get_config():
  """Trial, to be written."""
  config = default.get_config()
  config.data.size = '512x768'
  config.data.manual_dir = '../shared/carvana'
  config.data.data_dir = '/tmp/inp/data'
  config.model.patch = 4
  config.model.widths = (32, 64, 96, 128, 192)
  config.model.encoder_convs = 2
  config.model.decoder_convs = 1
  config.model.upsampling = 'projected'
  config.train.batch_size = 8
  config.train.epochs = 8
  config.train.picture_epochs = 0
  config.optimizer.learning_rate = 4e-3
  config.eval.batch_size = 8
  return config
