"""A cross-validation's folder: what it tells, and what is refused."""

import pathlib
import tempfile

import chex
from absl.testing import parameterized

from carvana_jax.system.errors import UserError
from carvana_jax.training import crossval_folder, run_folder, trained_run

FOUND = {'folds': 2, 'networks': ['a', 'b'], 'flip': True}


class CrossvalFolderTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

  def test_is_in(self):
    self.assertFalse(crossval_folder.is_crossval(self.root))
    self.assertFalse(crossval_folder.is_crossval(self.root / 'none'))
    (self.root / 'fold_1').mkdir()
    self.assertTrue(crossval_folder.is_crossval(self.root))
    with self.assertRaisesRegex(UserError, 'unfinished.*same command again'):
      crossval_folder.read(self.root)

  def test_is_no_run(self):
    (self.root / 'fold_1').mkdir()
    for use in (trained_run.load, run_folder.read_config):
      with self.assertRaisesRegex(
        UserError, 'holds a cross-validation; .*one of its runs, .*fold_1 and'
      ):
        use(self.root)

  def test_comes_back(self):
    crossval_folder.write(self.root, FOUND)
    self.assertTrue(crossval_folder.is_crossval(self.root))
    self.assertEqual(crossval_folder.read(self.root), FOUND)

  @parameterized.parameters(*FOUND)
  def test_damaged(self, name):
    crossval_folder.write(self.root, FOUND | {name: None})
    with self.assertRaisesRegex(UserError, f'does not tell its {name}; remove'):
      crossval_folder.read(self.root)
