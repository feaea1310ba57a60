"""The networks that answer, loaded from whatever --workdir names."""

import pathlib
import subprocess
import sys
import tempfile

from carvana_jax.portable import remover
from carvana_jax.system import files


def load(workdir: str | None, fine: bool | None) -> remover.Remover:
  """Loads networks of which each photo uses one core.

  Args:
    workdir: a run's folder, which needs what `[train]` installs, or a file of
      `export`; None for the weights that come along.
    fine: whether the second network is used, too; None: that of the weights
      that come along only, as of `predict`.

  Raises:
    UserError: there is no such network.
    SystemExit: the run could not be exported, and it has been said why.
  """
  if workdir is None:
    return remover.Remover(fine=None if fine is not False else False, threads=1)
  path = files.absolute(workdir)
  if not path.is_dir():
    return _of_file(path, fine)
  with tempfile.TemporaryDirectory() as folder:
    file = pathlib.Path(folder) / 'run.onnx'
    # In a process of its own: this one is to stay small.
    done = subprocess.run(
      [
        sys.executable, '-m', 'carvana_jax.export', f'--workdir={path}',
        f'--output={file}', *(['--fine'] if fine else []),
      ],
      check=False,
    )  # fmt: skip
    if done.returncode:
      sys.exit(done.returncode)
    return _of_file(file, fine)


def _of_file(path, fine):
  beside = path.with_name(f'{path.stem}-fine.onnx')
  return remover.Remover(path, beside if fine else False, threads=1)
