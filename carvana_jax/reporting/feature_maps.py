"""What a network computes on its way to a mask, and what the border rests on.

All of it for one image, in inference mode.
"""

import collections
import itertools
import pathlib
from collections.abc import Container, Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from carvana_jax.datasets import images, prepare
from carvana_jax.inference import photos, predictor
from carvana_jax.metrics import border, overlap
from carvana_jax.models import layer_table
from carvana_jax.system import contact_sheet, files
from carvana_jax.system.errors import UserError
from carvana_jax.training import trained_run

_BAND = (0.1, 0.9)  # probabilities between which a pixel is of the border


def stages(layers: Sequence[layer_table.Layer]) -> list[str]:
  """Names of the layers that are worth a look, in the order of their calls.

  A layer that a norm follows is not: the norm moves and scales each of its
  channels, so they would look alike.
  """
  kinds = [layer.kind for layer in layers[1:]]
  pairs = itertools.zip_longest(layers, kinds)
  return [layer.name for layer, following in pairs if following != 'norm']


def capture(
  model: nn.Module, variables, image: np.ndarray, names: Container[str]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
  """Runs the network once and keeps what its layers put out.

  Outputs are those of the layers themselves: a ReLU, which is no layer in
  Linen, comes after them.

  Args:
    model: a Linen network.
    variables: its parameters and statistics.
    image: [h, w, C], in 0..1.
    names: of layers, as in `layer_table.layers`.

  Returns:
    The layers' outputs float32 [h', w', c], in the order of their calls, and
    the network's logits [h, w].
  """

  @jax.jit
  def forward(variables, image):
    # A plain dict would come back sorted by name.
    outputs = collections.OrderedDict()

    def remember(call, args, kwargs, context):
      output = call(*args, **kwargs)
      name = '/'.join(context.module.scope.path)
      if name in names and context.method_name == '__call__':
        outputs[name] = output[0].astype(jnp.float32)
      return output

    with nn.intercept_methods(remember):
      logits = model.apply(variables, image[None], train=False)
    return outputs, logits[0]

  return jax.device_get(forward(variables, image))


def doubtful(probability: np.ndarray, mask: np.ndarray) -> np.ndarray:
  """The pixels of which the network is unsure; if of none, the mask's border.

  Args:
    probability: of car, [h, w].
    mask: bool [h, w].

  Returns:
    bool [h, w]. The mask's border is `border.border_pixels`, which may be
    empty.
  """
  low, high = _BAND
  unsure = (probability > low) & (probability < high)
  if unsure.any():
    return unsure
  return border.border_pixels(mask)


def saliency(
  model: nn.Module, variables, image: np.ndarray, where: np.ndarray
) -> np.ndarray:
  """How much each number of the input changes the logits of some pixels.

  The gradient's absolute value, as of Simonyan et al. 2013 ("Deep inside
  convolutional networks"), for the sum of those logits.

  Args:
    model: a Linen network.
    variables: its parameters and statistics.
    image: [h, w, C], in 0..1.
    where: bool [h, w], the pixels.

  Returns:
    float32 [h, w, C], from 0 on.
  """

  @jax.jit
  @jax.grad
  def gradient(image, variables):
    logits = model.apply(variables, image[None], train=False)[0]
    return jnp.sum(jnp.where(where, logits, 0))

  return np.abs(gradient(image, variables))


_MOST_CHANNELS = 64  # on a sheet
_BORDER = (255, 80, 0)  # its colour on the photo


def draw(
  run: trained_run.Run, photo: pathlib.Path, output: pathlib.Path
) -> list[pathlib.Path]:
  """Writes the pictures of a photo into a folder, which is made if missing.

  Raises:
    UserError: a picture is there already, a photo can't be read, or a layer's
      values are not finite.
  """
  shape = prepare.input_shape(run.config.data)
  names = stages(layer_table.layers(run.model, shape))
  paths = [output / f'{file}.png' for file in _files(names)]
  for path in paths:
    if path.exists():
      raise UserError(f'{path} exists; choose another --output.')
  files.check_folder(output)
  image = _input(photo, run.config.data) / np.float32(255)
  outputs, logits = capture(run.model, run.variables, image, names)
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
    raise UserError(f'{path} is no file; give --image one photo.')
  (photo,) = photos.find(str(path))
  car = _car(photo, path) if data_config.multiview else [photo]
  given = predictor.inputs([car], photos.Photo.pixels, [data_config])
  return next(g for p, g in given if p.name == photo.name).inputs[0].image


def _car(photo, path):
  """The views of the photo's car, which are beside it."""
  beside = {x.file: x for x in photos.find(str(path.parent))}
  cars = photos.group_by_car(list(beside), together=True)
  car = next(car for car in cars if photo.file in car)
  return [beside[file] for file in car]


def _refuse_not_finite(outputs, step):
  for name, features in outputs.items():
    if not np.isfinite(features).all():
      raise UserError(
        f'the checkpoint of step {step} is of no use: its layer {name} gives '
        'NaN or infinity; train again in another --workdir with a lower '
        'config.optimizer.learning_rate or config.optimizer.clip_norm.'
      )


def _sheets(
  run: trained_run.Run,
  image: np.ndarray,
  outputs: Mapping[str, np.ndarray],
  logits: np.ndarray,
) -> Iterator[np.ndarray]:
  """The pictures of an image [h, w, C] in 0..1, uint8 [H, W, 3] each."""
  probability = np.asarray(jax.nn.sigmoid(logits))
  mask = np.asarray(overlap.hard(logits, run.config.eval.threshold))
  yield _overview(image, outputs, probability, mask)
  border = doubtful(probability, mask)
  gradient = saliency(run.model, run.variables, image, border)
  yield _saliency(image, border, gradient)
  for name, features in outputs.items():
    yield _channels(name, features)


def _overview(
  image: np.ndarray,
  outputs: Mapping[str, np.ndarray],
  probability: np.ndarray,
  mask: np.ndarray,
) -> np.ndarray:
  """Input, every layer as one tile, probability and mask."""
  shown = {name: _rgb(part) for name, part in _parts(image).items()}
  labels = [f'{name}\n{_shape(image[..., :3])}' for name in shown]
  pictures = list(shown.values())
  for name, features in outputs.items():
    labels.append(f'{name}\n{_shape(features)}')
    pictures.append(principal(features))
  labels += [f'{x}\n{_shape(mask)}' for x in ('probability', 'mask')]
  pictures += [gray(probability), gray(mask)]
  caption = (
    'Every layer with its height, width and channels. Colours are the first '
    'three principal components of its channels.'
  )
  return contact_sheet.sheet(pictures, labels, caption)


def _channels(name: str, features: np.ndarray) -> np.ndarray:
  """Every channel of a layer [h, w, C], or those that vary most."""
  numbers = _most_varied(features)
  caption = f'{name}, {_shape(features)}'
  if len(numbers) < features.shape[-1]:
    caption += f': the {len(numbers)} channels that vary most'
  caption += '\nEach over its own range. Blue: below zero, lost in a ReLU.'
  pictures = [signed(features[..., i]) for i in numbers]
  return contact_sheet.sheet(pictures, [str(i) for i in numbers], caption)


def _most_varied(features):
  """Numbers of the channels that vary most, rising."""
  falling = np.argsort(-features.var(axis=(0, 1)), stable=True)
  return np.sort(falling[:_MOST_CHANNELS])


def _saliency(
  image: np.ndarray, border: np.ndarray, gradient: np.ndarray
) -> np.ndarray:
  """The photo with its border, and how much each pixel matters to it."""
  photo = _rgb(image[..., :3])
  photo[border] = _BORDER
  parts = {name: part.max(-1) for name, part in _parts(gradient).items()}
  # A few peaks would leave all else in the dark. 0 where there is no border.
  bright = max(np.percentile(list(parts.values()), 99.5), 1e-12)
  labels = [f'photo and the {border.sum()} pixels of the border']
  labels += [f'saliency of the {name}' for name in parts]
  pictures = [
    photo,
    *(gray(part / bright) for part in parts.values()),
  ]
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


# Red, green and blue of the brightest value.
_POSITIVE, _NEGATIVE = (1.0, 0.9, 0.75), (0.35, 0.6, 1.0)


def gray(values: np.ndarray) -> np.ndarray:
  """[h, w] -> uint8 [h, w, 3]; 0 and below is black, 1 and above white."""
  values = np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)
  return np.repeat(values[..., None], 3, axis=-1)


def signed(channel: np.ndarray) -> np.ndarray:
  """A channel, from black at its least value to bright at its largest.

  Values below zero are blue: a ReLU takes them away.

  Args:
    channel: [h, w].

  Returns:
    uint8 [h, w, 3]; all of it is bright where all values are equal.
  """
  low, high = channel.min(), channel.max()
  brightness = (channel - low) / (high - low) if high > low else channel * 0 + 1
  colours = np.where(channel[..., None] < 0, _NEGATIVE, _POSITIVE)
  return np.rint(255 * brightness[..., None] * colours).astype(np.uint8)


def principal(features: np.ndarray) -> np.ndarray:
  """All channels in one picture: pixels with like features have like colours.

  Red, green and blue are the first three principal components, each over its
  own range; with fewer channels than three, all of them are the first one.

  Args:
    features: [h, w, C].

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
