"""The published networks in PyTorch, as its users write them.

They give logits, [B, 3, H, W] in 0..1 -> [B, 1, H, W], and have no dropout.
"""

import itertools

import torch
from torch import nn


class ConvReLU(nn.Sequential):
  """Convolution, batch normalisation if wanted, ReLU."""

  def __init__(self, before, after, kernel=3, norm=False, bias=True):
    layers = [nn.Conv2d(before, after, kernel, padding='same', bias=bias)]
    if norm:
      layers.append(nn.BatchNorm2d(after))
    super().__init__(*layers, nn.ReLU(inplace=True))


class UNet(nn.Module):
  """Systems B and D, the default run's network, and Ronneberger's.

  With `transposed`, 2x2 convolutions of that kind enlarge and halve the width.
  Without `bias`, convolutions before a normalisation have none.
  """

  def __init__(
    self,
    levels,
    first_width,
    norm,
    encoder_convs,
    decoder_convs,
    head_width,
    transposed=False,
    bias=True,
  ):
    super().__init__()
    widths = [first_width * 2**level for level in range(levels)]

    def block(before, after, convs):
      inputs = [before] + [after] * (convs - 1)
      made = (ConvReLU(x, after, norm=norm, bias=bias) for x in inputs)
      return nn.Sequential(*made)

    self.down = nn.ModuleList(
      block(before, after, encoder_convs)
      for before, after in zip([3, *widths], widths, strict=False)
    )
    self.pool = nn.MaxPool2d(2)
    pairs = list(itertools.pairwise(widths))[::-1]

    def enlarge(below, width):
      if transposed:
        return nn.ConvTranspose2d(below, width, 2, 2)
      # Without normalisation a convolution follows the enlargement (system B).
      conv = nn.Identity() if norm else ConvReLU(below, width, 2)
      return nn.Sequential(nn.Upsample(scale_factor=2), conv)

    self.enlarge = nn.ModuleList(enlarge(*pair[::-1]) for pair in pairs)
    halved = transposed or not norm
    self.up = nn.ModuleList(
      block(width + (width if halved else below), width, decoder_convs)
      for width, below in pairs
    )
    head = [ConvReLU(first_width, head_width)] if head_width else []
    self.head = nn.Sequential(*head, nn.Conv2d(head_width or first_width, 1, 1))

  def forward(self, x):
    skips = []
    for level, block in enumerate(self.down):
      x = block(self.pool(x) if level else x)
      skips.append(x)
    skips.pop()
    for enlarge, block in zip(self.enlarge, self.up, strict=True):
      x = block(torch.cat([skips.pop(), enlarge(x)], 1))
    return self.head(x)


class VGGUNet(nn.Module):
  """System A, its encoder frozen."""

  def __init__(self):
    super().__init__()
    self.encoder = nn.ModuleList()
    before = 3
    for convs, width in ((2, 64), (2, 128), (4, 256), (4, 512), (1, 512)):
      inputs = [before] + [width] * (convs - 1)
      self.encoder.append(nn.ModuleList(ConvReLU(x, width) for x in inputs))
      before = width
    self.encoder.requires_grad_(False)
    self.pool = nn.MaxPool2d(2)
    self.up = nn.ModuleList()
    for width, stride in ((512, 1), (512, 2), (256, 1), (256, 2), (128, 1),
                          (128, 2)):  # fmt: skip
      self.up.append(
        nn.Sequential(
          self._up(before, width, stride, bias=False),
          nn.BatchNorm2d(width),
          nn.ReLU(inplace=True),
        )
      )
      before = 2 * width if stride == 2 else width
    self.head = self._up(before, 1, 2)

  @staticmethod
  def _up(before, after, stride, bias=True):
    return nn.ConvTranspose2d(
      before, after, 3, stride, padding=1, output_padding=stride - 1, bias=bias
    )

  def forward(self, x):
    taps = []
    with torch.no_grad():
      for number, block in enumerate(self.encoder):
        x = self.pool(x) if number else x
        for conv, layer in enumerate(block):
          x = layer(x)
          if number and conv < 2:
            taps.append(x)
    taps.pop()  # the lowest goes on
    for number, layer in enumerate(self.up):
      x = layer(x)
      tap = taps.pop()
      if number % 2:
        x = torch.cat([tap, x], 1)
    return self.head(x)
