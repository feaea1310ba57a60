"""Writes masks with this project's networks, when asked.

    python -m benchmarks.removers.own_masks WAY FILE

WAY is `remover` for the light library, `predict` for what the command of that
name does, or `first` for the same without the second network. A job is a line
of JSON: `input`, a folder of photos, and `output`, an existing folder for their
masks, NAME_mask.png. The answer is the CPU time in seconds, after a word of its
own, as libraries print, too.
"""

import json
import pathlib
import sys
import time
from collections.abc import Callable

from benchmarks.frameworks import serving

Make = Callable[[pathlib.Path, pathlib.Path], None]  # from photos to masks


def remover(file: str) -> Make:
  """Returns what makes masks with the light library."""
  from PIL import Image

  from carvana_jax import Remover

  remove = Remover(file)

  def make(photos, masks):
    for photo in sorted(photos.iterdir()):
      mask = Image.fromarray(remove(photo).mask)
      mask.save(masks / f'{photo.stem}_mask.png')

  return make


def predict(file: str, fine: bool) -> Make:
  """Returns what makes masks as `carvana_jax.predict` does."""
  from carvana_jax.system import malloc

  malloc.keep_freed()
  from carvana_jax.inference import (
    finding,
    networks,
    outputs,
    predict_photos,
  )
  from carvana_jax.parallel import compilation_cache, devices

  devices.use_all_cores()
  compilation_cache.use()
  nets = networks.load([file], tuned=False, fine=fine)

  def make(photos, masks):
    found = finding.find(str(photos))
    predict_photos.predict_share(nets, found, masks, outputs.Wanted(), {})

  return make


def main() -> None:
  """Answers until its input ends."""
  way, file = sys.argv[1:]
  make = remover(file) if way == 'remover' else predict(file, way == 'predict')
  for line in sys.stdin:
    job = json.loads(line)
    begun = time.process_time()
    make(pathlib.Path(job['input']), pathlib.Path(job['output']))
    print(serving.ANSWER, time.process_time() - begun, flush=True)


if __name__ == '__main__':
  main()
