"""Writes a page about a run: report.html, which needs no other file.

    python -m carvana_jax.report --workdir=runs/a

The page has scores, learning curves, where the errors are and what to do next,
the best and the worst predictions, groups and layers. It can be made while a
run is going on; what isn't there yet is then left out.
"""

from absl import flags

from carvana_jax.system import cli

if __name__ == '__main__':
  flags.DEFINE_string('workdir', None, 'Folder of the run.', required=True)
  cli.parse()

from carvana_jax.reporting import run_report
from carvana_jax.system import files


def main() -> None:
  """Runs the command."""
  args = flags.FLAGS
  workdir = files.absolute(args.workdir)
  text = run_report.report(workdir)
  # A page is made from what is there, so an older one is no loss.
  files.write(workdir / 'report.html', text)
  print(f'written to {workdir / "report.html"}, {len(text) / 1e6:.1f} MB')


if __name__ == '__main__':
  cli.run(main)
