"""--config=configs/NAME.py in any folder."""

import contextlib
import pathlib
import tempfile

import chex
from absl.testing import parameterized

from carvana_jax.system import own_configs
from tests.helpers.commands import ROOT

OWN = str(ROOT / 'carvana_jax' / 'configs' / 'debug.py')


class OwnConfigsTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    folder = self.enterContext(tempfile.TemporaryDirectory())
    self.enterContext(contextlib.chdir(folder))

  @parameterized.parameters(
    (['--config=configs/debug.py'], [f'--config={OWN}']),
    (['-config=./configs/debug.py'], [f'-config={OWN}']),
    (['--config', 'configs/debug.py', '--x'], ['--config', OWN, '--x']),
    (['--config=configs/debug.py', '--config=configs/debug.py'],
     [f'--config={OWN}', f'--config={OWN}']),
  )  # fmt: skip
  def test_the_package_has_it(self, words, expected):
    self.assertEqual(
      own_configs.complete(['main', *words]), ['main', *expected]
    )

  @parameterized.parameters(
    ['--config=configs/none.py'],
    ['--config=configs'],
    ['--config=debug.py'],
    ['--config=my/configs/debug.py'],
    ['--config=/configs/debug.py'],
    ['--config='],
    ['--config'],
    ['--config.seed=configs/debug.py'],
    ['--workdir=configs/debug.py'],
    ['configs/debug.py'],
  )
  def test_the_package_has_none(self, word):
    self.assertEqual(own_configs.complete(['main', word]), ['main', word])

  @parameterized.parameters('file', 'folder', 'link')
  def test_what_is_there_goes_first(self, kind):
    path = pathlib.Path('configs/debug.py')
    path.parent.mkdir()
    if kind == 'file':
      path.touch()
    elif kind == 'folder':
      path.mkdir()
    else:
      path.symlink_to('nowhere')
    words = ['main', f'--config={path}']
    self.assertEqual(own_configs.complete(words), words)
