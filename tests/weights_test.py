"""The networks that come along: whole, small, and what their card says."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

from absl.testing import absltest, parameterized

from carvana_jax.inference import networks
from carvana_jax.portable import session
from tests.helpers.page_problems import ROOT, problems

WEIGHTS = ROOT / 'weights'
CARD = WEIGHTS / 'README.md'
NAMES = (
  'carvana.safetensors', 'carvana.json', 'carvana.onnx', 'carvana-fine.onnx',
)  # fmt: skip


class WeightsTest(parameterized.TestCase):
  def test_are_small(self):
    self.assertLess(sum(x.stat().st_size for x in WEIGHTS.iterdir()), 4e6)

  @parameterized.parameters(*NAMES)
  def test_are_those_of_the_card(self, name):
    data = (WEIGHTS / name).read_bytes()
    (row,) = (
      line for line in CARD.read_text().splitlines() if f'| `{name}` |' in line
    )
    self.assertIn(f'| {len(data):,} |', row)
    self.assertIn(f'`{hashlib.sha256(data).hexdigest()}`', row)

  def test_are_what_commands_use_without_workdir(self):
    # The digest of what is read is compared with that in carvana.json.
    nets = networks.load(None, tuned=False)
    (run,) = nets.runs
    self.assertTrue(nets.fine)
    self.assertEqual(
      (nets.masking.threshold, nets.masking.fill_holes,
       nets.masking.keep_largest, run.config.eval.flip),
      (0.5, False, False, True),
    )  # fmt: skip

  def test_graphs_are_of_the_same_networks(self):
    facts = json.loads((WEIGHTS / 'carvana.json').read_text())
    for name, about in (('', facts), ('-fine', facts['fine'])):
      graph = session.open(WEIGHTS / f'carvana{name}.onnx').facts
      self.assertEqual(graph.network, about['network'])
      self.assertEqual(graph.step, about['step'])


class MakeTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.checkout, self.photos = root / 'a checkout', root / 'the photos'
    self.photos.mkdir()
    (self.checkout / 'weights').mkdir(parents=True)
    shutil.copy(WEIGHTS / 'make.sh', self.checkout / 'weights')
    (self.checkout / 'run.sh').write_text(
      'printf "bash run.sh"; printf " \'%s\'" "$@"; echo\n'
      'mkdir -p runs/carvana\n'
      'if [ "$1" = "$FAILING" ]; then exit 3; fi\n'
      'if [ "$1" = export ]; then\n'
      '  echo x > runs/carvana/weights/carvana.safetensors\n'
      'fi\n'
    )

  def make(self, *words, failing=''):
    return subprocess.run(
      ['bash', self.checkout / 'weights/make.sh', *words],
      cwd=self.photos.parent, env={'PATH': os.environ['PATH'],
      'FAILING': failing}, capture_output=True, text=True, check=False,
    )  # fmt: skip

  def test_its_commands_are_in_order(self):
    result = self.make('the photos')
    self.assertEqual((result.returncode, result.stderr), (0, ''))
    lines = [x for x in result.stdout.splitlines() if x.startswith('bash ')]
    self.assertEqual(
      [x.split("'")[1] for x in lines],
      [*['--config=configs/fast.py'] * 2, 'refine', 'export',
       *['evaluate'] * 4],
    )  # fmt: skip
    for line in lines:
      if "'export'" not in line:
        self.assertIn(str(self.photos), line)
    self.assertEqual(problems('\n'.join(f'    {x}' for x in lines)), [])
    sums = hashlib.sha256(b'x\n').hexdigest()
    self.assertIn(f'{sums}  carvana.safetensors\n', result.stdout)
    self.assertIn('cp runs/carvana/weights/carvana* weights/', result.stdout)
    self.assertEqual(os.listdir(self.checkout / 'weights'), ['make.sh'])
    # Once more it would overwrite them.
    result = self.make('the photos')
    self.assertEqual((result.returncode, result.stdout), (2, ''))
    self.assertRegex(
      result.stderr, '^error: runs/carvana/weights has networks; .*\n$'
    )

  def test_ends_where_a_command_fails(self):
    for failing, count in (('refine', 3), ('export', 4)):
      result = self.make('the photos', failing=failing)
      self.assertEqual((result.returncode, result.stderr), (3, ''))
      self.assertLen(result.stdout.splitlines(), count)
    self.assertEqual(self.make('the photos').returncode, 0)

  def test_refuses(self):
    for words in ((), ('the photos', 'more'), ('',), ('none',), ('--help',)):
      result = self.make(*words)
      self.assertEqual((result.returncode, result.stdout), (2, ''))
      self.assertRegex(result.stderr, '^error: .*\n$')


if __name__ == '__main__':
  absltest.main()
