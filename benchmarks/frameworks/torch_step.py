"""Training steps and predictions in PyTorch, asked for by `serving`.

python -m benchmarks.frameworks.torch_step MODEL HEIGHT WIDTH BATCH LAYOUT

MODEL: `config.model` as JSON; LAYOUT: contiguous_format or channels_last.
"""

import json
import sys

import torch

from benchmarks.frameworks import serving, torch_networks


def network(model):
  """The network that `config.model` describes."""
  if model['name'] == 'vgg_unet':
    return torch_networks.VGGUNet()
  return torch_networks.UNet(
    model['levels'],
    model['first_width'],
    model['norm'] == 'batch',
    model['encoder_convs'],
    model['decoder_convs'],
    model['head_width'],
    bias=model.get('conv_bias', True),
  )


def main(model, height, width, batch, layout):
  layout = getattr(torch, layout)
  net = network(json.loads(model)).to(memory_format=layout)
  size = (int(height), int(width))
  image = torch.rand(int(batch), 3, *size).contiguous(memory_format=layout)
  target = torch.rand(int(batch), 1, *size)
  loss_of = torch.nn.BCEWithLogitsLoss()
  optimizer = torch.optim.Adam(
    [x for x in net.parameters() if x.requires_grad], 1e-3
  )

  def train(count):
    net.train()
    for _ in range(count):
      optimizer.zero_grad()
      loss = loss_of(net(image), target)
      loss.backward()
      optimizer.step()
    loss.item()

  def infer(count):
    net.eval()
    with torch.inference_mode():
      for _ in range(count):
        torch.sigmoid(net(image))

  values = [*net.parameters(), *net.buffers()]
  # PyTorch counts the batches in a statistic of its own, of one number.
  parameters = sum(x.numel() for x in values if x.ndim)
  serving.serve(parameters, {'train': train, 'infer': infer})


if __name__ == '__main__':
  main(*sys.argv[1:])
