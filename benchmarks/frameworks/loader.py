"""The peers' side of benchmarks/input.py: a PyTorch DataLoader with 2 workers.

    .peers/bin/python benchmarks/frameworks/loader.py --decoder=opencv \\
        --manual_dir=FOLDER --sizes=128x128,512x768 --images=256

Photos and masks come from the original JPGs and GIFs, as most published code
for this challenge reads them, and leave as uint8 tensors [B, H, W, 3] and
[B, H, W]. Prints JSON: of each size what `clock.course` gives.
"""

import argparse
import json
import pathlib

import clock  # of this folder, where a script's own modules are looked for
import cv2
import numpy as np
import originals
import torch
from PIL import Image

cv2.setNumThreads(0)  # the workers share the cores already


def pillow(photo, mask, height, width):
  """Image uint8 [height, width, 3] and mask uint8 [height, width]."""
  size = width, height
  image = Image.open(photo).convert('RGB').resize(size, Image.BILINEAR)
  shape = Image.open(mask).convert('L').resize(size, Image.BOX)
  return np.array(image), np.array(shape)


def opencv(photo, mask, height, width):
  """As `pillow`."""
  image = originals.photo(photo, height, width)
  return image, originals.mask(mask, height, width)


class Photos(torch.utils.data.Dataset):
  """The labelled photos of an unpacked folder at one size."""

  def __init__(self, folder, decode, size):
    self._masks = folder / 'train_masks'
    self._photos = sorted((folder / 'train').glob('*.jpg'))
    self._decode = decode
    self._size = size

  def __len__(self):
    return len(self._photos)

  def __getitem__(self, index):
    photo = self._photos[index]
    mask = self._masks / f'{photo.stem}_mask.gif'
    image, shape = self._decode(photo, mask, *self._size)
    return torch.from_numpy(image), torch.from_numpy(shape)


def batches(photos, images, batch_size):
  """The number of images of every batch, in random order, of so many."""
  sampler = torch.utils.data.RandomSampler(photos, num_samples=images)
  loader = torch.utils.data.DataLoader(
    photos, batch_size, sampler=sampler, num_workers=2
  )
  for image, shape in loader:
    assert image.shape[:-1] == shape.shape
    yield len(image)


def main():
  """The command line."""
  parser = argparse.ArgumentParser()
  parser.add_argument('--decoder', choices=['pillow', 'opencv'])
  parser.add_argument('--manual_dir', type=pathlib.Path)
  parser.add_argument('--sizes')
  parser.add_argument('--images', type=int)
  parser.add_argument('--batch_size', type=int, default=16)
  args = parser.parse_args()
  decode = {'pillow': pillow, 'opencv': opencv}[args.decoder]
  found = {}
  for size in args.sizes.split(','):
    photos = Photos(args.manual_dir, decode, tuple(map(int, size.split('x'))))
    found[size] = clock.course(batches(photos, args.images, args.batch_size))
  print(json.dumps(found))


if __name__ == '__main__':
  main()
