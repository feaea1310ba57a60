"""The kinds of files that networks are exported to, by their endings."""

import importlib
import pathlib
from typing import NamedTuple

from carvana_jax.exporting.options import Options
from carvana_jax.inference import networks
from carvana_jax.portable import forms
from carvana_jax.system import files
from carvana_jax.system.errors import UserError
from carvana_jax.training import trained_run


class _Kind(NamedTuple):
  module: str  # imported when needed; has `write`, with the arguments of ours
  forms: tuple[str, ...]
  precisions: tuple[str, ...]  # the first is the usual one


_ALL, _NETWORK = forms.FORMS, forms.FORMS[:1]
# By the file's ending.
_KINDS = {
  '.onnx': _Kind('onnx_file', _ALL, forms.PRECISIONS),
  '.safetensors': _Kind('network_files', _NETWORK, ('float32', 'float16')),
  '.jax': _Kind('jax_file', _NETWORK, ('float32',)),
  '.html': _Kind('page_file', _NETWORK, ('float16', 'float32')),
}


def check(path: pathlib.Path, options: Options) -> Options:
  """Refuses what can't be written, before anything is loaded.

  Args:
    path: the file to be written.
    options: of the export.

  Returns:
    The options, with the usual precision where none was asked for.

  Raises:
    UserError: the ending is unknown, the file exists, its folder is missing, or
      it can't be written in this form or precision, or an option is of no use.
  """
  kind = _KINDS.get(path.suffix)
  if kind is None:
    raise UserError(
      f'--output={path} ends in none of {", ".join(_KINDS)}, which say what is '
      'written; choose one of them.'
    )
  precision = options.precision or kind.precisions[0]
  for flag, value, known in (
    ('for', options.form, kind.forms),
    ('precision', precision, kind.precisions),
  ):
    if value not in known:
      raise UserError(
        f'--{flag}={value} is of no use for {path.suffix} files; choose from '
        f'{", ".join(known)}.'
      )
  for flag, value, endings in (
    ('runtime', options.runtime, ('.html',)),
    ('photos', options.photos, ('.onnx', '.safetensors', '.html')),
  ):
    if value and path.suffix not in endings:
      raise UserError(
        f'--{flag} is of no use for {path.suffix} files; leave it out.'
      )
  refuse_existing(path)
  if not path.parent.is_dir():
    raise UserError(f'{path.parent} is no folder; make it first.')
  files.check_folder(path.parent)
  return options._replace(precision=precision)


def refuse_existing(path: pathlib.Path) -> None:
  """Raises a `UserError` where a file would be overwritten."""
  if path.exists() or path.is_symlink():
    raise UserError(f'{path} exists; choose another --output or remove it.')


def paths_of(path: pathlib.Path, run: trained_run.Run) -> list[pathlib.Path]:
  """Returns where networks go that have files of their own.

  Args:
    path: X.onnx, say, of the first network.
    run: the network; its second one, if there is one, goes to X-fine.onnx.

  Raises:
    UserError: the latter exists.
  """
  if not run.fine:
    return [path]
  second = path.with_name(f'{path.stem}-fine{path.suffix}')
  refuse_existing(second)
  return [path, second]


def write(
  nets: networks.Networks, path: pathlib.Path, options: Options
) -> None:
  """Writes trained networks to a file, whole or not at all.

  Args:
    nets: the networks, and how masks are made of what they say.
    path: the file, whose ending says of what kind it is, see `check`.
    options: of the export.

  Raises:
    UserError: such networks can't be exported to this kind of file, or the file
      would not do what the networks do.
  """
  if len(nets.runs) > 1:
    raise UserError(
      f'{path.name} holds the network of one run, and these are '
      f'{len(nets.runs)}; give one --workdir, of a run that is no '
      'cross-validation.'
    )
  module = f'{__package__}.{_KINDS[path.suffix].module}'
  importlib.import_module(module).write(nets, path, options)
