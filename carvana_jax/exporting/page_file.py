"""Writes the page that cuts objects out in a browser, see `page.build`."""

import dataclasses
import pathlib

from carvana_jax.exporting import onnx_file, run_facts
from carvana_jax.exporting.options import Options
from carvana_jax.inference import networks
from carvana_jax.page import build, runtime
from carvana_jax.system import files
from carvana_jax.system.errors import UserError


def write(
  nets: networks.Networks, path: pathlib.Path, options: Options
) -> None:
  """Writes the page, once its network has been checked beside JAX.

  Args:
    nets: the network, and how masks are made of what it says.
    path: X.html.
    options: of the export.

  Raises:
    UserError: the network needs more than one photo, ONNX Runtime does not do
      what JAX does, or the runtime can't be had.
  """
  if nets.multiview:
    raise UserError(
      'the network compares all views of a car, and the page asks about one '
      'photo at a time; choose another --workdir.'
    )
  if nets.fine:
    print('the page asks the first network alone, not the second one')
  run = dataclasses.replace(nets.runs[0], fine=None)
  nets = nets._replace(runs=[run])
  program = runtime.load(options.runtime)
  sample = onnx_file.sample_to_check(nets, options)
  model = onnx_file.model_of(nets, run, sample, options)
  about = run_facts.of(run, nets, options)
  text = build.page(about, model.SerializeToString(), program)
  files.write(path, text)
  print(f'wrote {path} ({len(text.encode()) / 1e6:.1f} MB)')
