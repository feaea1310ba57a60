"""Measures on a GPU all that this project says of one, in nine minutes.

    python -m benchmarks.gpu --pack --manual_dir=FOLDER --output=gpu_pack
    python -m benchmarks.gpu --packed=gpu_pack --output=gpu/results.jsonl

For a machine without a network that has Python 3.12, JAX, Flax, Optax, Orbax,
OpenCV, Pillow, Matplotlib, h5py and PyTorch, but nothing of this project. The
first command, elsewhere, fills a folder that travels with the code: photos of
whole cars, and the wheels that such a machine lacks. The second takes those
that are missing there and measures part by part, in the order of worth
(benchmarks/gpu_parts.py), each in a process of its own that is killed when its
time is over. A part's results are a line of JSON, on disk as soon as it ends,
whether well or not, and what it printed is beside them, in results.logs/.
Started again, it adds to the file.
"""

import sys

from benchmarks import gpu_wheels

if __name__ == '__main__':
  gpu_wheels.provide(sys.argv)  # what the next lines import

from absl import flags

from carvana_jax.system import cli

if __name__ == '__main__':
  flags.DEFINE_bool('pack', False, 'Fill a folder, and measure nothing.')
  flags.DEFINE_string('manual_dir', '', 'Unpacked Kaggle files, for --pack.')
  flags.DEFINE_float('megabytes', 40, 'Of photos, for --pack.', lower_bound=0)
  flags.DEFINE_bool('wheels', True, 'Whether --pack fetches wheels.')
  flags.DEFINE_string('packed', '', 'The folder that --pack has filled.')
  flags.DEFINE_string(
    'output', None, 'File of results; with --pack, the folder.', required=True
  )
  flags.DEFINE_float('minutes', 9, 'Of all parts together.', lower_bound=0)
  flags.DEFINE_list('parts', [], 'Those whose names begin so; all if empty.')
  flags.DEFINE_string('workdir', 'runs/gpu', 'For data, programs and runs.')
  flags.DEFINE_bool('rehearse', False, 'Everything tiny, for a CPU.')
  cli.parse()

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
from typing import Any

from benchmarks import gpu_parts
from carvana_jax.system import files
from carvana_jax.system.errors import UserError

ROOT = pathlib.Path(__file__).parents[1]
_PACKAGES = (  # whose versions are told
  'jax', 'jaxlib', 'flax', 'torch', 'triton', 'jax-cuda13-plugin',
  'jax-cuda12-plugin', 'nvidia-cuda-runtime', 'nvidia-cudnn-cu13',
)  # fmt: skip
_LINES, _WIDTH = 12, 300  # of what a part that failed said last
_LEAST = 5  # seconds that a part is started for
_ROW = '{:24}{:>8}{:>12}{:>10}{:>8}{:>8}{:>9}'


def machine() -> dict[str, Any]:
  """Returns the card, its driver and the versions of what uses it."""
  query = '--query-gpu=name,driver_version,memory.total'
  card, driver = 'no GPU', None
  with contextlib.suppress(OSError, subprocess.SubprocessError):
    said = subprocess.run(
      ['nvidia-smi', query, '--format=csv,noheader'],
      capture_output=True, text=True, check=True, timeout=20,
    ).stdout.splitlines()  # fmt: skip
    name, driver, memory = said[0].split(', ')
    card = f'{len(said)} x {name}, {memory}'
  versions = {'python': sys.version.split()[0], 'driver': driver}
  for name in _PACKAGES:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
      versions[name] = importlib.metadata.version(name)
  return {'card': card, 'cores': os.cpu_count(), 'versions': versions}


def run(
  part: gpu_parts.Part, logs: pathlib.Path, left: float
) -> dict[str, Any]:
  """Runs a part to its end or that of its time.

  Args:
    part: the part.
    logs: the folder for what it prints and for its figures.
    left: seconds until the end of the whole.

  Returns:
    `part`, `ok`, `seconds`, its command and its figures, those also that it had
    told before it was killed; of a part that is not ok `why` and the last lines
    that it `said`.
  """
  begun, found = time.monotonic(), {'part': part.name, 'ok': False}
  if part.needs and not importlib.util.find_spec(part.needs):
    return found | {'seconds': 0, 'why': f'skipped: no {part.needs}'}
  if left < _LEAST:
    return found | {'seconds': 0, 'why': 'skipped: no time left'}
  if part.fresh:
    shutil.rmtree(part.fresh, ignore_errors=True)
  log, figures = (logs / f'{part.name}.{x}' for x in ('log', 'json'))
  figures.unlink(missing_ok=True)
  words = [word.replace(gpu_parts.JSON, str(figures)) for word in part.words]
  limit = min(part.limit, left)
  code = _wait([sys.executable, '-m', *words], _environment(part), log, limit)
  found |= {
    'ok': code == 0,
    'seconds': round(time.monotonic() - begun, 1),
    'command': ' '.join(part.words),
    'env': part.env,
  }
  said = log.read_text(errors='replace').splitlines()
  if code != 0:
    why = f'exit code {code}' if code is not None else f'over {limit:.0f} s'
    found |= {'why': why, 'said': [line[:_WIDTH] for line in said[-_LINES:]]}
  return found | _figures(figures, said)


def _wait(words, env, log, seconds):
  """Returns the exit code; None where the time was over. Leaves no process."""
  with log.open('w') as file:
    process = subprocess.Popen(
      words, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=file,
      stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
  try:
    return process.wait(seconds)
  except subprocess.TimeoutExpired:
    return None
  finally:
    with contextlib.suppress(ProcessLookupError):
      os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _environment(part):
  env = os.environ | {'PYTHONUNBUFFERED': '1'}
  env.pop('JAX_COMPILATION_CACHE_DIR', None)  # compiles anew, or where told to
  given = env.get('XLA_FLAGS', '')
  env |= part.env
  if 'XLA_FLAGS' in part.env:
    env['XLA_FLAGS'] = f'{given} {part.env["XLA_FLAGS"]}'
  return env


def _figures(path, said):
  """The file's figures, or those of the last line that was printed."""
  for text in (path.read_text() if path.exists() else '', *said[-1:]):
    with contextlib.suppress(ValueError):
      found = json.loads(text)
      if isinstance(found, dict):
        return found
  return {}


def compared(record: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
  """Returns a peer's record with the ratio of our images/s to the peer's."""
  rates = [x.get('images_per_second') for x in (ours, record)]
  if None in rates:
    return record
  if ours['parameters'] != record['parameters']:
    return record | {'ok': False, 'why': "the networks' sizes differ"}
  return record | {'ratio': rates[0] / rates[1]}


def measure(args: Any) -> list[dict[str, Any]]:
  """Runs all parts that are wanted; returns their records, already on disk."""
  packed, work, output = (
    files.absolute(x) for x in (args.packed, args.workdir, args.output)
  )
  if not (packed / 'photos').is_dir():
    raise UserError(f'--packed={args.packed} has no photos; fill it by --pack.')
  logs = output.with_suffix('.logs')
  for folder in (logs, work):
    folder.mkdir(parents=True, exist_ok=True)
  sizes = gpu_parts.REHEARSAL if args.rehearse else gpu_parts.FULL
  end = time.monotonic() + 60 * args.minutes
  there, records = machine(), {}
  with output.open('a') as results:
    for part in gpu_parts.parts(packed / 'photos', work, sizes):
      if args.parts and not part.name.startswith(tuple(args.parts)):
        continue
      print(f'{part.name}: at most {part.limit:.0f} s', flush=True)
      record = run(part, logs, end - time.monotonic())
      if part.against in records:
        record = compared(record, records[part.against])
      records[part.name] = record
      results.write(json.dumps(record | there) + '\n')
      results.flush()
      os.fsync(results.fileno())
  return list(records.values())


def table(records: list[dict[str, Any]]) -> str:
  """Returns a line for each part, in 79 columns, and what went wrong."""
  names = ('seconds', 'first step', 'images/s', 'GB', 'MFU %', 'Dice')
  lines, more = [_ROW.format('part', *names)], []
  for record in records:
    rate = record.get('images_per_second', record.get('photos_per_second'))
    figures = (
      (record['seconds'], '.0f'), (record.get('first_step_s'), '.1f'),
      (rate, ',.1f'), (record.get('peak_gb'), '.1f'),
      (record.get('mfu_percent'), '.1f'), (record.get('dice_test'), '.4f'),
    )  # fmt: skip
    shown = ('-' if x is None else format(x, form) for x, form in figures)
    lines.append(_ROW.format(record['part'], *shown))
    if 'why' in record:
      more.append(f'{record["part"]}: {record["why"]}')
    if 'ratio' in record:
      more.append(f"{record['ratio']:.2f} times PyTorch's images/s")
  return '\n'.join([*lines, *more])


def pack(args: Any) -> None:
  """Fills the folder --output."""
  from benchmarks import gpu_pack, input  # which need TFDS

  folder, output = input.unpacked(args.manual_dir), files.absolute(args.output)
  if output.exists():
    raise UserError(f'--output={args.output} is there; remove it.')
  largest = int(args.megabytes * 1e6)
  print(f'photos: {gpu_pack.copy(folder, output / "photos", largest)}')
  if args.wheels:
    gpu_wheels.download(output / 'wheels')
  size = sum(x.stat().st_size for x in output.rglob('*') if x.is_file())
  print(f'{size / 1e6:.1f} MB in {output}')


def main() -> None:
  """The command line."""
  args = flags.FLAGS
  if args.pack:
    pack(args)
    return
  records = measure(args)
  print(table(records))
  if not all(x['ok'] for x in records):
    sys.exit(1)


if __name__ == '__main__':
  cli.run(main)
