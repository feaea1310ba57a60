"""Trains a network a fold, and chooses on photos of cars that it never saw.

    python -m carvana_jax.crossval --config=configs/studio.py --workdir=runs/cv
    python -m carvana_jax.predict --workdir=runs/cv --tuned --input=photos \\
        --output=masks

The cars of the train and validation splits are grouped into --folds parts by
their ids. Run i, an ordinary one in WORKDIR/fold_i, validates on part i and
trains on the others; the test split is neither trained nor chosen on. So every
photo but the test split's is scored by the one network that has not seen its
car: WORKDIR/out_of_fold/images.csv. Flip, threshold and cleaning are those that
are best there; WORKDIR/crossval.json has them, and what the networks and the
mean of their logits reach on the test split. `predict` and `submit` take
WORKDIR for all of its networks, and with --tuned what was chosen.

--pseudo_labels adds a second stage: the first one's networks write their
probabilities of the unlabeled photos into WORKDIR/pseudo_labels, and
WORKDIR/stage2 cross-validates networks that are trained on these as well. Give
--config.data.unlabeled=True from the first call on if there may be a second
stage, as runs with other data are refused. The second stage's scores on the
test split are as independent as the first one's. Those out of fold are not
quite: the photos with pseudo-labels are of other cars, but all but one of the
networks that made them have seen the cars that a run of stage two validates on.
So the second stage's are to choose with, and its gain is that on the test
split.

Started again with the same command, it goes on where it was.
"""

from absl import flags
from ml_collections import config_flags

from carvana_jax.system import cli, malloc

if __name__ == '__main__':
  config_flags.DEFINE_config_file(
    'config', None, 'A file of configs/.', lock_config=True
  )
  flags.DEFINE_string(
    'workdir', None, 'Where the runs are kept.', required=True
  )
  flags.DEFINE_integer(
    'folds', 5, 'How many networks.', lower_bound=2, upper_bound=9
  )
  flags.DEFINE_bool(
    'pseudo_labels',
    False,
    'Train again, on the unlabeled photos as well; needs '
    '--config.data.unlabeled=True.',
  )
  flags.DEFINE_bool(
    'save_probabilities',
    False,
    'Also write out_of_fold/NAME_probability.png, 0..255.',
  )
  cli.parse()
  malloc.keep_freed()

import io
import pathlib

import numpy as np
import tensorflow_datasets as tfds
from ml_collections import ConfigDict

from carvana_jax import evaluate, predict
from carvana_jax.datasets import folds, prepare, pseudo_labels, reading
from carvana_jax.inference import networks, output_folder, photos, products
from carvana_jax.masks import cleaning
from carvana_jax.parallel import compilation_cache
from carvana_jax.system import files
from carvana_jax.system.errors import UserError
from carvana_jax.training import (
  check_config,
  checkpoint,
  crossval_folder,
  loop,
  run_folder,
)
from carvana_jax.workflows import ensemble_scores, gains, out_of_fold


class Stage:
  """A cross-validation in a folder."""

  def __init__(self, config: ConfigDict, folder: pathlib.Path, count: int):
    """Prepares the data, if need be, and refuses what would fail late.

    Args:
      config: of every run, but for `data.validation_folds`.
      folder: for its results.
      count: of folds.

    Raises:
      UserError: the config can't be run, a fold would have no car, or the
        folder holds something else, such as runs of another config.
    """
    check_config.check(config)
    check_config.refuse_tiles(config)
    if tuple(config.data.validation_folds) != folds.OWN:
      raise UserError(
        f'config.data.validation_folds={tuple(config.data.validation_folds)} '
        'is set by --folds; leave it out.'
      )
    files.check_folder(folder, '--workdir')
    if (folder / 'config.json').exists():
      raise UserError(
        f'{folder} holds a run of its own; choose another --workdir.'
      )
    self.folder = folder
    self.folders = crossval_folder.folders(folder, count)
    present = folds.present(prepare.for_network(config.data))
    self.configs = []
    for group, place in zip(
      crossval_folder.groups(count, present), self.folders, strict=True
    ):
      own = config.copy_and_resolve_references()
      own.data.validation_folds = group
      run_folder.refuse_other_config(own, place)
      self.configs.append(own)

  def finish(self, save_probabilities: bool) -> dict | None:
    """Trains, chooses and scores; or does what of it is left to do.

    Returns:
      What crossval.json holds then; None: training was interrupted.
    """
    runs = []
    for config, folder in zip(self.configs, self.folders, strict=True):
      print(f'\n{folder.name} of {len(self.folders)}', flush=True)
      if not loop.train(config, folder):
        return None
      run = checkpoint.load(folder)
      if networks.evaluated(folder, run) is None:
        evaluate.evaluate(run, config.data, 'validation', folder)
      runs.append(run)
    builder = prepare.for_scoring(self.configs[0].data)
    choice, rows = self._choose(runs, builder, save_probabilities)
    part = folds.part(builder, 'test')
    place = self.folder / 'ensemble' / 'test.npz'
    scores = ensemble_scores.measure(runs, choice, builder, part, place)
    found = {
      'folds': len(runs),
      'validation_folds': [x.data.validation_folds for x in self.configs],
      'networks': [run.digest() for run in runs],
      'flip': choice.flip,
      'best_threshold': choice.threshold,
      'best_cleaning': choice.cleaning,
      'dataset': builder.info.full_name,
      'size': prepare.full_size(self.configs[0].data),
      'out_of_fold': gains.on_folds(rows, choice),
      'test': gains.on_test(scores, choice),
    }
    crossval_folder.write(self.folder, found)
    return found

  def _choose(self, runs, builder, save_probabilities):
    """The choice and the rows of images.csv, which are written."""
    place = self.folder / 'out_of_fold'
    parts = [
      folds.part(builder, 'validation', config.data.validation_folds)
      for config in self.configs
    ]
    numbered = list(enumerate(zip(runs, parts, strict=True), 1))
    scores = [
      out_of_fold.measure(run, builder, part, place / f'dice_{number}.npz')
      for number, (run, part) in numbered
    ]
    flip, threshold = out_of_fold.best_flip(scores)
    by_way = np.concatenate([
      out_of_fold.measure_cleaning(
        run.with_flip(flip), builder, part, threshold,
        place / f'cleaning_{number}.npz',
      )
      for number, (run, part) in numbered
    ])  # fmt: skip
    way = int(by_way.mean(0).argmax())  # of equally good ones the least
    choice = out_of_fold.Choice(flip, threshold, list(cleaning.WAYS)[way])
    rows = out_of_fold.rows(scores, threshold, by_way[:, way])
    files.write(place / 'images.csv', evaluate.csv_text(rows))
    if save_probabilities:
      for number, (run, part) in numbered:
        out_of_fold.save_probabilities(
          run.with_flip(flip), builder, part, place / f'saved_{number}.npz'
        )
    return choice, rows


def label(
  nets: networks.Networks,
  builder: tfds.core.DatasetBuilder,
  origin: str,
  output: pathlib.Path,
) -> None:
  """Writes probabilities of a data set's unlabeled photos, as `predict` does.

  Args:
    nets: the networks.
    builder: the prepared data set of the full size.
    origin: its `prepare.identity`.
    output: a folder; what is there already is kept.
  """
  source = reading.undecoded(builder, pseudo_labels.SPLIT)

  def photo(position, row):
    name = row['filename'].decode()
    open_ = lambda: io.BytesIO(source[position]['image'])
    return photos.Photo(name, f'{builder.data_path}: {name}', open_)

  found = [photo(*pair) for pair in enumerate(source)]
  by_file = {photo.file: photo for photo in found}
  cars = output_folder.cars(list(by_file), nets.multiview)
  output_folder.claim(output, nets.identity() | {'data': origin})
  predict.predict(
    nets,
    [[by_file[file] for file in car] for car in cars],
    output,
    products.Wanted(probability=True),
    strict=True,
  )


def crossval(
  config: ConfigDict,
  folder: pathlib.Path,
  count: int,
  labelled: bool,
  save_probabilities: bool,
) -> list[dict]:
  """Cross-validates, or does what of it is left to do.

  Args:
    config: of every run.
    folder: for all results.
    count: of folds.
    labelled: whether there is a second stage, with pseudo-labels.
    save_probabilities: whether to write those of the photos out of fold.

  Returns:
    What the crossval.json of each stage holds; of fewer stages where training
    was interrupted.
  """
  stages = [Stage(config, folder, count)]
  output = folder / 'pseudo_labels'
  if labelled:
    config = config.copy_and_resolve_references()
    config.data.pseudo_labels = str(output)
    stages.append(Stage(config, folder / 'stage2', count))
    pseudo_labels.refuse_none(prepare.for_scoring(config.data))
  results = []
  for stage in stages:
    if results:
      builder = prepare.for_scoring(config.data)
      origin = prepare.identity(config.data, builder)
      label(networks.load([str(folder)], tuned=True), builder, origin, output)
    found = stage.finish(save_probabilities)
    if found is None:
      break
    results.append(found)
  return results


def main() -> None:
  """The command line."""
  args = flags.FLAGS
  folder = pathlib.Path(args.workdir).expanduser().absolute()
  loop.use_cores(args.config)
  compilation_cache.use()
  results = crossval(
    args.config,
    folder,
    args.folds,
    args.pseudo_labels,
    args.save_probabilities,
  )
  if len(results) < 1 + args.pseudo_labels:
    print('interrupted and saved; the same command goes on from here')
    return
  titles = ('', '; stage 2, with pseudo-labels')
  for title, found in zip(titles, results, strict=False):
    print(
      f'\n{found["dataset"]}, {found["folds"]} folds, scored at '
      f'{found["size"]}{title}'
    )
    print(gains.table(found))
  print(f'written to {folder}')


if __name__ == '__main__':
  cli.run(main)
