"""What users hear of flags and config files that are of no use."""

import pathlib
import tempfile

import chex
from absl import flags
from absl.testing import parameterized

from carvana_jax.system import wrong_flags
from carvana_jax.system.errors import UserError

_CONFIG = (
  'from ml_collections import ConfigDict\n\n'
  'def get_config(seed=0):\n'
  '  return ConfigDict({"seed": int(seed), "train": {"epochs": 3}})\n'
)


class WrongFlagsTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    folder = self.enterContext(tempfile.TemporaryDirectory())
    self.file = pathlib.Path(folder) / 'config.py'
    self.file.write_text(_CONFIG)

  def explain(self, error, *words):
    argv = ['main', f'--config={self.file}', *words]
    return wrong_flags.explain(argv, error)

  @parameterized.parameters(
    ('debgu', 'there is no flag --debgu; did you mean --debug?'),
    ('qqqqqqq', 'there is no flag --qqqqqqq; see --help.'),
  )
  def test_an_unknown_flag(self, name, sentence):
    error = flags.UnrecognizedFlagError(name)
    self.assertEqual(self.explain(error), sentence)

  @parameterized.parameters(
    ('trian', "'trian'; did you mean 'train'?"),
    ('train.epohcs', "'train.epohcs'; did you mean 'train.epochs'?"),
    ('trian.epochs', "'trian'; did you mean 'train'?"),
    ('train.x', 'train.x;'),
    ('seed.x.y', 'seed.x;'),
  )
  def test_an_unknown_field(self, path, words):
    for flag in (f'--config.{path}=3', f'-config.{path}', f'--noconfig.{path}'):
      text = self.explain(KeyError('of another library'), flag)
      self.assertEqual(
        text,
        f'the config has no field {words} configs/default.py lists them all.',
      )

  def test_other_errors_keep_their_words(self):
    flag = '--config.train.epochs=x'
    error = flags.IllegalFlagValueError(f'flag {flag}: no number.')
    self.assertEqual(
      self.explain(error, flag),
      f'flag {flag}: no number; configs/default.py has every field.',
    )
    error = flags.IllegalFlagValueError('flag --folds=x: no number')
    self.assertEqual(
      wrong_flags.explain(['main', '--folds=x'], error),
      'flag --folds=x: no number; see --help.',
    )

  def test_the_file_is_blamed_for_what_it_raises(self):
    for content, reason in (
      ('def get_config():\n  return {}["a"]\n', "KeyError: 'a'"),
      ('import json\njson.loads("x")\n', 'JSONDecodeError: Expecting value'),
      ('x = 1\n', 'it has no get_config()'),
      ('get_config = dict\n', 'get_config() returns a dict, not a ConfigDict'),
    ):
      self.file.write_text(content)
      text = self.explain(KeyError('b'), '--config.train.x=3')
      self.assertStartsWith(text, f'--config={self.file} is of no use (')
      self.assertIn(f'({reason}', text)

  def test_a_config_is_loaded(self):
    self.assertEqual(wrong_flags.load_config(str(self.file)).seed, 0)
    self.assertEqual(wrong_flags.load_config(f'{self.file}:7').seed, 7)
    with self.assertRaisesRegex(UserError, 'there is no such file'):
      wrong_flags.load_config('none.py')

  def test_the_file_on_the_command_line(self):
    for argv, file in (
      (['main', '--config=a.py'], 'a.py'),
      (['main', '-config', 'a.py'], 'a.py'),
      (['main', '--config='], ''),
      (['main', '--config'], None),
      (['main', '--config.seed=3'], None),
    ):
      self.assertEqual(wrong_flags.config_file(argv), file)
