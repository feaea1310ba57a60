"""Runs `python -m carvana_jax.VERB …`, in this process or in one of its own."""

import contextlib
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile
import traceback
import types
import warnings
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from unittest import mock

from absl import app, flags, logging
from absl.testing import flagsaver

from carvana_jax.system import cli  # noqa: F401, whose flags stay defined
from carvana_jax.training import early_start
from tests.helpers.commands import WITHOUT_TENSORFLOW

ROOT = pathlib.Path(__file__).parents[2]


class Result(NamedTuple):
  """What a command left behind."""

  code: int
  output: str
  errors: str


def run(folder: pathlib.Path, verb: str, *arguments: str) -> Result:
  """Runs a verb from its module's first line on, as `python -m` does.

  Starting Python and importing JAX anew takes seconds.

  Args:
    folder: where paths are seen from.
    verb: a module of carvana_jax.
    arguments: of the command line.
  """
  app.define_help_flags()  # once only, so not among those that are taken back
  sys.modules.pop('config_config', None)  # what the last one's file defined
  if tensorflow := sys.modules.get('tensorflow'):
    tensorflow.constant(0)  # whose first use prints that there is no GPU
  code = 0
  with (
    tempfile.TemporaryDirectory() as kept,
    mock.patch.object(sys, 'argv', [f'{verb}.py', *arguments]),
    # A process of its own ends when its step is compiled; here what is refused
    # would leave a thread to the commands that follow.
    mock.patch.object(early_start.EarlyStart, 'begin'),
    # Alone, as JAX can't look for others once it is in use.
    mock.patch.dict(os.environ, SLURM_NTASKS='1'),
    _flags_of_its_own(),
    contextlib.chdir(folder),
    warnings.catch_warnings(),
  ):
    files = [pathlib.Path(kept) / name for name in ('output', 'errors')]
    with _written_to(*files):
      _show_warnings()
      try:
        runpy.run_module(f'carvana_jax.{verb}', run_name='__main__')
      except SystemExit as end:
        code = end.code or 0
      except Exception:  # Python would show it and end with 1
        traceback.print_exc()
        code = 1
    return Result(code, *(file.read_text() for file in files))


def start(
  folder: pathlib.Path,
  verb: str,
  *arguments: str,
  env: Mapping[str, str] = types.MappingProxyType({}),
) -> Result:
  """The same in a process of its own.

  Args:
    folder, verb, arguments: as for `run`.
    env: variables besides those of this process.
  """
  done = subprocess.run(
    [sys.executable, '-m', f'carvana_jax.{verb}', *arguments],
    cwd=folder,
    env={**os.environ, 'PYTHONPATH': f'{ROOT}:{WITHOUT_TENSORFLOW}', **env},
    capture_output=True,
    text=True,
    check=False,
  )
  return Result(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def _flags_of_its_own() -> Iterator[None]:
  """Takes back the flags that the verb defines, and all changes."""
  before = flagsaver.save_flag_values()
  try:
    yield
  finally:
    of_libraries = {  # which were imported for the first time
      name: flag
      for name, flag in flagsaver.save_flag_values().items()
      if name not in before
      and not name.startswith('config.')
      and not flags.FLAGS.find_module_defining_flag(name).startswith(
        ('carvana_jax', sys.argv[0])
      )
    }
    flagsaver.restore_flag_values(before | of_libraries)


@contextlib.contextmanager
def _written_to(output: pathlib.Path, errors: pathlib.Path) -> Iterator[None]:
  """Sends both streams to files, with what libraries in C write."""
  handler = logging.get_absl_handler().python_handler
  with contextlib.ExitStack() as stack:
    streams = [
      stack.enter_context(path.open('a', buffering=1))
      for path in (output, errors)
    ]
    for stream, number in zip(streams, (1, 2), strict=True):
      kept = os.dup(number)
      stack.callback(os.close, kept)
      stack.callback(os.dup2, kept, number)
      os.dup2(stream.fileno(), number)
    stack.enter_context(contextlib.redirect_stdout(streams[0]))
    stack.enter_context(contextlib.redirect_stderr(streams[1]))
    stack.enter_context(mock.patch.object(handler, 'stream', streams[1]))
    yield


def _show_warnings():
  """As Python does, not pytest; all but runpy's, that a module is known."""
  warnings.resetwarnings()
  for kind in (
    DeprecationWarning, PendingDeprecationWarning, ImportWarning,
    ResourceWarning,
  ):  # fmt: skip
    warnings.simplefilter('ignore', kind)
  warnings.filterwarnings('ignore', module=r'PIL\.')  # as datasets.images does
  warnings.filterwarnings('ignore', '.*found in sys.modules', RuntimeWarning)
  warnings.showwarning = lambda *warning, **_: sys.stderr.write(
    warnings.formatwarning(*warning[:4])
  )
