"""What exported files say of a trained network, see `portable.facts`."""

import dataclasses

from carvana_jax.datasets import prepare
from carvana_jax.exporting.options import Options
from carvana_jax.inference import networks
from carvana_jax.masks import cleaning, from_logits
from carvana_jax.portable import facts
from carvana_jax.training import provenance, trained_run

# What files are given, by the number of channels of the network's input.
_INPUTS = {
  3: facts.RGB,
  4: facts.TILE,
  6: (*facts.RGB, *(f'difference_{colour}' for colour in facts.RGB)),
  # Without the difference from the empty studio: files look at single photos,
  # of which it is not known, and so 0.
  8: facts.TILE,
}


def of(
  run: trained_run.Run, nets: networks.Networks, options: Options
) -> facts.Facts:
  """Returns what an exported file says of a network.

  Args:
    run: the network, which is that of `nets` or its second one.
    nets: how masks are made of what it says.
    options: of the export.
  """
  height, width, channels = prepare.input_shape(run.config.data)
  # Photos are compared with levels, so what is told is a level's threshold.
  level = from_logits.level_of(nets.masking.threshold)
  commit = provenance.commit()
  return facts.Facts(
    form=options.form,
    precision=options.precision,
    size=(height, width),
    fit=run.config.data.fit,
    inputs=_INPUTS[channels],
    flip=run.config.eval.flip,
    threshold=from_logits.threshold_of(level),
    cleaning=cleaning.configured_way(nets.masking),
    object=nets.word,
    network=dataclasses.replace(run, fine=None).digest(),
    run=options.run,
    step=run.step,
    commit='' if ' ' in commit else commit,
  )
