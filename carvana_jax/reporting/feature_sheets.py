"""Sheets of what a network computes: its layers, channels and saliency."""

import pathlib

import jax
import numpy as np

from carvana_jax.datasets import images, prepare
from carvana_jax.datasets.names import is_own
from carvana_jax.inference import finding, folders, photos, predictor
from carvana_jax.metrics import overlap
from carvana_jax.models import layer_table
from carvana_jax.reporting import feature_colours, feature_maps
from carvana_jax.system import contact_sheet, files
from carvana_jax.system.errors import UserError
from carvana_jax.training import trained_run

_MOST_CHANNELS = 64  # on a sheet
_BORDER = (255, 80, 0)  # colour of the border on the photo


def write(
  run: trained_run.Run, photo: pathlib.Path, output: pathlib.Path
) -> list[pathlib.Path]:
  """Writes the sheets of one photo.

  Args:
    run: a trained network.
    photo: the file of the photo; the other views of its car are beside it.
    output: the folder to write to, which is made if missing.

  Returns:
    The files: overview.png, saliency.png and NN_LAYER.png for each layer.

  Raises:
    UserError: a picture or the photo is there already, a photo can't be read,
      or a layer's values are not finite.
  """
  shape = prepare.input_shape(run.config.data)
  names = feature_maps.layers_to_show(layer_table.layers(run.model, shape))
  paths = [output / f'{file}.png' for file in _files(names)]
  for path in paths:
    if path.exists():
      raise UserError(f'{path} exists; choose another --output.')
  if folders.identity(output) == folders.identity(photo.parent):
    raise UserError(
      f'{output} holds the photo, and pictures would be taken for photos; '
      'choose another --output.'
    )
  files.check_folder(output)
  image = _input(photo, run.config.data) / np.float32(255)
  outputs, logits = feature_maps.capture(run.model, run.variables, image, names)
  _refuse_not_finite(outputs, run.step)
  output.mkdir(parents=True, exist_ok=True)
  sheets = _sheets(run, image, outputs, logits)
  for path, sheet in zip(paths, sheets, strict=True):
    files.write(path, images.encode_png(sheet))
  return paths


def _files(names):
  """Names of the pictures, in the order of `_sheets`."""
  numbered = enumerate(name.replace('/', '_') for name in names)
  return ['overview', 'saliency', *(f'{i:02}_{name}' for i, name in numbered)]


def _input(path, data_config):
  """What the network is given of the photo, uint8 [h, w, C]."""
  if not path.is_file():
    raise UserError(
      f'{path} is no file{files.absence(path)}; give --image one photo.'
    )
  photo, *more = finding.look(str(path))[0]
  if more:
    raise UserError(f'{path} holds several photos; give --image one of them.')
  car = _car(photo, path, data_config) if data_config.multiview else [photo]
  given = predictor.inputs([car], photos.Photo.pixels, [data_config])
  return next(g for p, g in given if p.name == photo.name).inputs[0].image


def _car(photo, path, data_config):
  """The views of the photo's car, which are beside it."""
  beside, _ = finding.look(str(path.parent))
  pattern = data_config.groups if is_own(data_config.dataset) else None
  cars = photos.group_by_car(beside, True, lambda x: x.file, pattern)
  own = (car for car in cars if photo.file in {x.file for x in car})
  return next(own, [photo])


def _refuse_not_finite(outputs, step):
  for name, features in outputs.items():
    if not np.isfinite(features).all():
      raise UserError(
        f'the checkpoint of step {step} is of no use: its layer {name} gives '
        'NaN or infinity; train again in another --workdir with a lower '
        'config.optimizer.learning_rate or config.optimizer.clip_norm.'
      )


def _sheets(run, image, outputs, logits):
  """Yields the pictures of an image [h, w, C] in 0..1, uint8 [H, W, 3] each."""
  probability = np.asarray(jax.nn.sigmoid(logits))
  mask = np.asarray(overlap.hard_masks(logits, run.config.eval.threshold))
  yield _overview(image, outputs, probability, mask)
  border = feature_maps.unsure_pixels(probability, mask)
  gradient = feature_maps.saliency(run.model, run.variables, image, border)
  yield _saliency(image, border, gradient)
  for name, features in outputs.items():
    yield _channels(name, features)


def _overview(image, outputs, probability, mask):
  """Input, every layer as one tile, probability and mask."""
  parts = _parts(image)
  labels = [f'{name}\n{_shape(part)}' for name, part in parts.items()]
  pictures = [_rgb(part) for part in parts.values()]
  for name, features in outputs.items():
    labels.append(f'{name}\n{_shape(features)}')
    pictures.append(feature_colours.principal_components(features))
  labels += [f'{x}\n{_shape(mask)}' for x in ('probability', 'mask')]
  pictures += [feature_colours.grey(probability), feature_colours.grey(mask)]
  caption = (
    'Every layer with its height, width and channels. Colours are the first '
    'three principal components of its channels.'
  )
  return contact_sheet.sheet(pictures, labels, caption)


def _channels(name, features):
  """Every channel of a layer [h, w, C], or those that vary most."""
  numbers = _most_varied(features)
  caption = f'{name}, {_shape(features)}'
  if len(numbers) < features.shape[-1]:
    caption += f': the {len(numbers)} channels that vary most'
  caption += '\nEach over its own range. Blue: below zero, lost in a ReLU.'
  pictures = [feature_colours.signed_channel(features[..., i]) for i in numbers]
  return contact_sheet.sheet(pictures, [str(i) for i in numbers], caption)


def _most_varied(features):
  """Numbers of the channels that vary most, rising."""
  falling = np.argsort(-features.var(axis=(0, 1)), stable=True)
  return np.sort(falling[:_MOST_CHANNELS])


def _saliency(image, border, gradient):
  """The photo with its border, and how much each pixel matters to it."""
  photo = _rgb(image[..., :3])
  photo[border] = _BORDER
  parts = {name: part.max(-1) for name, part in _parts(gradient).items()}
  # A few peaks would leave all else in the dark. 0 where there is no border.
  bright = max(np.percentile(list(parts.values()), 99.5), 1e-12)
  labels = [f'photo and the {border.sum()} pixels of the border']
  labels += [f'saliency of the {name}' for name in parts]
  pictures = [photo]
  pictures += [feature_colours.grey(part / bright) for part in parts.values()]
  caption = 'How much a pixel of the input changes the logits of the border.'
  return contact_sheet.sheet(pictures, labels, caption)


def _parts(pixels):
  """The input's colours and, if it has them, differences between views."""
  parts = np.split(pixels, pixels.shape[-1] // 3, axis=-1)
  return dict(zip(('photo', 'difference'), parts, strict=False))


def _rgb(pixels):
  """[h, w, 3] in 0..1 -> uint8."""
  return np.rint(255 * pixels).astype(np.uint8)


def _shape(pixels):
  return 'x'.join(map(str, pixels.shape))
