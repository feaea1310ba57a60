"""Measures training steps in PyTorch as its users make them fast on a GPU.

python -m benchmarks.frameworks.torch_cost MODEL HEIGHT WIDTH BATCH STEPS \\
    ROUNDS JSON

MODEL is `config.model` as JSON. bfloat16 by autocast, channels last,
`torch.compile`, AdamW in one kernel, TF32 where float32 is left; one random
batch that stays on the device, as in benchmarks/cost.py, whose figures it
prints and writes. Without a GPU it takes the CPU.
"""

import json
import pathlib
import statistics
import sys
import time

import torch

from benchmarks.frameworks import torch_step


def main(model, height, width, batch, count, rounds, path):
  count, batch = int(count), int(batch)
  found = {}

  def learn(**figures):
    found.update(figures)
    for name, value in figures.items():
      print(f'{name:18} {value}', flush=True)
    pathlib.Path(path).write_text(json.dumps(found, indent=2) + '\n')

  on_gpu = torch.cuda.is_available()
  kind = 'cuda' if on_gpu else 'cpu'
  torch.backends.cudnn.benchmark = True
  torch.set_float32_matmul_precision('high')
  layout = torch.channels_last
  net = torch_step.network(json.loads(model))
  net = net.to(kind, memory_format=layout).train()
  size = (int(height), int(width))
  image = torch.rand(batch, 3, *size, device=kind)
  image = image.contiguous(memory_format=layout)
  target = torch.rand(batch, 1, *size, device=kind)
  loss_of = torch.nn.BCEWithLogitsLoss()
  optimizer = torch.optim.AdamW(net.parameters(), 1e-3, fused=on_gpu)
  compiled = torch.compile(net)

  def take(count):
    """Returns the seconds that so many steps take."""
    started = time.perf_counter()
    for _ in range(count):
      optimizer.zero_grad()
      with torch.autocast(kind, torch.bfloat16):
        loss = loss_of(compiled(image), target)
      loss.backward()
      optimizer.step()
    loss.item()  # waits for the device
    return time.perf_counter() - started

  learn(
    device=torch.cuda.get_device_name() if on_gpu else 'cpu',
    parameters=sum(x.numel() for x in net.parameters()),
  )
  learn(first_step_s=take(1))
  take(3)  # cuDNN looks for its fastest kernels
  each = [take(count) / count for _ in range(int(rounds))]
  seconds = statistics.median(each)
  learn(
    step_ms_least=1000 * min(each),
    step_ms_most=1000 * max(each),
    step_ms=1000 * seconds,
    images_per_second=batch / seconds,
    peak_gb=torch.cuda.max_memory_allocated() / 1e9 if on_gpu else 0,
  )


if __name__ == '__main__':
  main(*sys.argv[1:])
