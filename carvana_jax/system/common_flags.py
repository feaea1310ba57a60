"""Flags that several commands have."""

from absl import flags

from carvana_jax.system.errors import UserError


def define_processes() -> None:
  """Defines how a process of a run finds the others."""
  flags.DEFINE_string(
    'coordinator',
    None,
    'HOST:PORT of process 0, where several processes run together. SLURM, Open '
    'MPI, Kubernetes and TPU pods are asked where this is not given.',
  )
  flags.DEFINE_integer('num_processes', None, 'How many run together.')
  flags.DEFINE_integer(
    'process_id', None, 'Which of them this one is, from 0 on.'
  )


def define_photos() -> None:
  """Defines what `predict` and `submit` have in common."""
  flags.DEFINE_multi_string(
    'workdir', None, 'Folder of a run; several average their logits.'
  )
  flags.DEFINE_string(
    'input',
    None,
    "Photos: a folder, a file, a pattern in quotes ('in/*.jpg') or a ZIP.",
  )
  flags.DEFINE_bool(
    'tuned', False, 'Use threshold and cleaning that were best on validation.'
  )
  flags.DEFINE_bool(
    'fine', False, 'Also use the second network that refine has trained.'
  )
  flags.DEFINE_bool(
    'strict', False, 'Stop at the first photo that cannot be read.'
  )
  flags.DEFINE_integer(
    'process_id', 0, 'Which of several processes this is, from 0 on.'
  )
  flags.DEFINE_integer(
    'num_processes', 1, 'How many processes share the photos.'
  )


def process_share() -> tuple[int, int]:
  """(process_id, num_processes); `UserError` where there is no such one."""
  index, count = flags.FLAGS.process_id, flags.FLAGS.num_processes
  if not 0 <= index < count:
    raise UserError(
      f'--process_id={index} must be from 0 to --num_processes={count} less 1.'
    )
  return index, count
