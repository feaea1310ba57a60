"""The script for a GPU machine: its pack, its parts, and all of it on a CPU."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import types
import unittest
import zipfile
from unittest import mock

import chex

from benchmarks import gpu, gpu_pack, gpu_parts, gpu_wheels, gpu_whole
from carvana_jax import models
from carvana_jax.configs import debug, unet512
from carvana_jax.datasets import prepare, spec
from carvana_jax.models import layer_table
from carvana_jax.system.errors import UserError
from tests.benchmarks import whole_job_test
from tests.benchmarks.whole_job_test import PEERS

# Tells a figure, starts a process that would stay for ever, and stays, too.
STUCK = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(999)'])
pathlib.Path(sys.argv[1]).write_text('{"child": %d, "first_step_s": 7}' % (
  child.pid))
print('compiling', flush=True)
time.sleep(999)
"""


def _is_alive(pid):
  """Whether a process runs; one whose end nobody has asked for does not."""
  try:
    return ' Z ' not in pathlib.Path(f'/proc/{pid}/stat').read_text()
  except OSError:
    return False


def cars(split, count):
  """The first car ids of a split, sorted."""
  found = (f'{number:012x}' for number in range(1000))
  return [car for car in found if spec.split_of(car) == split][:count]


class GpuTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))


class PackTest(GpuTest):
  def make(self, counts, size):
    """Cars of two views; photo and mask of a view have so many bytes."""
    folder = self.root / 'kaggle'
    for name in ('train', 'train_masks', 'test'):
      (folder / name).mkdir(parents=True)
    for split, count in counts.items():
      for car in cars(split, count):
        for view in (1, 2):
          name = spec.photo_name(car, view)
          (folder / 'train' / f'{name}.jpg').write_bytes(bytes(size - 1))
          (folder / 'train_masks' / f'{name}_mask.gif').write_bytes(b'm')
    (folder / 'test' / 'other.jpg').write_bytes(b'left out')
    return folder

  def chosen(self, folder, largest):
    paths = gpu_pack.choose(folder, largest)
    self.assertLessEqual(sum(x.stat().st_size for x in paths), largest)
    return {path.name[:12] for path in paths}, paths

  def test_whole_cars_of_every_split(self):
    folder = self.make({'train': 9, 'validation': 3, 'test': 3}, 100)
    # A car is 200 bytes: two of each split, then the others by their ids.
    found, paths = self.chosen(folder, 8 * 200 + 199)
    self.assertLen(paths, 8 * 4)
    first = {*cars('train', 2), *cars('validation', 2), *cars('test', 2)}
    others = {*cars('train', 9), *cars('validation', 3), *cars('test', 3)}
    self.assertEqual(found, first | set(sorted(others - first)[:2]))
    with self.subTest('a car of each is all that fits'):
      found, _ = self.chosen(folder, 3 * 200)
      each = {*cars('train', 1), *cars('validation', 1), *cars('test', 1)}
      self.assertEqual(found, each)
    with (
      self.subTest('not even that'),
      self.assertRaisesRegex(UserError, 'no test car fits in 0.0003 MB'),
    ):
      gpu_pack.choose(folder, 300)

  def test_a_large_car_is_left_out(self):
    folder = self.make({'train': 4, 'validation': 1, 'test': 1}, 100)
    large = cars('train', 3)[-1]
    (folder / 'train' / f'{large}_01.jpg').write_bytes(bytes(10_000))
    found, _ = self.chosen(folder, 2000)
    self.assertEqual(found & {*cars('train', 4)}, {*cars('train', 4)} - {large})

  def test_copies_the_bytes_and_nothing_else(self):
    folder = self.make({'train': 1, 'validation': 1, 'test': 1}, 50)
    to = self.root / 'packed'
    said = gpu_pack.copy(folder, to, 10_000)
    self.assertEqual(said, '2 of train, 2 of validation, 2 of test')
    copied = {x.relative_to(to): x for x in to.rglob('*.*')}
    self.assertLen(copied, 12)
    for name, path in copied.items():
      self.assertEqual(path.read_bytes(), (folder / name).read_bytes())
    self.assertEqual(
      {x.name for x in self.root.iterdir()}, {'kaggle', 'packed'}
    )

  def test_a_folder_that_is_there_is_left_alone(self):
    folder = self.make({'train': 1, 'validation': 1, 'test': 1}, 50)
    args = types.SimpleNamespace(manual_dir=str(folder), output=str(self.root))
    with self.assertRaisesRegex(UserError, 'is there; remove it'):
      gpu.pack(args)


class WheelsTest(GpuTest):
  def wheel(self, name, module):
    path = self.root / 'wheels' / f'{name}-1.5-py3-none-any.whl'
    path.parent.mkdir(exist_ok=True)
    info = f'{name}-1.5.dist-info'
    with zipfile.ZipFile(path, 'w') as file:
      file.writestr(f'{module}.py', 'value = 42\n')
      file.writestr(
        f'{info}/METADATA', f'Metadata-Version: 2.1\nName: {name}\nVersion: 1.5'
      )
      file.writestr(
        f'{info}/WHEEL', 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\n'
        'Tag: py3-none-any\n',
      )  # fmt: skip
      file.writestr(f'{info}/RECORD', '')

  def test_only_what_is_missing_is_installed(self):
    self.wheel('wheel_stand_in', 'wheel_stand_in')
    self.wheel('absl_py', 'other')
    code = (
      'import os, sys, importlib.util\n'
      'from benchmarks import gpu_wheels\n'
      f'gpu_wheels.provide(["gpu", "--packed={self.root}"])\n'
      'import wheel_stand_in\n'
      'print(wheel_stand_in.value, importlib.util.find_spec("other"))\n'
      'print(os.path.dirname(wheel_stand_in.__file__) '
      'in os.environ["PYTHONPATH"].split(os.pathsep))\n'
      'print(*(x for x in ("absl", "jax", "numpy") if x in sys.modules))\n'
    )
    done = subprocess.run(
      [sys.executable, '-c', code],
      cwd=gpu.ROOT, capture_output=True, text=True, check=True,
      env=os.environ | {'TMPDIR': str(self.root)},
    )  # fmt: skip
    self.assertEqual(
      done.stdout.splitlines(),
      ['taken from wheels: wheel_stand_in-1.5', '42 None', 'True', ''],
    )

  def test_versions_are_those_that_are_tested(self):
    names = (*gpu_wheels.PACKAGES, *gpu_wheels._BUILT_HERE)
    for pin in gpu_wheels._pinned(names):
      self.assertRegex(pin, r'^[\w-]+==[\d.]+$')


class RunTest(GpuTest):
  def run_part(self, source, limit=60.0, left=60.0, **fields):
    (self.root / 'stand_in.py').write_text(source)
    part = gpu_parts.Part(
      'a', ['stand_in', gpu_parts.JSON], limit,
      {'PYTHONPATH': str(self.root), **fields.pop('env', {})}, **fields,
    )  # fmt: skip
    return gpu.run(part, self.root, left)

  def test_a_part_that_is_stuck(self):
    found = self.run_part(STUCK, limit=8)
    self.assertFalse(found['ok'])
    self.assertEqual(found['why'], 'over 8 s')
    self.assertEqual(found['first_step_s'], 7)  # told before
    self.assertEqual(found['said'], ['compiling'])
    self.assertBetween(found['seconds'], 8, 30)
    # Killed with its parent; on a busy machine it takes a while to die.
    deadline = time.monotonic() + 20
    while _is_alive(found['child']) and time.monotonic() < deadline:
      time.sleep(0.05)
    self.assertFalse(_is_alive(found['child']))

  def test_a_part_that_fails(self):
    found = self.run_part('print("a word")\n1 / 0')
    self.assertFalse(found['ok'])
    self.assertEqual(found['why'], 'exit code 1')
    self.assertIn('ZeroDivisionError', found['said'][-1])

  def test_environment_and_last_line(self):
    fresh = self.root / 'fresh'
    fresh.mkdir()
    found = self.run_part(
      'import json, os\nprint("a word")\nprint(json.dumps(dict(os.environ)))',
      env={'XLA_FLAGS': '--b'},
      fresh=fresh,
    )
    self.assertTrue(found['ok'])
    self.assertEqual(found['XLA_FLAGS'], f'{os.environ["XLA_FLAGS"]} --b')
    self.assertNotIn('JAX_COMPILATION_CACHE_DIR', found)
    self.assertFalse(fresh.exists())

  def test_skipped(self):
    found = self.run_part('', needs='no_such_module')
    self.assertEqual(found['why'], 'skipped: no no_such_module')
    found = self.run_part('', left=1)
    self.assertEqual(found['why'], 'skipped: no time left')

  def test_results_are_on_disk_before_the_next_part(self):
    (self.root / 'photos').mkdir()
    output = self.root / 'out' / 'results.jsonl'
    args = types.SimpleNamespace(
      packed=str(self.root), workdir=str(self.root / 'work'), minutes=1,
      output=str(output), parts=['debug', 'sub'], rehearse=True,
    )  # fmt: skip
    there = []

    def run(part, logs, left):
      there.append((part.name, len(output.read_text().splitlines())))
      return {'part': part.name, 'ok': True, 'seconds': 1, 'parameters': 1,
              'images_per_second': len(there)}  # fmt: skip

    with mock.patch.object(gpu, 'run', run):
      records = gpu.measure(args)
    names = ['debug-cold', 'debug-warm', 'debug-whole', 'submit', 'debug-plain',
             'debug-torch', 'debug-autotune2']  # fmt: skip
    self.assertEqual(there, list(zip(names, range(7), strict=True)))
    lines = [json.loads(x) for x in output.read_text().splitlines()]
    self.assertEqual([x['part'] for x in lines], names)
    for line in lines:
      self.assertContainsSubset(['card', 'versions', 'ok', 'seconds'], line)
    self.assertEqual(records[5]['ratio'], 5 / 6)

  def test_networks_of_different_sizes_are_not_compared(self):
    ours = {'images_per_second': 6, 'parameters': 5}
    peer = {'ok': True, 'images_per_second': 4, 'parameters': 5}
    self.assertEqual(gpu.compared(peer, ours)['ratio'], 1.5)
    other = gpu.compared(peer | {'parameters': 4}, ours)
    self.assertFalse(other['ok'])
    self.assertNotIn('ratio', other)
    self.assertNotIn('ratio', gpu.compared({'ok': False}, ours))

  def test_table(self):
    records = [
      {'part': 'unet512-latency_hiding', 'ok': True, 'seconds': 123.4,
       'first_step_s': 61.25, 'images_per_second': 12345.67, 'peak_gb': 41.2,
       'mfu_percent': 12.34},
      {'part': 'b', 'ok': False, 'seconds': 0, 'why': 'over 60 s'},
      {'part': 'c', 'ok': True, 'seconds': 1, 'dice_test': 0.99512,
       'ratio': 1.234},
    ]  # fmt: skip
    lines = gpu.table(records).splitlines()
    self.assertLessEqual(max(map(len, lines)), 80)
    self.assertEqual(
      [line.split() for line in lines[1:4]],
      [
        ['unet512-latency_hiding', '123', '61.2', '12,345.7', '41.2', '12.3',
         '-'],
        ['b', '0', '-', '-', '-', '-', '-'],
        ['c', '1', '-', '-', '-', '-', '0.9951'],
      ],
    )  # fmt: skip
    self.assertEqual(
      lines[4:], ['b: over 60 s', "1.23 times PyTorch's images/s"]
    )


class PartsTest(GpuTest):
  def test_order_and_time(self):
    parts = list(gpu_parts.parts(self.root, self.root, gpu_parts.FULL))
    names = [part.name for part in parts]
    self.assertLen(set(names), len(names))
    self.assertEqual(
      names,
      ['fast-cold', 'fast-warm', 'unet512-cold', 'unet512-warm', 'input',
       'fast-whole', 'unet512-whole', 'submit', 'unet512-plain',
       'unet512-torch', 'unet1024-cold', 'unet1024-warm',
       *gpu_parts.VARIANTS],
    )  # fmt: skip

  def test_limits(self):
    of = lambda sizes: {
      part.name: part.limit
      for part in gpu_parts.parts(self.root, self.root, sizes)
    }
    limits = of(gpu_parts.FULL)
    self.assertEqual(
      [limits[x] for x in ('unet1024-cold', 'submit', 'unet512-torch')],
      [150, 60, 100],
    )
    # A machine that has other work, too, takes several times as long.
    self.assertEqual({*of(gpu_parts.REHEARSAL).values()}, {300})


@unittest.skipUnless(os.access(PEERS, os.X_OK), f'{PEERS} is absent')
class PyTorchTest(GpuTest):
  def parameters(self, config):
    model = models.build(config.model)
    layers = layer_table.layers(model, prepare.input_shape(config.data))
    return sum(x.parameters for x in layers)

  def test_the_same_network_in_pytorch(self):
    config = unet512.get_config()
    code = (
      'import json, sys\n'
      'from benchmarks.frameworks import torch_step\n'
      'net = torch_step.network(json.loads(sys.argv[1]))\n'
      'print(sum(x.numel() for x in net.parameters()))'
    )
    said = subprocess.run(
      [PEERS, '-c', code, json.dumps(config.model.to_dict())],
      cwd=gpu.ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    self.assertEqual(int(said), self.parameters(config))

  def test_steps_in_pytorch(self):
    figures = self.root / 'figures.json'
    config = debug.get_config()
    config.model.levels = 1  # PyTorch takes long to compile more
    started = time.monotonic()
    subprocess.run(
      [PEERS, '-m', 'benchmarks.frameworks.torch_cost',
       json.dumps(config.model.to_dict()),
       '64', '96', '2', '2', '3', str(figures)],
      cwd=gpu.ROOT, check=True,
    )  # fmt: skip
    took = time.monotonic() - started
    found = json.loads(figures.read_text())
    self.assertEqual(found['parameters'], self.parameters(config))
    least, step, most = (
      found[f'step_ms{x}'] / 1000 for x in ('_least', '', '_most')
    )
    self.assertBetween(step, least, most)
    self.assertAlmostEqual(found['images_per_second'], 2 / step, delta=1e-6)
    # Three rounds of two steps, after the first, are within the whole.
    self.assertBetween(found['first_step_s'] + 6 * least, 0, took)


class WholeTest(GpuTest):
  def test_figures(self):
    rows = [
      {'step': i, 'input_wait': wait, 'train_seconds': 10.0 * i,
       'images_per_second': 100.0 * i}
      for i, wait in enumerate([0.9, 0.1, 0.3, 0.2], 1)
    ]  # fmt: skip
    (self.root / 'metrics.jsonl').write_text(
      ''.join(json.dumps(row) + '\n' for row in rows)
    )
    for split, dice in (('validation', 0.9), ('test', 0.8)):
      folder = self.root / 'evaluation' / f'carvana-{split}'
      folder.mkdir(parents=True)
      (folder / 'summary.json').write_text(json.dumps({'dice_mean': dice}))
    curve = [
      {'seconds': 10, 'validation': 0.985, 'test': 0.5},
      {'seconds': 20, 'validation': 0.991, 'test': 0.98},
    ]
    found = gpu_whole.figures(curve, self.root)
    self.assertEqual(
      found['seconds_to_validation'], {'0.98': 10, '0.99': 20, '0.995': None}
    )
    self.assertEqual(
      found['seconds_to_test'], {'0.98': 20, '0.99': None, '0.995': None}
    )
    self.assertEqual(found['input_wait'], 0.2)
    self.assertEqual(found['images_per_second'], 400)
    self.assertEqual((found['dice_validation'], found['dice_test']), (0.9, 0.8))


class RehearsalTest(GpuTest):
  def command(self, *words):
    return subprocess.run(
      [sys.executable, '-m', 'benchmarks.gpu', *words],
      cwd=gpu.ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

  def test_the_whole(self):
    folder, packed = self.root / 'kaggle', self.root / 'packed'
    folder.mkdir()
    with mock.patch.dict(whole_job_test.VIEWS, train=16):
      whole_job_test.make_photos(folder, 1280, 1918)
    done = self.command(
      '--pack', '--nowheels', f'--manual_dir={folder}', f'--output={packed}'
    )
    self.assertEqual(done.returncode, 0, done.stderr)
    output = self.root / 'out' / 'results.jsonl'
    done = self.command(
      f'--packed={packed}', f'--output={output}', '--rehearse', '--minutes=30',
      f'--workdir={self.root / "work"}',
    )  # fmt: skip
    lines = [json.loads(x) for x in output.read_text().splitlines()]
    found = {x['part']: x for x in lines}
    bad = [x for x in lines if not x['ok'] and x['part'] != 'debug-torch']
    self.assertEmpty(bad)
    self.assertEqual(found['debug-torch']['why'], 'skipped: no torch')
    self.assertGreater(found['debug-cold']['state_s'], 0)
    self.assertGreater(found['debug-warm']['images_per_second'], 0)
    whole = found['debug-whole']
    self.assertEqual(whole['epochs'], 1)
    self.assertLen(whole['curve'], 1)
    self.assertBetween(whole['dice_test'], 0, 1)
    self.assertEqual(found['submit']['photos'], 64)
    self.assertIn('debug-autotune2', done.stdout)

  def test_nothing_packed(self):
    done = self.command(f'--packed={self.root}', '--output=a.jsonl')
    self.assertEqual(done.returncode, 2)
    self.assertIn('has no photos; fill it by --pack', done.stderr)
