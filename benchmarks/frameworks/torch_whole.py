"""A plain U-Net in PyTorch, for benchmarks/whole_job.py.

python -m benchmarks.frameworks.torch_whole JOB HEIGHTxWIDTH FIRST_WIDTH

JOB: see `marks`. Ronneberger's layout, five resolutions, with batch
normalisation; BCE + 1 - Dice, Adam 1e-3, batches of 8, left-right flips. A
DataLoader with two workers reads the originals anew in every epoch.
"""

import sys

import cv2
import numpy as np
import torch

from benchmarks.frameworks import originals
from benchmarks.frameworks.marks import Marks
from benchmarks.frameworks.torch_networks import UNet

BATCH = 8
LAYOUT = torch.channels_last  # the faster one on CPUs, see benchmarks/step.py

cv2.setNumThreads(0)  # the workers share the cores already


class Photos(torch.utils.data.Dataset):
  """Pairs of a photo, float32 [3, h, w], and its mask, [1, h, w], in 0..1."""

  def __init__(self, pairs, size):
    self._pairs = pairs
    self._size = size

  def __len__(self):
    return len(self._pairs)

  def __getitem__(self, index):
    photo, mask = self._pairs[index]
    image = torch.from_numpy(originals.photo(photo, *self._size))
    shape = torch.from_numpy(originals.mask(mask, *self._size))
    image, shape = image.permute(2, 0, 1) / 255, shape[None] / 255
    if torch.rand(()) < 0.5:
      image, shape = image.flip(-1), shape.flip(-1)
    return image, shape


def loss_of(logits, target):
  """BCE + 1 - Dice of the batch."""
  bce = torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
  probability = logits.sigmoid()
  overlap = 2 * (probability * target).sum() + 1
  return bce + 1 - overlap / (probability.sum() + target.sum() + 1)


def main(path, size, first_width):
  marks = Marks(path)
  torch.manual_seed(0)
  size = tuple(map(int, size.split('x')))
  loader = torch.utils.data.DataLoader(
    Photos(marks.job['train'], size), BATCH, shuffle=True, num_workers=2
  )
  net = UNet(5, int(first_width), True, 2, 2, 0, transposed=True)
  net = net.to(memory_format=LAYOUT)
  optimizer = torch.optim.Adam(net.parameters(), 1e-3)
  unseen = []

  def predict():
    if not unseen:
      unseen.extend(originals.photo(x, *size) for x in marks.job['unseen'])
    net.eval()
    with torch.inference_mode():
      found = [logits(np.stack(unseen[i : i + BATCH])) for i in parts]
    net.train()
    return np.concatenate(found)

  def logits(pixels):
    image = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    return net(image.contiguous(memory_format=LAYOUT))[:, 0].numpy()

  parts = range(0, len(marks.job['unseen']), BATCH)
  while True:
    for image, target in loader:
      optimizer.zero_grad()
      loss = loss_of(net(image.contiguous(memory_format=LAYOUT)), target)
      loss.backward()
      optimizer.step()
      if marks.due():
        print(f'loss {loss.item():.4f}', flush=True)
        marks.mark(predict)


if __name__ == '__main__':
  main(*sys.argv[1:])
