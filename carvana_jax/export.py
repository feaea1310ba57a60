"""Writes a trained network to a file for other programs.

    python -m carvana_jax.export --workdir=runs/a --output=a.onnx
    python -m carvana_jax.export --workdir=runs/a --output=a.onnx --for=photo \\
        --tuned --photos=photos
    python -m carvana_jax.export --workdir=runs/a --output=small.onnx \\
        --precision=int8
    python -m carvana_jax.export --workdir=runs/a --output=a.safetensors --fine
    python -m carvana_jax.export --output=page.html

Without --workdir the networks that come along in weights/ are written. The
ending says as what: .onnx, for ONNX Runtime and what else reads ONNX;
.safetensors, the weights with the config beside them, which commands take in
place of a run; .jax, a file of jax.export; or .html, a page that cuts objects
out in a browser, with the first network alone. A file that exists is not
overwritten.

An .onnx file has one of three forms. For a network: a picture of the network's
size, uint8 [batch, h, w, 3], to probability and logits. For a photo: uint8
[height, width, 3] of any size to the probability of each pixel. For rembg: as
its custom models are. With --fine the second network is written to
NAME-fine.onnx. The file is first run on photos beside JAX; a line tells what
differs, and what differs by more than rounding is not written.

float16 halves the file; the network computes as before. int8 makes it a quarter
and the network twice as fast; a line tells what that costs in Dice.
"""

from absl import flags

from carvana_jax.portable import forms
from carvana_jax.system import cli

if __name__ == '__main__':
  flags.DEFINE_multi_string(
    'workdir',
    None,
    'Folder of a run, or a .safetensors file that was made of one. Default: '
    'the weights that come along.',
  )
  flags.DEFINE_string(
    'output',
    None,
    'The file, .onnx, .safetensors, .jax or .html.',
    required=True,
  )
  flags.DEFINE_enum(
    'for', 'network', forms.FORMS, 'What an .onnx file is given.'
  )
  flags.DEFINE_enum(
    'precision',
    None,
    forms.PRECISIONS,
    'Of the weights in the file; default: float32, in a page float16.',
  )
  flags.DEFINE_string(
    'photos',
    None,
    'Photos to check the file on, and to calibrate int8: a folder, a file, a '
    'pattern in quotes or a ZIP. Default: of the photos that the run has '
    'prepared those for validation, and for int8 those that it trained on.',
  )
  flags.DEFINE_bool(
    'tuned', False, 'Use threshold and cleaning that were best on validation.'
  )
  flags.DEFINE_bool(
    'fine', False, 'Also write the second network that refine has trained.'
  )
  flags.DEFINE_string(
    'runtime',
    None,
    'For a page: the archive or folder of the npm package onnxruntime-web. '
    'Default: it is fetched from the npm registry, and kept.',
  )
  cli.parse()

from carvana_jax.exporting import kinds
from carvana_jax.exporting.options import Options
from carvana_jax.inference import networks
from carvana_jax.parallel import compilation_cache, devices
from carvana_jax.system import files


def main() -> None:
  """Runs the command."""
  args = flags.FLAGS
  devices.use_all_cores()
  compilation_cache.use()
  output = files.absolute(args.output)
  options = Options(
    run=_name(args.workdir),
    form=args['for'].value,
    precision=args.precision,
    photos=args.photos,
    runtime=files.absolute(args.runtime) if args.runtime else None,
  )
  options = kinds.check(output, options)
  nets = networks.load(args.workdir, args.tuned, args.fine)
  kinds.write(nets, output, options)


def _name(workdirs):
  """What the file calls the run."""
  first = files.absolute(workdirs[0]) if workdirs else networks.READY
  return first.name.removesuffix('.safetensors')


if __name__ == '__main__':
  cli.run(main)
