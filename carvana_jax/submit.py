"""Writes a submission to Kaggle's Carvana challenge, or checks one.

    python -m carvana_jax.submit --workdir=runs/a --input=test.zip \\
        --output=submission.csv.gz
    python -m carvana_jax.submit --check=submission.csv.gz --input=test.zip

Without --workdir the networks that come along in weights/ are used. There is
one row per photo, img,rle_mask, in the order of the photos' names. While it is
made, OUTPUT.parts holds finished rows, so that an interrupted command goes on
where it stopped, and makes again what photos have changed of.
Of several processes (a SLURM job array, srun, Open MPI's mpirun, or
--process_id and --num_processes) the last one to finish joins the parts, and
what one that died has left is made by the same command with --num_processes=1.
Photos that are damaged or missing get an empty mask, are listed in
OUTPUT.failed.csv, and make the exit code 1; if all of them are, it is 2.
"""

from absl import flags

from carvana_jax.datasets import names
from carvana_jax.system import cli, common_flags, malloc

if __name__ == '__main__':
  common_flags.define_photos()
  flags.adopt_module_key_flags(common_flags)  # shown by --help
  flags.DEFINE_string(
    'output', None, 'The submission, .csv or .csv.gz; must not exist.'
  )
  flags.DEFINE_string(
    'sample',
    None,
    'sample_submission.csv (or .zip), whose rows are wanted. Default: a row a '
    'photo.',
  )
  flags.DEFINE_string(
    'size', names.ORIGINAL_SIZE, 'HEIGHTxWIDTH that all photos must have.'
  )
  flags.DEFINE_string(
    'check', None, 'Say what is wrong with this submission, and do no more.'
  )
  cli.parse()
  malloc.keep_freed()

import sys

from carvana_jax.datasets import spec
from carvana_jax.inference import finding, networks
from carvana_jax.parallel import compilation_cache, devices, shares
from carvana_jax.submission import make
from carvana_jax.system import files
from carvana_jax.system.errors import UserError

_MAKING = (  # flags that --check does nothing with
  'workdir', 'output', 'tuned', 'fine', 'strict', 'num_processes', 'process_id'
)  # fmt: skip


def main() -> None:
  """Runs the command."""
  args = flags.FLAGS
  size = spec.parse_size(args.size)
  if args.check:
    common_flags.refuse_beside('check', *_MAKING)
    if args.sample:
      common_flags.refuse_beside('sample', 'input', 'recursive')
    if args.recursive and not args.input:
      raise UserError('--recursive is of no use without --input.')
    path = files.absolute(args.check)
    if not make.print_problems(
      path, args.sample, args.input, size, args.recursive
    ):
      sys.exit(1)
    return
  for name in ('input', 'output'):
    if not args[name].value:
      raise UserError(f'--{name} is missing; see --help.')
  shares.use_own_gpus()
  devices.use_all_cores()
  compilation_cache.use()
  output = make.output_file(args.output)
  share = shares.of_this_process(args.process_id, args.num_processes)
  found = finding.find(
    args.input, args.recursive, flat=True, own=make.files_of(output)
  )
  rows = make.rows_of(found, args.sample)
  nets = networks.load(args.workdir, args.tuned, args.fine)
  notes = {'input': str(files.absolute(args.input))}
  if not make.submit(output, nets, rows, size, notes, share, args.strict):
    sys.exit(1)


if __name__ == '__main__':
  cli.run(main)
