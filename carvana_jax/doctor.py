"""Examines photos and masks before a network is trained on them.

    python -m carvana_jax.doctor --manual_dir=FOLDER
    python -m carvana_jax.doctor --data=data/studio/128x192/1.0.1

The first examines the competition's files, in any form, the second a data set
that was prepared from them or rendered. Every labelled photo and its mask are
read once. OUTPUT/report.csv has one line per finding, OUTPUT/suspects.png shows
the worst 48. The exit code is 1 if training would be wrong, and 0 if there are
no findings, or only some that are worth a look.
"""

from absl import flags

from carvana_jax.system import cli

if __name__ == '__main__':
  flags.DEFINE_string('manual_dir', None, "Folder of the competition's files.")
  flags.DEFINE_string('data', None, 'Folder of a prepared data set.')
  flags.DEFINE_string(
    'output', 'doctor', 'Folder for the report; made if missing.'
  )
  cli.parse()

import sys

from carvana_jax.datasets.diagnosis import findings, report, suspects_sheet
from carvana_jax.system import files
from carvana_jax.system.errors import UserError


def main() -> None:
  """Runs the command."""
  args = flags.FLAGS
  output = files.absolute(args.output)
  picture, listing = output / 'suspects.png', output / 'report.csv'
  for path in (picture, listing):
    if path.exists():
      raise UserError(f'{path} exists; choose another --output.')
  files.check_folder(output)
  collection = report.collection_of(args.manual_dir, args.data)
  examined = report.examine(collection)
  checks = findings.diagnose(examined, collection)
  output.mkdir(parents=True, exist_ok=True)
  files.write(listing, report.report(checks))
  cells = report.suspects(checks, examined)
  files.write(picture, suspects_sheet.draw(cells, collection.soft))
  print(report.table(checks))
  print(f'\nall findings: {listing}\nthe worst: {picture}')
  if any(x.findings and x.severity == findings.WRONG for x in checks):
    print('training on these data would be wrong')
    sys.exit(1)


if __name__ == '__main__':
  cli.run(main)
