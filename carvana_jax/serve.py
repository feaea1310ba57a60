"""Cuts objects out of the photos that programs and browsers send.

    python -m carvana_jax.serve
    python -m carvana_jax.serve --workdir=car.safetensors --port=9000
    curl --data-binary @photo.jpg http://127.0.0.1:8000/cutout --output car.png

A photo that is sent (POST) to /mask, /cutout, /composite, /probability or
/levels is answered with what `predict` makes of it. A browser gets a page for
photos at /. /openapi.json describes all of it; /health, /ready and /metrics are
for those who watch over it.

Without --workdir it uses the weights that come with the project. It listens to
this machine only, unless --host says otherwise, and ends in good order at
Ctrl-C or SIGTERM: photos that have come are answered.
"""

import math

from absl import flags

from carvana_jax.system import cli, malloc

if __name__ == '__main__':
  flags.DEFINE_string(
    'workdir',
    None,
    'Folder of a run, FILE.safetensors or FILE.onnx; default: the weights that '
    'come with the project.',
  )
  flags.DEFINE_bool(
    'fine',
    None,
    'Also use the second network. Default: only without --workdir.',
  )
  flags.DEFINE_string(
    'host', '127.0.0.1', 'Address to listen at; 0.0.0.0 for all of them.'
  )
  flags.DEFINE_integer(
    'port', 8000, 'Port to listen at; 0 for a free one.', 0, 65535
  )
  flags.DEFINE_integer(
    'workers',
    None,
    'How many photos are worked on at the same time; default: one a core.',
    lower_bound=1,
  )
  flags.DEFINE_integer(
    'queue', 16, 'How many more photos may wait; others get 429.', 0
  )
  flags.DEFINE_float(
    'timeout', 30, 'Seconds that a photo takes at most, else 408 or 503.', 0.1
  )
  flags.DEFINE_float(
    'max_megabytes', 30, "Of a photo's file at most, else 413.", 0.001
  )
  flags.DEFINE_float(
    'max_megapixels', 50, 'Of a photo at most, else 413.', 0.001
  )
  for name in ('timeout', 'max_megabytes', 'max_megapixels'):
    flags.register_validator(name, math.isfinite, 'it is no number')
  cli.parse()
  malloc.keep_freed_photos()

from carvana_jax.page import build
from carvana_jax.serving import app, limits, networks, server
from carvana_jax.system import threads


def main() -> None:
  """Runs the command."""
  args = flags.FLAGS
  most = limits.Limits(
    args.max_megabytes,
    args.max_megapixels,
    args.timeout,
    args.queue,
    args.workers or threads.core_count(),
  )
  listening = server.listen(args.host, args.port)
  remove = networks.load(args.workdir, args.fine)
  page = build.page(remove.facts)
  served = app.build(remove, most, page, server.names(args.host))
  print(
    f'http://{server.address(listening)} waits for photos; Ctrl-C ends it.',
    flush=True,
  )
  server.run(served, listening, args.timeout)


if __name__ == '__main__':
  cli.run(main)
