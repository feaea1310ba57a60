"""Examines photos and masks before a network is trained on them.

    python -m carvana_jax.doctor --manual_dir=FOLDER
    python -m carvana_jax.doctor --dataset=folder --manual_dir=FOLDER
    python -m carvana_jax.doctor --data=data/studio/128x192/1.0.1

The first examines the competition's files, in any form, the second your own
photos and masks, the third a data set that was prepared or rendered. Every
labelled photo and its mask are read once. OUTPUT/report.csv has one line per
finding, OUTPUT/suspects.png shows the worst 48; a later call replaces them. The
exit code is 1 if training would be wrong, and 0 if there are no findings, or
only some that are worth a look.
"""

from absl import flags

from carvana_jax.system import cli, common_flags

if __name__ == '__main__':
  flags.DEFINE_enum(
    'dataset', 'carvana', ['carvana', 'folder'], 'What manual_dir holds.'
  )
  flags.DEFINE_string(
    'manual_dir', None, "Folder of the competition's files, or of your own."
  )
  flags.DEFINE_string('data', None, 'Folder of a prepared data set.')
  flags.DEFINE_string(
    'output', 'doctor', 'Folder for the report; made if missing.'
  )
  common_flags.define_folder()
  flags.adopt_module_key_flags(common_flags)  # shown by --help
  cli.parse()

import sys

from carvana_jax.datasets.diagnosis import findings, report, suspects_sheet
from carvana_jax.system import files
from carvana_jax.system.errors import UserError


def main() -> None:
  """Runs the command."""
  args = flags.FLAGS
  output = files.absolute(args.output)
  files.check_folder(output)
  listing, picture = report.places(output)
  options = common_flags.folder_options()
  if options and (args.dataset != 'folder' or args.data is not None):
    raise UserError(
      f'--{min(options)} is for --dataset=folder with --manual_dir; leave it '
      'out.'
    )
  try:
    collection = report.collection_of(
      args.manual_dir, args.data, options if args.dataset == 'folder' else None
    )
  except UserError as error:
    raise UserError(common_flags.in_flags(str(error))) from error
  for line in collection.left_out:
    print(common_flags.in_flags(line), flush=True)
  examined = report.examine(collection)
  checks = findings.diagnose(examined, collection)
  output.mkdir(parents=True, exist_ok=True)
  cells = report.suspects(checks, examined)
  sheet = suspects_sheet.draw(cells, collection)
  replaced = ', in place of earlier ones' if listing.exists() else ''
  files.write(listing, report.report(checks))
  files.write(picture, sheet)
  print(report.table(checks))
  print(f'\nall findings: {listing}{replaced}\nthe worst: {picture}')
  if any(x.findings and x.severity == findings.WRONG for x in checks):
    print('training on these data would be wrong')
    sys.exit(1)


if __name__ == '__main__':
  cli.run(main)
