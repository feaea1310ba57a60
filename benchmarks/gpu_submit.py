"""Times `submit` on links to the photos of a folder, as benchmarks/predict.py.

    python -m benchmarks.gpu_submit --workdir=runs/a --input=FOLDER/train \\
        --images=4000 --json=FILE
"""

from absl import flags

from carvana_jax.system import cli

if __name__ == '__main__':
  flags.DEFINE_string('workdir', None, 'Folder of a run.', required=True)
  flags.DEFINE_string('input', None, 'Folder of photos.', required=True)
  flags.DEFINE_integer('images', 4000, 'How many.', lower_bound=1)
  flags.DEFINE_string('json', None, 'File for the figures.', required=True)
  cli.parse()

import json
import os
import pathlib
import tempfile

from benchmarks import predict, workers
from carvana_jax.inference import finding
from carvana_jax.system import files


def main() -> None:
  """The command line."""
  args = flags.FLAGS
  json_file = workers.output_file(args.json)
  found = finding.find(args.input)
  size = found[0].pixels().shape[:2]
  with tempfile.TemporaryDirectory() as root:
    root = pathlib.Path(root)
    many = predict.link(found, root / 'many', args.images)
    words = predict.command(files.absolute(args.workdir), many, size)
    course = predict.watch(words, root / 'many.csv', args.images)
  print(predict.course_lines(course))
  record = {
    'photos': course.photos,
    'submit_s': course.seconds,
    'photos_per_second': course.photos / course.seconds,
    'without_start': course.rate,
    'cores_busy': course.cpu_seconds / course.seconds / os.cpu_count(),
  }
  files.write(json_file, json.dumps(record, indent=2) + '\n')


if __name__ == '__main__':
  cli.run(main)
