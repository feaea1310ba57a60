"""What is made of the seconds that a config's steps took."""

import json
import pathlib
import subprocess
import sys
import tempfile
from unittest import mock

import chex
import jax

from benchmarks import cost, own_step
from carvana_jax import models
from carvana_jax.configs import debug, fast
from carvana_jax.datasets import prepare
from carvana_jax.models import layer_table
from carvana_jax.training import steps


class CostTest(chex.TestCase):
  def test_medians_over_the_rounds(self):
    config = debug.get_config()
    config.train.batch_size = 4 * jax.local_device_count()
    # From and to: the state, the first step, three rounds of two steps.
    clock = iter([0, 7, 0, 10, 20, 24, 30, 36, 40, 48])
    told = []
    with (
      mock.patch.object(cost, 'time') as time,
      mock.patch.dict(cost.PEAKS, {jax.devices()[0].device_kind: 0.5}),
      mock.patch.object(
        steps, 'make_train_step', wraps=steps.make_train_step
      ) as made,
    ):
      time.perf_counter = lambda: next(clock)
      found = cost.measure(config, 2, 3, lambda figures: told.append(figures))
    self.assertIs(made.call_args.args[2], config)
    self.assertEqual(found['state_s'], 7)
    self.assertEqual(found['first_step_s'], 10)
    self.assertEqual(found['step_ms'], 3000)
    self.assertEqual([found[f'step_ms_{x}'] for x in ('least', 'most')],
                     [2000, 4000])  # fmt: skip
    # The first step's end is told alone, as what follows may never be reached.
    self.assertEqual(told[1], {'first_step_s': 10})
    share = found['tflops_per_second'] / 0.5 / jax.device_count()
    self.assertAlmostEqual(found['mfu_percent'], 100 * share)
    rate = config.train.batch_size / 3
    self.assertEqual(found['images_per_second'], rate)
    layers = layer_table.layers(
      models.build(config.model), prepare.input_shape(config.data)
    )
    self.assertEqual(found['parameters'], sum(x.parameters for x in layers))
    flops = sum(x.flops for x in layers)
    self.assertAlmostEqual(found['tflops_per_second'], 3e-12 * flops * rate)

  def test_plain_is_as_the_peers(self):
    config = own_step.plain(fast.get_config(), 'adamw')
    self.assertFalse(any(config.augment.values()))
    self.assertIs(config.augment.flip_left_right, False)
    self.assertEqual(config.optimizer.name, 'adamw')
    self.assertEqual(config.train.loss, 'bce')

  def test_refused_as_by_training(self):
    words = [
      sys.executable, '-m', 'benchmarks.cost', '--config=configs/debug.py',
      '--config.train.loss=bec',
    ]  # fmt: skip
    said = subprocess.run(words, capture_output=True, check=False, text=True)
    self.assertEqual(said.returncode, 2)
    self.assertLen(said.stderr.splitlines(), 1)
    self.assertIn("train.loss='bec' is unknown", said.stderr)

  def test_the_command(self):
    with tempfile.TemporaryDirectory() as folder:
      path = pathlib.Path(folder, 'cost.json')
      words = [
        sys.executable, '-m', 'benchmarks.cost', '--config=configs/debug.py',
        '--steps=1', '--rounds=1', f'--json={path}',
      ]  # fmt: skip
      said = subprocess.run(words, capture_output=True, check=True, text=True)
      found = json.loads(path.read_text())
    for name in found:
      self.assertIn(name, said.stdout)
    self.assertEqual(found['parameters'], 7697)
    self.assertGreater(found['first_step_s'], 0)
