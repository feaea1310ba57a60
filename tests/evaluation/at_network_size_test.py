"""Scores at the network's size, beside those at full size."""

import contextlib
import io
import json
import pathlib
import tempfile

import chex
import jax.numpy as jnp
import numpy as np

from carvana_jax.configs import default
from carvana_jax.datasets import prepare
from carvana_jax.evaluation import at_network_size, evaluate_run
from carvana_jax.parallel import devices
from carvana_jax.reporting import run_report
from carvana_jax.training import trained_run
from tests.helpers import network_files, photo_files
from tests.malformed import command


class Bright:
  """A network that takes what is bright for the object, and never flips."""

  def apply(self, variables, image, *, train):
    assert not train
    # Less so at the left, so that mirrored photos give something else.
    slope = jnp.linspace(0, 0.2, image.shape[2])
    return variables['steepness'] * (image[..., 0] - 0.7 + slope)


def expected(source, batch_size):
  """The scores in float64, by loops over images and batches."""
  steep = 6.0
  loss, dice, iou, accuracy, batches = [], [], [], [], []
  pairs = []
  for example in source:
    image, mask = example['image'][..., 0] / 255, example['mask'][..., 0] / 255
    logits = steep * (image - 0.7 + np.linspace(0, 0.2, image.shape[1]))
    p = 1 / (1 + np.exp(-logits))
    loss.append(np.mean(-mask * np.log(p) - (1 - mask) * np.log(1 - p)))
    hard, true = p >= 0.5, mask >= 0.5
    dice.append(2 * np.sum(hard & true) / (np.sum(hard) + np.sum(true)))
    iou.append(np.sum(hard & true) / np.sum(hard | true))
    accuracy.append(np.mean(hard == true))
    pairs.append((mask, p))
  for start in range(0, len(pairs), batch_size):
    batches.append(soft(pairs[start : start + batch_size]))
  values = [*(np.mean(x) for x in (loss, dice, iou, accuracy)),
            *np.mean(batches, axis=0), *soft(pairs)]  # fmt: skip
  names = (
    *(f'{x}_at_network_size' for x in ('loss', 'dice', 'iou', 'accuracy')),
    'soft_dice_batches', 'soft_iou_batches', 'soft_dice_set', 'soft_iou_set',
  )  # fmt: skip
  return dict(zip(names, values, strict=True))


def soft(pairs):
  t, p = np.stack(pairs, axis=1)
  common = np.sum(t * p)
  both = np.sum(t) + np.sum(p)
  return (2 * common + 1) / (both + 1), (common + 1) / (both - common + 1)


class AtNetworkSizeTest(chex.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.root = pathlib.Path(
      cls.enterClassContext(tempfile.TemporaryDirectory())
    )
    rng = np.random.default_rng(0)
    for name in ('shoe', 'boot', 'bag'):
      for view in (1, 2, 3):
        mask = np.zeros((40, 60), np.uint8)
        mask[8 : 30 - view, 10 + view : 45] = 255
        noise = rng.integers(-60, 60, (40, 60, 3))
        photo = np.clip(mask[..., None] + noise, 0, 255).astype(np.uint8)
        photo_files.add_pair(cls.root / 'mine', f'{name}_{view}', photo, mask)
    config = default.get_config()
    config.data.update(
      dataset='folder',
      manual_dir=str(cls.root / 'mine'),
      data_dir=str(cls.root / 'data'),
      size='16x32',
    )
    config.train.update(batch_size=4, loss='bce')
    config.eval.update(threshold=0.9, flip=True, smooth=1.0)
    (cls.root / 'config.json').write_text(config.to_json())
    variables = devices.replicate({'steepness': jnp.float32(6)})
    cls.made = trained_run.Run(config, Bright(), variables, step=1, data='')

  def evaluate(self, function):
    with contextlib.redirect_stdout(io.StringIO()) as said:
      function(self.made, self.made.config.data, 'all', self.root)
    return said.getvalue()

  def test_scores_are_those_of_the_photos_as_the_network_sees_them(self):
    builder = prepare.for_network(self.made.config.data)
    found = at_network_size.scores(self.made, builder, 'all')
    splits = [x for x in ('train', 'validation', 'test')
              if x in builder.info.splits]  # fmt: skip
    source = builder.as_data_source('+'.join(splits))
    self.assertLen(source, 9)
    chex.assert_trees_all_close(found, expected(source, 4), atol=2e-6)

  def test_they_stand_beside_those_at_full_size(self):
    said = self.evaluate(at_network_size.evaluate)
    self.assertIn('all: 9 images of 3 groups\n', said)
    self.assertIn('16x32: not comparable with Dice at full size\n', said)
    self.assertIn('mean over batches of 4\n', said)
    self.assertLess(max(map(len, said.splitlines()[:-1])), 81)
    place = self.root / 'evaluation' / 'folder-all-network_size'
    self.assertEndsWith(said, f'written to {place}\n')
    before = (place / 'summary.json').read_bytes()
    summary = json.loads(before)
    self.assertEqual((summary['threshold'], summary['flip']), (0.5, False))
    self.assertNotIn('dice_mean', summary)  # which is that at full size
    self.evaluate(evaluate_run.evaluate)
    self.assertEqual((place / 'summary.json').read_bytes(), before)
    page = run_report.report(self.root)
    for value in ('dice_at_network_size', 'soft_dice_set', 'soft_iou_batches'):
      self.assertIn(f'<td>{summary[value]:.5f}</td>', page)
    self.assertIn('not comparable with Dice at full size</h2>', page)
    # Only the other one has tables of images.
    self.assertIn('<h2>folder-all: worst', page)
    self.assertNotIn('<h2>folder-all-network_size', page)

  def test_of_a_file(self):
    here = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    network_files.write(
      here / 'net.safetensors', network_files.run_of(network_files.config_of())
    )
    result = command.run(
      here, 'evaluate', '--workdir=net.safetensors', '--dataset=folder',
      f'--manual_dir={self.root / "mine"}', '--split=all', '--at_network_size',
    )  # fmt: skip
    self.assertEqual(result.code, 0, result.errors)
    self.assertIn("at the network's size, 32x48: not comparable", result.output)
    self.assertNotIn('written', result.output)
