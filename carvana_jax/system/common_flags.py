"""Flags that several commands have, and what their values must be."""

import re
from typing import Any

from absl import flags

from carvana_jax.system.errors import UserError

# Fields of `config.data` that are flags of commands which have no config.
_FOLDER = {
  'groups': flags.DEFINE_string,
  'mask_ending': flags.DEFINE_string,
  'object_values': flags.DEFINE_string,
  'resize_masks': flags.DEFINE_bool,
}


def define_run_processes() -> None:
  """Defines how a process of a run finds the others that train with it."""
  flags.DEFINE_string(
    'coordinator',
    None,
    'HOST:PORT of process 0, where several processes train one run together. '
    'SLURM, Open MPI, Kubernetes and TPU pods are asked if this is not given.',
  )
  _define_process_numbers('train one run together')


def define_photos() -> None:
  """Defines what `predict` and `submit` have in common."""
  flags.DEFINE_multi_string(
    'workdir',
    None,
    'Folder of a run, or a .safetensors file of export; several average their '
    'logits. Default: both networks of weights/, for cars as in the Carvana '
    'challenge.',
  )
  flags.DEFINE_string(
    'input',
    None,
    "Photos: a folder, a file, a pattern in quotes ('in/*.jpg') or a ZIP.",
  )
  flags.DEFINE_bool(
    'recursive',
    False,
    'Also take photos in sub-folders; the outputs of predict mirror these.',
  )
  flags.DEFINE_bool(
    'tuned', False, 'Use threshold and cleaning that were best on validation.'
  )
  flags.DEFINE_bool(
    'fine',
    None,
    'Also use the second network that refine has trained. Default: only '
    'without --workdir.',
  )
  flags.DEFINE_bool(
    'strict', False, 'Stop at the first photo that cannot be read.'
  )
  _define_process_numbers(
    'share the photos, without talking to each other',
    ' Default: as a SLURM job array, srun or Open MPI has it, else one. What a '
    'dead process has left is made by the same command with --num_processes=1.',
  )


def define_folder() -> None:
  """Defines how a folder of own photos is read, as `config.data` has it."""
  for name, kind in _FOLDER.items():
    kind(name, None, f'With --dataset=folder: as config.data.{name}.')


def folder_options() -> dict[str, Any]:
  """Returns the flags of `define_folder` that are given."""
  return {x: flags.FLAGS[x].value for x in _FOLDER if flags.FLAGS[x].present}


def in_flags(text: str) -> str:
  """Returns a message on `config.data` with the flags of `define_folder`."""
  fields = '|'.join(('manual_dir', *_FOLDER))
  return re.sub(rf'(--)?(config\.)?\bdata\.({fields})\b', r'--\3', text)


def refuse_beside(flag: str, *others: str) -> None:
  """Refuses flags that are of no use beside another one.

  Args:
    flag: the name of that one.
    others: the names of those that may not be given.

  Raises:
    UserError: one of them is given.
  """
  for name in others:
    if flags.FLAGS[name].present:
      raise UserError(
        f'--{name} is of no use beside --{flag}; leave one of them out.'
      )


def check_process_id(index: int, count: int) -> None:
  """Checks --process_id against --num_processes.

  Args:
    index: the number of this process, as the flag has it.
    count: how many processes there are.

  Raises:
    UserError: there is no process of that number.
  """
  if not 0 <= index < count:
    raise UserError(
      f'--process_id={index} must be from 0 to --num_processes={count} less 1.'
    )


def _define_process_numbers(task, more=''):
  """Defines which of how many processes this one is."""
  flags.DEFINE_integer(
    'num_processes', None, f'How many processes {task}.{more}'
  )
  flags.DEFINE_integer(
    'process_id',
    None,
    f'Which of the processes that {task}, this one is, from 0 on.',
  )
