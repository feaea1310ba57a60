"""Writes a trained network as a file of `jax.export`, with its weights."""

import pathlib

import jax
import jax.export
import numpy as np

from carvana_jax.datasets import prepare
from carvana_jax.exporting import kinds
from carvana_jax.exporting.options import Options
from carvana_jax.inference import networks, predictor
from carvana_jax.models import conv
from carvana_jax.system import files
from carvana_jax.training import trained_run

PLATFORMS = ('cpu', 'cuda', 'tpu')


def write(
  nets: networks.Networks, path: pathlib.Path, options: Options
) -> None:
  """Writes a network, and its second one where it has one.

  Args:
    nets: the network.
    path: X.jax; a second network becomes X-fine.jax.
    options: of the export, all of which leave the file as it is.

  Raises:
    UserError: X-fine.jax exists.
  """
  del options
  run = nets.runs[0]
  paths = kinds.paths_of(path, run)
  for one, network in zip(paths, (run, run.fine), strict=False):
    files.write(one, bytes(exported(network).serialize()))
    print(f'{one}: images to logits on {", ".join(PLATFORMS)}')


def exported(run: trained_run.Run) -> jax.export.Exported:
  """Returns a network as a program for each of `PLATFORMS`.

  It is given images, uint8 [b, h, w, C], of any number b, and returns logits,
  float32 [b, h, w]: with `config.eval.flip` the mean with those of the mirrored
  images.

  Args:
    run: the network.
  """
  variables = jax.tree.map(np.asarray, run.variables)
  height, width, channels = prepare.input_shape(run.config.data)
  (batch,) = jax.export.symbolic_shape('b')

  def for_platform(name):
    def logits(variables, images):
      with conv.traced_for(name):
        return predictor.logits(
          run.model, run.config.eval.flip, variables, images
        )

    return logits

  def logits(images):
    return jax.lax.platform_dependent(
      variables, images, cpu=for_platform('cpu'), default=for_platform('gpu')
    )

  return jax.export.export(jax.jit(logits), platforms=PLATFORMS)(
    jax.ShapeDtypeStruct((batch, height, width, channels), np.uint8)
  )
