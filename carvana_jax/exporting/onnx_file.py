"""Writes trained networks as files of ONNX, once they have been checked."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
import onnx

from carvana_jax.exporting import (
  check,
  kinds,
  onnx_forms,
  onnx_network,
  onnx_precision,
  references,
  run_facts,
  sample_photos,
)
from carvana_jax.exporting.options import Options
from carvana_jax.inference import networks
from carvana_jax.inference.prediction import Prediction
from carvana_jax.masks import from_logits
from carvana_jax.portable import facts
from carvana_jax.system import files
from carvana_jax.system.errors import UserError
from carvana_jax.training import network_file, trained_run

_CHECKED = 20  # photos
_CALIBRATED = 40  # photos


def write(
  nets: networks.Networks, path: pathlib.Path, options: Options
) -> None:
  """Writes a network, and its second one into a file of its own.

  Before, both are run on photos, beside JAX; what was found is printed.

  Args:
    nets: the network, and how masks are made of what it says.
    path: X.onnx; a second network is written to X-fine.onnx.
    options: of the export.

  Raises:
    UserError: the network has no such form or precision, or a file would not do
      what the network does.
  """
  _refuse_form(nets, options.form)
  paths = kinds.paths_of(path, nets.runs[0])
  if options.form == 'rembg':
    nets = _stretched(nets)
  sample = sample_to_check(nets, options)
  run = nets.runs[0]
  models = [model_of(nets, x, sample, options) for x in (run, run.fine) if x]
  for one, model in zip(paths, models, strict=True):
    content = model.SerializeToString()
    files.write(one, content)
    print(f'wrote {one} ({len(content) / 1e6:.1f} MB)')


def sample_to_check(
  nets: networks.Networks, options: Options
) -> sample_photos.Sample:
  """Returns photos to check files on; says so where there are none."""
  sample = sample_photos.choose(nets, options.photos, _CHECKED)
  if not sample.real and options.precision != 'int8':  # which needs photos
    print(
      'no photos are at hand (--photos=FOLDER gives some), so the file is '
      'checked on made-up pictures'
    )
  return sample


def model_of(
  nets: networks.Networks,
  run: trained_run.Run,
  sample: sample_photos.Sample,
  options: Options,
) -> onnx.ModelProto:
  """Returns a network as a model, after it has been checked.

  Args:
    nets: the networks, and how masks are made of what they say.
    run: that of the first or of the second network.
    sample: photos to check it on.
    options: of the export.

  Raises:
    UserError: it does not do what the network does.
  """
  about = run_facts.of(run, nets, options)
  network = network_of(nets, run, about, options.photos)
  references_of, things = what_jax_says(nets, run, sample.source)
  model, ask = network, None
  if options.form != 'network':
    if options.form == 'rembg':
      sample = sample.changed(onnx_forms.as_rembg)
    model = onnx_forms.of(options.form, network, about)
    session = check.session_of(model)
    ask = lambda pixels: onnx_forms.ask(session, options.form, pixels)
    references_of = functools.partial(references_of, keep=True)
  found = check.compare(
    run,
    references_of(nets, sample, 'checking'),
    things,
    network,
    options.precision,
    from_logits.level_of(about.threshold),
    ask,
  )
  exact = options.precision == 'float32'
  print(found.exact_line() if exact else found.dice_line())
  return model


def what_jax_says(
  nets: networks.Networks, run: trained_run.Run, photos: str
) -> tuple[Callable[..., Iterator[tuple[Any, Prediction]]], str]:
  """Returns the function of `references` for a network, and what it is given.

  Args:
    nets: the networks.
    run: that of the first or of the second network.
    photos: what the sample is called.
  """
  if run is nets.runs[0].fine:
    return references.of_tiles, f'tiles of {photos}'
  return references.of_photos, photos


def network_of(
  nets: networks.Networks,
  run: trained_run.Run,
  about: facts.Facts,
  photos: str | None,
) -> onnx.ModelProto:
  """Returns a network as a model of form `network`, in any precision.

  Args:
    nets: the networks.
    run: that of the first or of the second network.
    about: what the file will say, with its precision.
    photos: to calibrate int8 on, see `Options`.

  Raises:
    UserError: int8 is asked for and there are no photos.
  """
  model = onnx_network.model(
    run, _arrays(run), dataclasses.replace(about, form='network')
  )
  if about.precision == 'float16':
    onnx_precision.to_float16(model)
  if about.precision != 'int8':
    return model
  sample = sample_photos.choose(nets, photos, _CALIBRATED, 'train')
  if not sample.real:
    raise UserError(
      '--precision=int8 needs photos, and those of the run are not there; give '
      '--photos=FOLDER.'
    )
  references_of, _ = what_jax_says(nets, run, '')
  images = (
    prediction.given.inputs[0].image[..., : len(about.inputs)]
    for _, prediction in references_of(nets, sample, 'calibrating')
  )
  return onnx_precision.to_int8(model, images)


def _refuse_form(nets, form):
  """Refuses forms that are given one photo where the network needs more."""
  if form == 'network':
    return
  for needs_more, reason in (
    (nets.multiview, 'the network compares all views of a car'),
    (nets.fine, 'a second network looks at tiles along the border'),
  ):
    if needs_more:
      raise UserError(
        f'--for={form} is of no use, as {reason}; choose --for=network.'
      )


def _stretched(nets):
  """Returns a network to which photos are stretched, as rembg does it."""
  run = nets.runs[0]
  if run.config.data.fit == 'stretch':
    return nets
  print(
    'rembg squashes photos, so the network sees them stretched to '
    f'{run.config.data.size}, other than in training (config.data.fit='
    f'{run.config.data.fit})'
  )
  config = run.config.copy_and_resolve_references()
  config.data.fit = 'stretch'
  return nets._replace(runs=[dataclasses.replace(run, config=config)])


def _arrays(run):
  """Returns the network's variables by their paths."""
  leaves = jax.tree_util.tree_leaves_with_path(run.variables)
  return {network_file.name_of(path): np.asarray(leaf) for path, leaf in leaves}
