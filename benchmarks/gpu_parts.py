"""What benchmarks/gpu.py runs, in the order of worth."""

import importlib
import json
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

JSON = '{json}'  # stands for the file of a part's figures


def _flag(config, flag):
  return config, {'XLA_FLAGS': f'--{flag}'}, ()


# A variant of a config's training step: settings of the environment (XLA_FLAGS
# are added to those there) and flags of benchmarks/cost.py.
VARIANTS = {
  # What the first step waits for: products in Triton, checks of results, ...
  'unet512-no_triton': _flag('unet512', 'xla_gpu_enable_triton_gemm=false'),
  'unet512-autotune2': _flag('unet512', 'xla_gpu_autotune_level=2'),
  'unet512-parallel_llvm': _flag(
    'unet512', 'xla_gpu_enable_llvm_module_compilation_parallelism=true'
  ),
  'unet512-no_fusion_tuner': _flag(
    'unet512', 'xla_gpu_experimental_enable_fusion_autotuner=false'
  ),
  # What a step takes.
  'fast-batch32': ('fast', {}, ('--config.train.batch_size=32',)),
  'fast-bfloat16': ('fast', {}, ('--config.model.dtype=bfloat16',)),
  'fast-adamw': ('fast', {}, ('--config.optimizer.name=adamw',)),
  # Gathered pixels in the place of products.
  'fast-rotation': ('fast', {}, ('--config.augment.rotation=0.001',)),
  'fast-no_bias': ('fast', {}, ('--config.model.conv_bias=False',)),
  'fast-highest': ('fast', {'JAX_DEFAULT_MATMUL_PRECISION': 'highest'}, ()),
  'fast-deterministic': _flag(
    'fast', 'xla_gpu_exclude_nondeterministic_ops=true'
  ),
  'unet512-adamw': ('unet512', {}, ('--config.optimizer.name=adamw',)),
  'unet512-bias': ('unet512', {}, ('--config.model.conv_bias=True',)),
  'unet512-batch32': ('unet512', {}, ('--config.train.batch_size=32',)),
  'unet512-latency_hiding': _flag(
    'unet512', 'xla_gpu_enable_latency_hiding_scheduler=true'
  ),
}


class Sizes(NamedTuple):
  """How large everything is."""

  # Config, limits cold and warm; `last_steps` come after the comparison.
  steps: tuple[tuple[str, float, float], ...]
  last_steps: tuple[tuple[str, float, float], ...]
  compared: str  # the config that PyTorch has, too
  whole: tuple[tuple[str, int, float], ...]  # config, epochs, limit
  size: str  # HEIGHTxWIDTH that the runs see
  input_images: int
  submitted: int
  variants: dict[str, tuple[str, dict[str, str], tuple[str, ...]]]
  limits: dict[str, float]  # seconds of a part of the other kinds
  count: tuple[int, int]  # steps and rounds that are timed


# The limits add up to more than nine minutes, as most parts should need less.
FULL = Sizes(
  steps=(('fast', 75, 40), ('unet512', 120, 45)),
  last_steps=(('unet1024', 150, 45),),
  compared='unet512',
  whole=(('fast', 30, 100), ('unet512', 40, 150)),
  size='512x768',
  input_images=320,
  submitted=4000,
  variants=VARIANTS,
  limits={'input': 60, 'submit': 60, 'compared': 100, 'variant': 90},
  count=(20, 5),
)
# On a CPU, in a minute where it has nothing else to do.
REHEARSAL = Sizes(
  steps=(('debug', 300, 300),),
  last_steps=(),
  compared='debug',
  whole=(('debug', 1, 300),),
  size='128x192',
  input_images=16,
  submitted=64,
  variants={
    'debug-autotune2': ('debug', VARIANTS['unet512-autotune2'][1], ('--plain',))
  },
  limits=dict.fromkeys(FULL.limits, 300),
  count=(1, 1),
)


class Part(NamedTuple):
  """A command with a limit of its own."""

  name: str
  words: list[str]  # after `python -m`; JSON in them is the file of figures
  limit: float  # seconds
  env: dict[str, str] = {}  # noqa: RUF012, never changed
  fresh: pathlib.Path | None = None  # a folder that is removed before
  against: str = ''  # the part whose images/s are divided by this one's
  needs: str = ''  # a module without which it is skipped


def parts(
  photos: pathlib.Path, work: pathlib.Path, sizes: Sizes
) -> Iterator[Part]:
  """Yields the parts in the order of worth.

  Args:
    photos: the folder of the packed cars.
    work: the folder for prepared data, compiled programs and runs.
    sizes: how large everything is.
  """
  yield from _steps(work, sizes.steps, sizes.count)
  data = [f'--manual_dir={photos}', f'--data_dir={work / "data"}']
  yield Part(
    'input',
    ['benchmarks.batches', *data, f'--sizes={sizes.size},1280x1918',
     f'--images={sizes.input_images}'],
    sizes.limits['input'],
  )  # fmt: skip
  for config, epochs, limit in sizes.whole:
    workdir = work / config
    yield Part(
      f'{config}-whole',
      ['benchmarks.gpu_whole', f'--name={config}', *data,
       f'--workdir={workdir}', f'--epochs={epochs}', f'--size={sizes.size}',
       f'--json={JSON}'],
      limit,
      _kept(work / 'programs' / config),
      workdir,
    )  # fmt: skip
  yield Part(
    'submit',
    ['benchmarks.gpu_submit', f'--workdir={work / sizes.whole[0][0]}',
     f'--input={photos / "train"}', f'--images={sizes.submitted}',
     f'--json={JSON}'],
    sizes.limits['submit'],
    _kept(work / 'programs' / sizes.whole[0][0]),
  )  # fmt: skip
  yield from _compared(work, sizes)
  yield from _steps(work, sizes.last_steps, sizes.count)
  for name, (config, env, flags) in sizes.variants.items():
    words = [*_cost(config, sizes.count), *flags]
    # What is measured with other flags of XLA has to be compiled anew.
    kept = {} if env else _kept(work / 'programs' / config)
    yield Part(name, words, sizes.limits['variant'], env | kept)


def _steps(work, steps, count):
  """The training step of configs, compiled anew and then not."""
  for config, *limits in steps:
    cache = work / 'programs' / config
    for kind, limit in zip(('cold', 'warm'), limits, strict=True):
      fresh = cache if kind == 'cold' else None
      words = _cost(config, count)
      yield Part(f'{config}-{kind}', words, limit, _kept(cache), fresh)


def _cost(config, count):
  steps, rounds = count
  return [
    'benchmarks.cost', f'--config=configs/{config}.py', f'--steps={steps}',
    f'--rounds={rounds}', f'--json={JSON}',
  ]  # fmt: skip


def _kept(folder):
  return {'JAX_COMPILATION_CACHE_DIR': str(folder)}


def _compared(work, sizes):
  """This project's plain step, then the same in PyTorch."""
  config = sizes.compared
  ours, limit = f'{config}-plain', sizes.limits['compared']
  kept = _kept(work / 'programs' / config)
  yield Part(ours, [*_cost(config, sizes.count), '--plain'], limit, kept)
  # Without own_step.py, as importing JAX here might take the GPU's memory.
  module = importlib.import_module(f'carvana_jax.configs.{config}')
  settings = module.get_config()
  height, width = settings.data.size.split('x')
  words = [
    'benchmarks.frameworks.torch_cost', json.dumps(settings.model.to_dict()),
    height, width, settings.train.batch_size, *sizes.count, JSON,
  ]  # fmt: skip
  words = [*map(str, words)]
  yield Part(f'{config}-torch', words, limit, against=ours, needs='torch')
