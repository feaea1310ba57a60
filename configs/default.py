"""Every field of a config, with the values that hold unless overridden.

Only `model` has others where its name is not unet: see cnn256, vgg19_unet512.

The other files in this folder change a few of them, and the command line any:

    python -m carvana_jax.main --config=configs/studio.py \\
        --config.train.epochs=5 --config.data.size=256x256
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
  """A U-Net at 128x192 with the training that suits most sizes."""
  config = ConfigDict()

  config.seed = 0  # of parameters, data order, augmentation and dropout

  config.data = data = ConfigDict()
  # carvana (the challenge's photos), studio (rendered ones) or folder (your own
  # photos and masks).
  data.dataset = 'carvana'
  # HEIGHTxWIDTH that the network sees; '': suggested by the shape of the photos
  # of a folder.
  data.size = '128x192'
  # How photos of another shape are brought to that size: stretch, or pad with
  # their edges repeated.
  data.fit = 'stretch'
  # HEIGHTxWIDTH of the final evaluation; '' is the data set's own full size:
  # 1280x1918 for carvana, 256x384 for studio, each photo's own for folder.
  data.full_size = ''
  data.data_dir = 'data'  # where prepared data sets are kept
  # Folder of the Kaggle files, or of your own photos and masks; '':
  # DATA_DIR/manual.
  data.manual_dir = ''
  # Of your own photos, which show the same object, as these go to one split: ''
  # to guess it by names and folders, photo for none, folder for those of a
  # folder, or a regular expression whose first group names the object. For
  # evaluation alone: unsplit, with all photos in the split test.
  data.groups = ''
  # What follows a photo's name in that of its mask; '': found by itself.
  data.mask_ending = ''
  # Which values or colours of your masks are the object, such as 1,2 or
  # #ff0000; needed where masks hold three or more.
  data.object_values = ''
  # Bring masks of another size, but the same shape, to that of their photos.
  data.resize_masks = False
  # Cut photos to the car and add, as three more channels, how they differ from
  # the median over the car's views; needs several photos of a car.
  data.multiview = False
  # Folder of NAME_probability.png of all labelled photos; the network is then
  # shown tiles of the full size along the border in there. `refine` sets it.
  data.coarse = ''
  # Add to such tiles, as four more channels, how they differ from the empty
  # studio, which the views of a car show together.
  data.empty_studio = False
  # The cars of these folds are for validation; fold 0 is the test split, and
  # all other folds are for training. `crossval` sets it.
  data.validation_folds = (1,)
  # Instead, shares of cars for train, validation and test, in whole numbers
  # such as (80, 10, 10); (190, 64, 64) of 318 cars are so many. () : folds.
  data.split_shares = ()
  data.split_seed = 0  # another one gives other cars to the splits of shares
  # What is split by shares, car or photo. By photo, views of one car are
  # trained on and scored, as in some publications: scores are then too high.
  data.split_by = 'car'
  # Use only so many cars, the first by their ids, or photos by their names
  # where these are split; 0: all.
  data.first = 0
  # Also prepare photos without masks, such as the challenge's test photos.
  data.unlabeled = False
  # Folder of NAME_probability.png, made by predict from the unlabeled photos;
  # those photos are trained on as well. '': none.
  data.pseudo_labels = ''
  data.kaggle = False  # fetch missing files with the Kaggle client

  config.model = model = ConfigDict()
  model.name = 'unet'  # unet, cnn or vgg_unet, which have other fields
  model.levels = 5  # resolutions, so levels - 1 poolings
  model.first_width = 16  # channels at full resolution, doubled a level
  model.widths = ()  # channels of all levels, () : first_width and doubled
  # patch x patch pixels become channels at the start and pixels at the end.
  model.patch = 1
  model.encoder_convs = 2  # 3x3 convolutions a level on the way down
  model.decoder_convs = 2  # and on the way up
  model.norm = 'batch'  # none, batch or group
  # Whether convolutions before batch normalisation have a bias, as published
  # networks do: without any effect, as the mean is taken off.
  model.conv_bias = True
  model.norm_momentum = 0.9  # share of the old statistics in batch's averages
  model.norm_epsilon = 1e-5  # that batch adds to the variance
  # How kernels start: lecun_normal, glorot_uniform (Keras's own), he_normal or
  # normal (of std 0.02).
  model.kernel_init = 'lecun_normal'
  model.upsampling = 'nearest'  # nearest, nearest_conv, projected or transposed
  model.dropout = 0.0  # rate
  model.dropout_levels = ()  # encoder levels that end in dropout, 0: the top
  model.head_width = 0  # channels of a conv + ReLU before the last, 0: none
  model.dtype = 'float32'  # of the computation: float32 or bfloat16

  # On the device; limits are those of a uniform choice, 0 turns a change off.
  config.augment = augment = ConfigDict()
  augment.flip_left_right = True  # with probability 1/2
  augment.flip_up_down = False  # with probability 1/2
  augment.rotation = 0.0  # degrees either way
  augment.scale = 0.0  # 0.1: 0.9 to 1.1 times as large
  augment.stretch = 0.0  # 0.1: height times 0.9 to 1.1, width divided
  augment.shift = 0.0  # share of height and of width, either way
  augment.brightness = 0.0  # added, for pixels in 0..1
  augment.contrast = 0.0  # 0.1: 0.9 to 1.1 times
  augment.saturation = 0.0  # 0.1: 0.9 to 1.1 times
  augment.hue = 0.0  # of a full turn of 1
  augment.gray = 0.0  # probability of losing all colour
  augment.repaint = 0.0  # probability that the car alone changes its colour
  augment.hide_studio = 0.0  # probability of not being shown the empty studio
  augment.clip = True  # whether changed colours are kept within 0..1

  config.optimizer = optimizer = ConfigDict()
  # adam, keras_adam (whose epsilon counts more at first), adamw, muon (on
  # kernels, adam on all else) or sgd (Nesterov, momentum 0.9).
  optimizer.name = 'adamw'
  optimizer.learning_rate = 3e-3  # at its peak
  optimizer.schedule = 'one_cycle'  # constant, cosine or one_cycle
  optimizer.warmup = 0.3  # share of the steps before one_cycle's peak
  optimizer.epsilon = 1e-8  # in the denominator of Adam; Keras has 1e-7
  optimizer.weight_decay = 1e-4  # adamw and muon only
  optimizer.clip_norm = 1.0  # largest norm of the gradient, 0: unlimited

  config.train = train = ConfigDict()
  train.batch_size = 16  # on all devices together
  # Micro-batches that a batch is split into on each device: less memory for
  # the same gradient. Batch normalisation sees a micro-batch at a time, and
  # dropout draws anew for each.
  train.accumulate = 1
  train.epochs = 20
  # Folder of a run whose network is started from; '': start anew. What has the
  # same name and shape is taken.
  train.init_from = ''
  train.init_rate = 1.0  # times the learning rate, for what was taken
  # Layers that stay as they start, such as 'down*' or 'down0*,up0*'; '': none.
  train.freeze = ''
  train.max_minutes = 0.0  # stop training after that time, 0: never
  train.loss = 'bce_dice'  # bce, dice, bce_dice or border_bce_dice
  train.average_decay = 0.98  # moving average of the variables, 0: none
  train.monitor = 'dice'  # of validation, picks the best: dice or loss
  train.patience = 0  # stop after so many epochs without a better one, 0: never
  # Steps whose loss or gradient is not finite change nothing; so many in a row
  # end the run.
  train.max_skipped = 10
  # Sample predictions before the first step and every so many epochs, 0: never.
  train.picture_epochs = 5

  config.eval = ConfigDict()
  # On all devices together, of predictions at full size; with several networks
  # that of the first one counts.
  config.eval.batch_size = 16
  config.eval.threshold = 0.5  # pixels of at least this probability are car
  config.eval.flip = False  # average logits with those of the mirrored photo
  # Cleaning of masks, at full size. Evaluating the validation split tells which
  # is best there; `--tuned` applies it.
  config.eval.fill_holes = False  # a hole in a car becomes car
  config.eval.keep_largest = False  # all but the largest part is background
  # Added to both sides of the fractions Dice and IoU while training, by no
  # evaluation; 0: exact.
  config.eval.smooth = 0.0

  return config
