"""Fetches the competition's files with the Kaggle client, when asked to."""

import os
import pathlib
import shutil
import subprocess
import sys

from etils import epath

from carvana_jax.datasets.carvana import archives
from carvana_jax.system.errors import UserError

_RULES = f'accept the rules at {archives.HOMEPAGE}/rules'


def fetch_if_missing(manual_dir: epath.PathLike) -> None:
  """Downloads the competition, 24 GB in one archive, unless it is there.

  Args:
    manual_dir: the folder to look into and to download to.

  Raises:
    UserError: there is no Kaggle client or there are no credentials, or the
      client fails.
  """
  try:
    archives.find(manual_dir, unlabeled=False)
  except archives.MissingFilesError:
    _fetch(epath.Path(manual_dir).expanduser())


def _fetch(folder: epath.Path) -> None:
  client = _client()
  if not client:
    raise UserError(
      f'there is no Kaggle client to fetch {archives.COMPETITION}: pip install'
      f' kaggle, then {_RULES}.'
    )
  if not _has_credentials():
    raise UserError(
      f'no Kaggle credentials to fetch {archives.COMPETITION}: create an API'
      ' token at https://www.kaggle.com/settings, save it as'
      f' ~/.kaggle/kaggle.json, and {_RULES}.'
    )
  folder.mkdir(parents=True, exist_ok=True)
  command = [client, 'competitions', 'download']
  command += ['-c', archives.COMPETITION, '-p', str(folder)]
  # Its output stays on the terminal: the download takes hours.
  code = subprocess.run(command, check=False).returncode
  if code:
    raise UserError(
      f'`kaggle competitions download` ended with code {code}, see its output'
      f' above: {_RULES} and check your Kaggle credentials.'
    )


def _client() -> str | None:
  """Returns the client on the PATH or of this environment; None without one."""
  environment = pathlib.Path(sys.executable).parent
  return shutil.which('kaggle') or shutil.which('kaggle', path=environment)


def _has_credentials() -> bool:
  """Returns whether the client would find a token in a variable or a file."""
  for names in ({'KAGGLE_API_TOKEN'}, {'KAGGLE_USERNAME', 'KAGGLE_KEY'}):
    if names <= os.environ.keys():
      return True
  folder = os.environ.get('KAGGLE_CONFIG_DIR', '~/.kaggle')
  folder = epath.Path(folder).expanduser()
  return any((folder / x).exists() for x in ('kaggle.json', 'access_token'))
