"""Commands as users run them, and a debug run made once for all tests."""

import fcntl
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
# Small programs take longer to compile than to run: with LLVM's optimization
# several times as long, with fusions of MLIR twice as long.
QUICK_TO_COMPILE = (
  '--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false'
)
# Where Python looks here first, an import of TensorFlow ends it.
WITHOUT_TENSORFLOW = ROOT / 'tests' / 'without_tensorflow'


def python(*arguments, devices=2):
  """Runs `python -m …` in the repository, as a user with so many devices."""
  return subprocess.run(
    [sys.executable, '-m', *map(str, arguments)],
    cwd=ROOT,
    env=environment(devices),
    capture_output=True,
    text=True,
    check=False,
  )


def environment(devices):
  """What makes results the same to the last bit on so many devices.

  Whatever imports TensorFlow, which no command needs, ends at once.
  """
  compiled = os.environ['JAX_COMPILATION_CACHE_DIR']
  return os.environ | {
    'XLA_FLAGS': f'--xla_force_host_platform_device_count={devices}',
    # XLA splits sums by its threads on the CPU: one a core, or a device.
    'NPROC': '4',
    # JAX tells apart neither of them when it looks for a compiled program.
    'JAX_COMPILATION_CACHE_DIR': f'{compiled}_on_{devices}',
    'PYTHONPATH': str(WITHOUT_TENSORFLOW),
  }


def debug(workdir, data_dir, *overrides):
  """Trains and evaluates configs/debug.py."""
  return python(
    'carvana_jax.main',
    '--config=configs/debug.py',
    f'--workdir={workdir}',
    f'--config.data.data_dir={data_dir}',
    *overrides,
  )


def debug_run() -> pathlib.Path:
  """What a debug run leaves behind, to be read and copied only.

  Whoever asks first makes it, others wait.

  Returns:
    A folder with `data`, `run` and what the command printed, `stdout`.
  """
  folder = pathlib.Path(os.environ['TESTS_FOLDER']) / 'debug'
  with folder.with_suffix('.lock').open('w') as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    printed = folder / 'stdout'
    if not printed.exists():
      shutil.rmtree(folder, ignore_errors=True)
      result = debug(folder / 'run', folder / 'data')
      assert result.returncode == 0, result.stderr
      printed.write_text(result.stdout)
  return folder
