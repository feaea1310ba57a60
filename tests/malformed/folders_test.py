"""Outputs that can't be written, inputs that may not be read, odd flags."""

import contextlib
import importlib
import os
import pathlib

from absl.testing import absltest, parameterized
from PIL import Image

from carvana_jax.configs import debug
from tests.malformed import command
from tests.malformed.case import (
  CAR,
  CONFIGS,
  Case,
  CaseTest,
  encoded,
  full_mask,
  full_photo,
  gradient,
  listing,
  named,
  workdir,
  write,
)

PNG = encoded(gradient(), 'PNG')
LATE = ('importlib.readers',)  # modules that functions import
NOBODY = 65534  # the user on Linux whom nothing belongs to
OUTPUT = 'choose another --output'


def inputs(root):
  """Whole inputs, a file, and a file in the place of a folder."""
  write(root, 'a.png', PNG)
  write(root, 'file', 'precious')
  write(root, f'manual/train/{CAR}_01.jpg', full_photo())
  write(root, f'manual/train_masks/{CAR}_01_mask.gif', full_mask())
  write(root, 'run/config.json', debug.get_config().to_json())
  write(root, 'config.py', (CONFIGS / 'debug.py').read_bytes())


DEBUG = 'main --config={configs}/debug.py'
CARVANA = 'main --config={configs}/default.py --workdir=new'
PREDICT = 'predict --workdir={run} --input=a.png'
SUBMIT = 'submit --workdir={run} --input=a.png --size=64x96'
# Name, command, words.
PLACES = (
  ('predict_into_a_file', f'{PREDICT} --output=file',
   'file is no folder', OUTPUT),
  ('predict_below_a_file', f'{PREDICT} --output=file/masks',
   'file is no folder', OUTPUT),
  ('predict_into_a_long_name', f'{PREDICT} --output={"x" * 300}',
   'File name too long', 'check that path'),
  ('predict_into_the_kernel', f'{PREDICT} --output=/proc/masks',
   '/proc/masks', 'check that path'),
  ('predict_into_a_link_to_nowhere', f'{PREDICT} --output=link/masks',
   'link is no folder', OUTPUT),
  ('submit_below_a_file', f'{SUBMIT} --output=file/s.csv',
   'file is no folder', OUTPUT),
  ('submit_into_a_folder', f'{SUBMIT} --output=folder.csv',
   'folder.csv exists', OUTPUT),
  ('features_into_a_file', 'features --workdir={run} --image=a.png'
   ' --output=file', 'file is no folder', OUTPUT),
  ('doctor_into_a_file', 'doctor --manual_dir=manual --output=file',
   'file is no folder', OUTPUT),
  ('doctor_below_a_file', 'doctor --manual_dir=manual --output=file/found',
   'file is no folder', OUTPUT),
  ('main_into_a_file', f'{DEBUG} --workdir=file', 'file is no folder',
   'choose another --workdir'),
  ('main_below_a_file', f'{DEBUG} --workdir=file/run', 'file is no folder',
   'choose another --workdir'),
  ('main_into_the_kernel', f'{DEBUG} --workdir=/proc/run', '/proc/run',
   'check that path'),
  ('data_below_a_file', f'{CARVANA} --config.data.manual_dir=manual'
   ' --config.data.data_dir=file', 'file is no folder',
   'choose another config.data.data_dir'),
  ('manual_dir_of_a_file', f'{CARVANA} --config.data.manual_dir=file'
   ' --config.data.data_dir=data', 'file has no photos', 'get them from'),
  ('manual_dir_missing', f'{CARVANA} --config.data.manual_dir=none'
   ' --config.data.data_dir=data', 'none has no photos', 'get them from'),
  ('evaluate_on_a_url', 'evaluate --workdir={run} --dataset=carvana'
   ' --manual_dir=https://example.org/a', 'https:/', 'is a URL', 'give a path'),
  ('config_of_a_url', 'main --config=https://example.org/a.py', 'it is a URL',
   'give a Python file'),
  ('evaluate_on_no_photos', 'evaluate --workdir={run} --dataset=carvana'
   ' --manual_dir=none', 'none has no photos', 'get them from'),
  ('doctor_on_a_file', 'doctor --manual_dir=file --output=found',
   'file has no photos', 'get them from'),
  ('home_of_no_one', f'{PREDICT} --output=~no-one/masks', '~no-one/masks',
   'write that path in full'),
  ('pseudo_labels_alone', f'{DEBUG} --config.data.pseudo_labels=none',
   'config.data.pseudo_labels=none', 'set config.data.unlabeled=True'),
  ('summary_below_a_file', 'summary --config={configs}/debug.py'
   ' --picture=file/a.png', 'file does not exist', 'make it first'),
)  # fmt: skip
FLAGS = (
  ('evaluate_without_run', 'evaluate', '--workdir', 'see --help'),
  # `predict` uses the networks that come along then.
  ('predict_tuned_without_run', 'predict --input=a.png --output=masks --tuned',
   'carvana.safetensors', 'leave out --tuned'),
  ('predict_without_input', 'predict --workdir={run} --output=masks',
   '--input', 'see --help'),
  ('predict_an_unknown_flag', f'{PREDICT} --ouput=masks', '--ouput',
   '--output'),
  ('predict_a_word', f'{PREDICT} --output=masks more', "'more'",
   '--name=value'),
  ('predict_gif', f'{PREDICT} --output=masks --cutout=gif', '--cutout=gif',
   'png|webp'),
  ('predict_a_shadow', f'{PREDICT} --output=masks --shadow=long',
   '--shadow=long', 'own'),
  ('predict_trim_alone', f'{PREDICT} --output=masks --trim', '--trim',
   '--cutout'),
  ('predict_shadow_alone', f'{PREDICT} --output=masks --shadow=none',
   '--shadow=none', '--background'),
  *((f'check_{flag}', f'submit --check=s.csv --{flag}{value}', f'--{flag} is',
     'of no use beside --check')
    for flag, value in (
      ('workdir', '=runs/a'), ('output', '=o.csv'), ('num_processes', '=1'),
      ('process_id', '=0'), ('tuned', ''), ('fine', ''), ('strict', ''))),
  ('check_photos_and_sample', 'submit --check=s.csv --sample=s --input=a.png',
   '--input', 'of no use beside --sample'),
  ('predict_no_colour', f'{PREDICT} --output=masks --background=blurple',
   "'blurple' is no colour", 'give a name such as white'),
  ('predict_seen_through', f'{PREDICT} --output=masks --background=#ffffff80',
   'has an opacity', 'give #rrggbb'),
  ('predict_beyond_255', f'{PREDICT} --output=masks'
   ' --background=rgb(300,0,0)', 'beyond 0..255', 'give #rrggbb'),
  ('predict_a_folder_behind', f'{PREDICT} --output=masks --background=manual',
   "'manual' is no colour", 'give a name such as white'),
  ('predict_as_process_5', f'{PREDICT} --output=masks --process_id=5',
   '--process_id=5', 'without --num_processes'),
  ('predict_as_no_process', f'{PREDICT} --output=masks --num_processes=0',
   '--num_processes=0', 'from 0 to'),
  ('predict_as_process_x', f'{PREDICT} --output=masks --process_id=x',
   '--process_id=x', 'see --help'),
  ('submit_without_output', SUBMIT, '--output is missing', 'see --help'),
  ('submit_without_input', 'submit --workdir={run} --output=s.csv',
   '--input is missing', 'see --help'),
  ('submit_a_size', 'submit --workdir={run} --input=a.png --output=s.csv'
   ' --size=nan', "'nan'", 'use for example 128x192'),
  ('evaluate_a_split', 'evaluate --workdir={run} --split=fold0',
   '--split=fold0', 'train|validation|test|all'),
  ('evaluate_a_flip', 'evaluate --workdir={run} --flip=2', '--flip=2',
   'see --help'),
  ('evaluate_flip_at_network_size', 'evaluate --workdir={run} --flip'
   ' --at_network_size', '--flip is of no use', 'leave one of them out'),
  ('evaluate_fine_at_network_size', 'evaluate --workdir={run} --fine'
   ' --at_network_size', '--fine is of no use', 'leave one of them out'),
  ('doctor_without_folder', 'doctor', 'give one of --manual_dir', '--data'),
  ('doctor_of_both', 'doctor --manual_dir=manual --data=manual',
   'give one of --manual_dir', '--data'),
  ('doctor_of_photos', 'doctor --data=manual --output=found',
   'manual is no prepared data set', 'give --data'),
  ('features_without_image', 'features --workdir={run} --output=drawn',
   '--image', 'see --help'),
  ('report_without_run', 'report', '--workdir', 'see --help'),
  ('compare_three', 'compare a b c', '3 arguments', 'RUN_A RUN_B'),
  ('compare_a_split', 'compare a b --split=x', '--split=x',
   'train|validation|test|all'),
  ('flagfile_missing', 'report --flagfile=none', 'none', 'see --help'),
)  # fmt: skip


def make_places(root):
  inputs(root)
  (root / 'folder.csv').mkdir()
  (root / 'link').symlink_to('nowhere')


CASES = [
  *(Case(name, make_places, line, words) for name, line, *words in PLACES),
  *(Case(name, inputs, line, words) for name, line, *words in FLAGS),
]

# Of a folder `locked` that may be read only, and of files and a folder that may
# not be read.
LOCKED = (
  (f'{PREDICT} --output=locked', 'locked may not be written to', OUTPUT),
  (f'{PREDICT} --output=locked/masks', 'locked may not be written to', OUTPUT),
  (f'{SUBMIT} --output=locked/s.csv', 'locked may not be written to', OUTPUT),
  ('doctor --manual_dir=manual --output=locked/found',
   'locked may not be written to', OUTPUT),
  ('features --workdir={run} --image=a.png --output=locked/drawn',
   'locked may not be written to', OUTPUT),
  ('report --workdir=locked', 'locked', 'Permission denied', 'check that path'),
  ('summary --config={configs}/debug.py --picture=locked/a.png', 'locked',
   'Permission denied', 'check that path'),
  (f'{DEBUG} --workdir=locked/run', 'locked may not be written to',
   'change its permissions or choose another --workdir'),
  (f'{CARVANA} --config.data.manual_dir=manual'
   ' --config.data.data_dir=locked/data', 'locked may not be written to',
   'choose another config.data.data_dir'),
  ('predict --workdir={run} --input=secret --output=masks',
   'secret cannot be read (Permission denied)', 'change its permissions'),
  ('predict --workdir={run} --input=secret.png --output=masks',
   'secret.png cannot be read', 'Permission denied', 'replace or remove it'),
  ('main --config=secret.py', 'secret.py', 'Permission denied',
   'give a Python file'),
  (f'{CARVANA} --config.data.manual_dir=secret --config.data.data_dir=data',
   'secret', 'Permission denied', 'check that path'),
  ('doctor --manual_dir=secret --output=found', 'secret', 'Permission denied',
   'check that path'),
  ('submit --check=secret.csv', 'secret.csv cannot be read',
   'Permission denied', 'make or download it again'),
  ('report --workdir=secret', 'secret', 'Permission denied',
   'check that path'),
)  # fmt: skip


def make_locked(root):
  inputs(root)
  config = debug.get_config().to_json()
  write(root, 'locked/config.json', config)
  write(root, 'secret/config.json', config)
  for name in ('debug.py', 'default.py'):
    write(root, name, (CONFIGS / name).read_bytes())
  for name in ('secret.png', 'secret.py', 'secret.csv'):
    write(root, name, PNG)
  for path in root.glob('secret*'):
    path.chmod(0)
  (root / 'locked').chmod(0o555)


@contextlib.contextmanager
def as_nobody(root: pathlib.Path):
  """Root may read and write everything, so be somebody else for a while."""
  for folder in (root, workdir().parent):
    folder.chmod(0o777)
  if os.geteuid():
    yield
    return
  os.seteuid(NOBODY)
  try:
    yield
  finally:
    os.seteuid(0)


class FoldersTest(CaseTest):
  @named(CASES)
  def test_refused(self, case):
    self.assert_refused(case)

  @named(
    Case(f'{number:02}_{line.split()[0]}', make_locked, line, words)
    for number, (line, *words) in enumerate(LOCKED)
  )
  def test_permissions(self, case):
    case.make(self.root)
    before = listing(self.root)
    workdir()
    # Nobody may be unable to read the Python of another user.
    for module in (f'carvana_jax.{case.command.split()[0]}', *LATE):
      importlib.import_module(module)
    with as_nobody(self.root):
      result = self.run_command(case.command.replace('{configs}/', ''))
    self.assert_one_line(result, case.words)
    self.assertEqual(listing(self.root), before)
    (self.root / 'secret').chmod(0o700)  # for those who remove it


# One of every verb: arguments, words.
ALONE = (
  ('main', '--config=none.py --workdir=new', 'none.py', 'give a Python file'),
  ('evaluate', '--workdir=none', 'none holds no checkpoint', 'train one'),
  ('predict', '--workdir=none --input=a.png --output=masks',
   'none holds no checkpoint', 'train one'),
  ('submit', '--check=a.png', 'a.png is not a csv', 'give a csv'),
  ('doctor', '--manual_dir=none', 'none has no photos', 'get them from'),
  ('report', '--workdir=none', 'none holds no run', 'start one'),
  ('compare', 'run none', 'images.csv is missing', 'make it with'),
  ('features', '--workdir=none --image=a.png --output=drawn',
   'none holds no checkpoint', 'train one'),
  ('summary', '--config=config.py --config.data.size=0x0', "'0x0'",
   'use for example 128x192'),
)  # fmt: skip


class ProcessTest(CaseTest):
  """Processes of their own end as commands do in the other tests."""

  def setUp(self):
    super().setUp()
    inputs(self.root)
    self.before = listing(self.root)

  @parameterized.named_parameters((verb, verb, *rest) for verb, *rest in ALONE)
  def test_one_line(self, verb, arguments, *words):
    result = command.start(self.root, verb, *arguments.split())
    self.assert_one_line(result, words)
    self.assertEqual(result.output, '')
    self.assertEqual(listing(self.root), self.before)

  @parameterized.parameters(ALONE[0], ALONE[6])
  def test_debug_shows_the_traceback(self, verb, arguments, word, _):
    for run in (command.start, command.run):
      result = run(self.root, verb, '--debug', *arguments.split())
      self.assertEqual(result.code, 1)
      self.assertStartsWith(result.errors, 'Traceback (most recent call last):')
      self.assertIn(word, result.errors.splitlines()[-1])
    self.assertEqual(listing(self.root), self.before)

  def test_what_libraries_say_of_a_photo_is_left_out(self):
    tags = Image.Exif()
    tags[271] = 'the maker'
    photo = encoded(gradient(), 'JPEG', exif=tags)
    where = b'MM\0*\0\0\0\x08'  # the tags start after so many bytes
    self.assertIn(where, photo)
    write(self.root, 'b.jpg', photo.replace(where, where[:-2] + b'\xff\x08'))
    result = command.start(
      self.root, 'predict', '--workdir=none', '--input=b.jpg',
      '--output=masks', '--background=b.jpg',
    )  # fmt: skip
    self.assert_one_line(result, ('none holds no checkpoint',))

  def test_names_that_the_terminal_has_no_letters_for(self):
    write(self.root, 'süß.csv', 'img,rle_mask\n0cdf5b5d0ce1_01.jpg,1 2\n')
    result = command.start(
      self.root, 'submit', '--check=süß.csv', env={'PYTHONIOENCODING': 'ascii'}
    )
    self.assertEqual((result.code, result.errors), (0, ''))
    self.assertIn(r's\xfc\xdf.csv: the form is right;', result.output)


if __name__ == '__main__':
  absltest.main()
