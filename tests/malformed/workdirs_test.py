"""Runs, checkpoints, weights and prepared data sets that are damaged."""

import functools
import json
import pathlib
import shutil

import h5py
import numpy as np
import orbax.checkpoint as ocp
import safetensors.numpy
from absl.testing import absltest

from carvana_jax.configs import debug, default
from carvana_jax.datasets import prepare
from tests.malformed.case import (
  CAR,
  Case,
  CaseTest,
  encoded,
  full_mask,
  full_photo,
  gradient,
  named,
  nothing,
  workdir,
  write,
  zipped,
)

PNG = encoded(gradient(), 'PNG')
PREDICT = 'predict --workdir=run --input=a.png --output=masks'
TRAIN_ONE = 'train one with python -m carvana_jax.main'
COPY = 'bring back a copy of that folder'


def run_with(spoil, with_checksums=True):
  """A run that was whole before `spoil(folder)`."""

  def make(root):
    write(root, 'a.png', PNG)
    shutil.copytree(workdir(), root / 'run')
    if not with_checksums:
      shutil.rmtree(root / 'run' / 'checksums')
    spoil(root / 'run')

  return make


def largest(folder):
  """The file with most of a checkpoint's numbers."""
  files = [x for x in folder.glob('checkpoints/0/**/*') if x.is_file()]
  return max(files, key=lambda path: path.stat().st_size)


def flip(path):
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 1
  path.write_bytes(data)


def cut(path):
  path.write_bytes(path.read_bytes()[:-20])


def cut_all(folder):
  for path in folder.glob('checkpoints/0/state/**/*'):
    if path.is_file():
      path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def remove_state(folder):
  shutil.rmtree(folder / 'checkpoints' / '0' / 'state')


def spoil_notes(folder):
  for path in (folder / 'checkpoints' / '0' / 'notes').iterdir():
    if path.is_file():
      path.write_text('{"config": ')


def other_notes(folder):
  notes = folder / 'checkpoints' / '0' / 'notes' / 'metadata'
  found = json.loads(notes.read_text())
  del found['config']['model']
  notes.write_text(json.dumps(found))


def spoil_metrics(folder):
  (folder / 'checkpoints' / '0' / 'metrics' / 'metrics').write_text('none')


def undefined(folder):
  """Makes the first number of the network's last layer NaN."""
  place = (folder / 'checkpoints' / '0' / 'state').absolute()
  with ocp.StandardCheckpointer() as checkpointer:
    state = checkpointer.restore(place)
    bias = state['average']['params']['logits']['bias']
    state['average']['params']['logits']['bias'] = np.full_like(bias, np.nan)
    shutil.rmtree(place)
    checkpointer.save(place, state)


def tuned(**entries):
  summary = {
    'step': 0, 'flip': False, 'source': 'studio', 'best_threshold': 0.5,
    'best_cleaning': 'none',
  } | entries  # fmt: skip
  return run_with(
    lambda folder: write(
      folder, 'evaluation/studio-validation/summary.json', json.dumps(summary)
    )
  )


WORKDIRS = [
  Case('predict_missing', lambda root: write(root, 'a.png', PNG), PREDICT,
       ('run holds no checkpoint', TRAIN_ONE)),
  Case('predict_of_a_file', lambda root: [
         write(root, 'a.png', PNG), write(root, 'run', '')], PREDICT,
       ('run holds no checkpoint', TRAIN_ONE)),
  Case('submit_missing', lambda root: write(root, 'a.png', PNG),
       'submit --workdir=run --input=a.png --output=s.csv',
       ('run holds no checkpoint', TRAIN_ONE)),
  Case('features_missing', nothing,
       'features --workdir=run --image=a.png --output=drawn',
       ('run holds no checkpoint', TRAIN_ONE)),
  Case('evaluate_missing', nothing, 'evaluate --workdir=run',
       ('run holds no checkpoint', TRAIN_ONE)),
  Case('evaluate_unfinished', lambda root: write(
         root, 'run/checkpoints/0.orbax-checkpoint-tmp-1/state', b''),
       'evaluate --workdir=run', ('run holds no finished checkpoint yet',)),
  Case('report_of_a_file', lambda root: write(root, 'run', ''),
       'report --workdir=run', ('run holds no run', 'start one')),
  Case('one_of_two', run_with(shutil.rmtree),
       'predict --workdir={run} --workdir=run --input=a.png --output=masks',
       ('run holds no checkpoint', TRAIN_ONE)),
  Case('wrong_bit', run_with(lambda x: flip(largest(x))), PREDICT,
       ('run/checkpoints are damaged', 'of step 0', 'not as it was written',
        COPY)),
  Case('cut_file', run_with(lambda x: cut(largest(x))), PREDICT,
       ('run/checkpoints are damaged', 'not as it was written', COPY)),
  Case('no_file', run_with(lambda x: largest(x).unlink()), PREDICT,
       ('run/checkpoints are damaged', 'is missing', COPY)),
  Case('damaged_checksums', run_with(
         lambda x: (x / 'checksums' / '0.json').write_text('{')), PREDICT,
       ('run/checkpoints are damaged', '0.json', COPY)),
  Case('no_state', run_with(remove_state, False), PREDICT,
       ('run/checkpoints cannot be read', COPY)),
  Case('cut_files_without_checksums', run_with(cut_all, False), PREDICT,
       ('run/checkpoints cannot be read', COPY)),
  Case('damaged_notes_without_checksums', run_with(spoil_notes, False), PREDICT,
       ('run/checkpoints cannot be read', COPY)),
  Case('notes_without_a_network', run_with(other_notes, False), PREDICT,
       ('run/checkpoints cannot be read', 'model', COPY)),
  Case('damaged_score_without_checksums', run_with(spoil_metrics, False),
       PREDICT, ('run/checkpoints cannot be read', COPY)),
  Case('nan_weights', run_with(undefined, False), PREDICT,
       ('run/checkpoints/0 has weights that are NaN', 'train again')),
  Case('nan_weights_for_evaluate', run_with(undefined, False),
       'evaluate --workdir=run', ('has weights that are NaN', 'train again')),
  Case('tuned_by_nothing', run_with(lambda x: None), f'{PREDICT} --tuned',
       ('holds no evaluation', 'leave out --tuned')),
  Case('tuned_by_words', tuned(best_threshold='high'), f'{PREDICT} --tuned',
       ('summary.json does not tell what was best', 'evaluate')),
  Case('tuned_by_nan', tuned(best_threshold=float('nan')), f'{PREDICT} --tuned',
       ('summary.json is damaged', 'remove it')),
  Case('tuned_by_2', tuned(best_threshold=2.0), f'{PREDICT} --tuned',
       ('summary.json does not tell what was best', 'evaluate')),
  Case('tuned_by_an_unknown_cleaning', tuned(best_cleaning=['x']),
       f'{PREDICT} --tuned',
       ('summary.json does not tell what was best', 'evaluate')),
  Case('settings_of_others', lambda root: [
         write(root, 'a.png', PNG),
         write(root, 'masks/settings.json', '{"threshold": 0.1}')],
       'predict --workdir={run} --input=a.png --output=masks',
       ('masks holds results of other settings', 'choose another --output')),
  Case('damaged_settings', lambda root: [
         write(root, 'a.png', PNG), write(root, 'masks/settings.json', '{')],
       'predict --workdir={run} --input=a.png --output=masks',
       ('masks/settings.json is damaged', 'remove it')),
  Case('damaged_settings_of_parts', lambda root: [
         write(root, 'a.png', PNG),
         write(root, 's.csv.parts/settings.json', '[]')],
       'submit --workdir={run} --input=a.png --output=s.csv',
       ('s.csv.parts/settings.json is damaged', 'remove it')),
  Case('train_on_a_damaged_config', lambda root: write(
         root, 'run/config.json', '{'),
       'main --config={configs}/debug.py --workdir=run'
       ' --config.data.data_dir=data', ('run/config.json is damaged',
       'remove it')),
  Case('train_on_another_config', lambda root: write(
         root, 'run/config.json', debug.get_config().to_json()),
       'main --config={configs}/debug.py --workdir=run'
       ' --config.train.epochs=9', ('run holds a run of another config',
       'train.epochs (2 there, 9 here)', 'Choose another --workdir')),
]  # fmt: skip

# Weights of VGG19.

VGG = (
  'main --config={configs}/vgg19_unet512.py --workdir=run'
  ' --config.data.data_dir=data --config.model.encoder_weights=weights'
)
KERAS = 'give the weights of VGG19 by Keras or torchvision'


def hdf5(root):
  with h5py.File(root / 'weights', 'w') as file:
    file['block1_conv1/kernel'] = np.zeros((3, 3, 3, 64), np.float32)


def nan_hdf5(root):
  with h5py.File(root / 'weights', 'w') as file:
    file['block1_conv1/kernel'] = np.full((3, 3, 3, 64), np.nan, np.float32)
    file['block1_conv1/bias'] = np.zeros(64, np.float32)


def safe(**tensors):
  tensors = {name.replace('_', '.'): x for name, x in tensors.items()}
  return safetensors.numpy.save(tensors)


KERNEL = np.zeros((64, 3, 3, 3), np.float32)
NAN = np.full((64, 3, 3, 3), np.nan, np.float32)
BIAS = np.zeros(64, np.float32)
WEIGHTS = [
  Case(f'weights_{title}', make, VGG, (*words,))
  for title, make, *words in (
    ('missing', nothing, 'weights cannot be read', KERAS),
    ('of_a_folder', lambda root: (root / 'weights').mkdir(),
     'weights cannot be read', KERAS),
    ('empty', lambda root: write(root, 'weights', b''),
     'weights is neither', KERAS),
    ('page', lambda root: write(root, 'weights', '<html>'),
     'weights is neither', KERAS),
    ('npy', lambda root: np.save((root / 'weights').open('wb'), BIAS),
     'weights is neither', KERAS),
    ('cut_hdf5', lambda root: [hdf5(root), cut(root / 'weights')],
     'weights is damaged', 'download it again'),
    ('of_one_layer', hdf5, 'weights', 'block1_conv1', KERAS),
    ('nan_hdf5', nan_hdf5, 'weights has infinite or undefined values in '
     'block1_conv1', 'download it again'),
    ('zip', lambda root: write(root, 'weights', zipped({'a': b''})),
     'weights is a zip file but not one of torch', KERAS),
    ('cut_zip', lambda root: write(root, 'weights', zipped({'a': b''})[:-9]),
     'weights is damaged', 'download it again'),
    ('nan_safetensors', lambda root: write(root, 'weights', safe(
       features_0_weight=NAN, features_0_bias=BIAS)),
     'weights has infinite or undefined values in features.0.weight',
     'download it again'),
    ('safetensors_of_one_layer', lambda root: write(root, 'weights', safe(
       features_0_weight=KERNEL, features_0_bias=BIAS)),
     'weights lacks features.2.weight', KERAS),
    ('cut_safetensors', lambda root: write(root, 'weights', safe(
       features_0_weight=KERNEL)[:-9]), 'weights is damaged',
     'download it again'),
  )
] + [
  Case('weights_unnamed', nothing,
       'main --config={configs}/vgg19_unet512.py --workdir=run',
       ('config.model.encoder_weights names no file', "'random'")),
]  # fmt: skip


# Prepared data sets.


@functools.cache
def prepared():
  """The files of a data set of one photo."""
  root = workdir().parent / 'prepared'
  write(root, f'manual/train/{CAR}_01.jpg', full_photo())
  write(root, f'manual/train_masks/{CAR}_01_mask.gif', full_mask())
  config = default.get_config().data
  config.data_dir, config.manual_dir = str(root / 'data'), str(root / 'manual')
  builder = prepare.for_network(config)
  return root, pathlib.Path(builder.data_path).relative_to(root)


def data_with(spoil):
  def make(root):
    whole, path = prepared()
    shutil.copytree(whole, root, dirs_exist_ok=True)
    (root / path).rename(root / 'set')
    spoil(root / 'set')
    # As main finds it, and as doctor is given it.
    shutil.copytree(root / 'set', root / path)

  return make


def record(folder):
  (path,) = folder.glob('*.array_record*')
  return path


def data(title, spoil, *words):
  make = data_with(spoil)
  return [
    Case(f'data_{title}_main', make, 'main --config={configs}/default.py'
         ' --workdir=run --config.data.data_dir=data'
         ' --config.data.manual_dir=manual',
         ('is damaged', *words, 'remove the folder and prepare it again')),
    Case(f'data_{title}_doctor', make, 'doctor --data=set --output=found',
         ('set ', 'damaged', *words, 'remove the folder and prepare it again')),
  ]  # fmt: skip


DATA = [
  *data('of_text', lambda x: (x / 'dataset_info.json').write_text('text')),
  *data('of_nothing', lambda x: (x / 'dataset_info.json').write_text('{}')),
  *data('without_records', lambda x: record(x).unlink(), 'No such file'),
  *data('of_no_records', lambda x: record(x).write_bytes(b'')),
  *data('of_cut_records', lambda x: cut(record(x))),
  data('without_info', lambda x: (x / 'dataset_info.json').unlink(),
       'dataset_info.json is missing')[0],
  Case('data_missing', nothing, 'doctor --data=set --output=found',
       ('set is no prepared data set', 'give --data the folder')),
  Case('data_of_a_file', lambda root: write(root, 'set', ''),
       'doctor --data=set --output=found',
       ('set is no prepared data set', 'give --data the folder')),
  data('of_other_features', lambda x: (x / 'features.json').write_text('{}'))[
    1],
]  # fmt: skip
CASES = [*WORKDIRS, *WEIGHTS, *DATA]


class WorkdirsTest(CaseTest):
  @named(CASES)
  def test_refused(self, case):
    self.assert_refused(case)

  def test_the_sound_ones_are_taken(self):
    data_with(lambda folder: None)(self.root)
    result = self.run_command('doctor --data=set --output=found')
    self.assertEqual((result.code, result.errors), (0, ''))


if __name__ == '__main__':
  absltest.main()
