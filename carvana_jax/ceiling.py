"""What resolution alone costs: the score of perfect masks of a network's size.

A network's own score may come out higher, as logits can place a border better
than the share of a pixel does; but those seen so far stay well below.
"""

import jax
import numpy as np
import tensorflow_datasets as tfds

from carvana_jax import metrics, prepare, steps
from carvana_jax.datasets import images, workers


def ceilings(data_config, split: str) -> dict[str, float]:
  """Mean Dice at full size of true masks that were reduced and enlarged.

  Args:
    data_config: `config.data`, whose `size` is the network's.
    split: train, validation or test.

  Returns:
    soft: of area-averaged masks, enlarged by Keys' cubic and cut at one half;
    hard: of masks cut at one half first and enlarged to the nearest pixel.
  """
  network = prepare.for_network(data_config).as_data_source(split)
  skip = tfds.decode.SkipDecoding()
  full = prepare.for_scoring(data_config).as_data_source(
    split, decoders={'image': skip, 'mask': skip}
  )
  # The two data sets may be stored in different orders.
  position = {full[i]['filename']: i for i in range(len(full))}

  def scores(index):
    example = network[index]
    true = images.decode_mask(full[position[example['filename']]]['mask']) > 127
    small = example['mask'][..., 0]
    box = example.get('box', np.array([0, 0, *true.shape], np.int32))
    return {
      'soft': metrics.mask_scores(_soft(small, true.shape, box), true)['dice'],
      'hard': metrics.mask_scores(_hard(small, true.shape, box), true)['dice'],
    }

  found = list(workers.ordered_map(scores, range(len(network))))
  return {
    name: float(np.mean([score[name] for score in found]))
    for name in ('soft', 'hard')
  }


def _soft(small, size, box):
  """uint8 [h, w] -> bool [H, W]."""
  values = small.astype(np.float32)[None] / 255 - 0.5
  enlarged = jax.jit(steps.enlarge, static_argnums=1)(values, size, box[None])
  return np.asarray(enlarged[0] >= 0)


def _hard(small, size, box):
  """uint8 [h, w] -> bool [H, W]."""
  top, left, bottom, right = box
  rows, columns = (
    ((np.arange(end - start) + 0.5) * count / (end - start)).astype(int)
    for start, end, count in zip(box[:2], box[2:], small.shape, strict=True)
  )
  mask = np.zeros(size, bool)
  mask[top:bottom, left:right] = small[rows[:, None], columns] > 127
  return mask
