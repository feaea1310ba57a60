"""Measures what the forms and precisions of exported networks cost.

    python -m benchmarks.exported --workdir=weights/carvana.safetensors \\
        --manual_dir=FOLDER

The photos of the test cars go through each file in turn, on one thread of ONNX
Runtime. Dice is of masks at full size: those that the file's own probabilities
make, or for the form `network` those that `predict` makes of its logits. rembg
is not run; what it does before and after is done in its place. Times are CPU
time, of the network and what else is in its file. `sums in float16` is the
network with all of its arithmetic in float16, which `export` does not offer.
"""

from absl import flags

from carvana_jax.system import cli

if __name__ == '__main__':
  flags.DEFINE_string(
    'workdir', None, 'Folder of the run, or a .safetensors file.', required=True
  )
  flags.DEFINE_string(
    'manual_dir', None, "Folder of the Kaggle files. Default: the run's."
  )
  flags.DEFINE_string('data_dir', 'data', 'Where prepared data are kept.')
  flags.DEFINE_integer('every', 1, 'Takes every n-th photo.', lower_bound=1)
  cli.parse()

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import onnxruntime
from onnxruntime.transformers import float16
from PIL import Image

from carvana_jax.datasets import chosen_splits, folds, images, prepare, reading
from carvana_jax.exporting import onnx_file, onnx_forms, run_facts
from carvana_jax.exporting.options import Options
from carvana_jax.inference import networks, predictor
from carvana_jax.inference.prediction import Prediction
from carvana_jax.masks import from_logits
from carvana_jax.metrics import overlap
from carvana_jax.parallel import compilation_cache, devices
from carvana_jax.system import progress

_ROWS = (
  ('network', 'float32'),
  ('network', 'float16'),
  ('network', 'int8'),
  ('photo', 'float32'),
  ('photo', 'int8'),
  ('rembg', 'float32'),
)
_IN_FLOAT16 = ('network', 'sums in float16')


class _File(NamedTuple):
  """A file, and what was measured of it."""

  megabytes: float
  ask: Callable[[Prediction], np.ndarray]  # a photo -> its mask, bool [H, W]
  milliseconds: list[float]
  dice: list[float]


def main() -> None:
  """Runs the command."""
  args = flags.FLAGS
  devices.use_all_cores()
  compilation_cache.use()
  nets = networks.load([args.workdir], tuned=False)
  config = nets.runs[0].config.data
  config.manual_dir = args.manual_dir or config.manual_dir
  config.data_dir = args.data_dir
  made = {row: _made(nets, *row) for row in _ROWS}
  made[_IN_FLOAT16] = float16.convert_float_to_float16(
    made['network', 'float32'], keep_io_types=True
  )
  measured = {row: _file(nets, row[0], x) for row, x in made.items()}
  builder = prepare.for_scoring(config)
  part = folds.select(builder, 'test', chosen_splits.of(config))
  _measure(nets, builder, part, list(measured.values()), args.every)
  print(_table(measured))


def _made(nets, form, precision):
  """Returns a model as `export` writes it."""
  run = nets.runs[0]
  about = run_facts.of(run, nets, Options('', form, precision))
  model = onnx_file.network_of(nets, run, about, None)
  return model if form == 'network' else onnx_forms.of(form, model, about)


def _file(nets, form, model):
  """Loads a model that nothing was measured of yet."""
  content = model.SerializeToString()
  options = onnxruntime.SessionOptions()
  options.intra_op_num_threads = 1
  options.log_severity_level = 3
  session = onnxruntime.InferenceSession(
    content, options, providers=['CPUExecutionProvider']
  )
  level = from_logits.level_of(nets.masking.threshold)
  times = []

  def timed(function):
    start = time.process_time()
    result = function()
    times.append(1000 * (time.process_time() - start))
    return result

  def of_network(prediction):
    image = prediction.given.inputs[0].image[None]
    logits = timed(lambda: session.run(['logits'], {'image': image})[0][0])
    return prediction._replace(logits=(logits,)).levels() >= level

  def of_photo(prediction):
    photo = prediction.given.photo
    found = timed(lambda: onnx_forms.ask(session, form, photo))
    return found >= from_logits.threshold_of(level)

  def of_rembg(prediction):
    small = onnx_forms.as_rembg(prediction.given.photo)
    found = timed(lambda: onnx_forms.ask(session, form, small))
    found = (found - found.min()) / np.ptp(found)
    mask = Image.fromarray((found * 255).astype(np.uint8))
    size = prediction.given.size[::-1]
    return np.asarray(mask.resize(size, Image.Resampling.LANCZOS)) >= 128

  ask = {'network': of_network, 'photo': of_photo, 'rembg': of_rembg}[form]
  return _File(len(content) / 1e6, ask, times, [])


def _measure(nets, builder, part, measured, every):
  """Asks every file about every photo, photo by photo."""
  source = reading.undecoded_examples(builder, part.split)
  chosen = [int(x) for x in part.positions[::every]]
  given = predictor.inputs(
    [[x] for x in chosen],
    lambda x: images.decode_photo(source[x]['image']),
    nets.data_configs,
    keep_photos=True,
  )
  photos = progress.bar(given, total=len(chosen), unit='photo')
  for number, (position, item) in enumerate(photos):
    truth = images.decode_mask(source[position]['mask']) > 127
    first = number % len(measured)  # what comes first takes longer
    for file in measured[first:] + measured[:first]:
      mask = file.ask(Prediction((), item))
      file.dice.append(overlap.mask_scores(mask, truth)['dice'])


def _table(measured):
  """Returns the table of benchmarks/README.md."""
  best = measured[_ROWS[0]]
  lines = [
    '| form | precision | MB | ms | Dice | worst | to float32 |',
    '|---|---|---|---|---|---|---|',
  ]
  for (form, precision), file in measured.items():
    dice = np.array(file.dice)
    change = np.mean(dice - best.dice)
    lines.append(
      f'| {form} | {precision} | {file.megabytes:.1f} | '
      f'{statistics.median(file.milliseconds):.0f} | {dice.mean():.5f} | '
      f'{dice.min():.5f} | {change:+.5f} |'
    )
  return '\n'.join([f'{len(best.dice)} photos', *lines])


if __name__ == '__main__':
  cli.run(main)
