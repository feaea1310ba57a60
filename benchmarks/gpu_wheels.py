"""Packages that machines with JAX and PyTorch lack, as wheels in a folder.

Nothing but the standard library is imported: `provide` runs where none of the
packages are there.
"""

import atexit
import importlib
import importlib.metadata
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

# What the code needs beyond JAX, Flax, Optax, Orbax, OpenCV and their needs;
# versions are those of requirements.txt.
PACKAGES = (
  'absl-py', 'array-record', 'certifi', 'charset-normalizer', 'dm-pix',
  'dm-tree', 'docstring_parser', 'etils', 'filelock',
  'googleapis-common-protos', 'idna', 'immutabledict', 'importlib-resources',
  'ml-collections', 'psutil', 'PyYAML', 'requests', 'safetensors',
  'simple-parsing', 'simplejpeg', 'six', 'tensorboard', 'tensorflow-datasets',
  'tensorflow-metadata', 'termcolor', 'toml', 'tqdm', 'urllib3', 'wrapt',
  'zipp',
)  # fmt: skip
_BUILT_HERE = ('promise',)  # published as source only
_PYTHON = '3.12'
_GLIBCS = ('_2_28', '_2_27', '_2_24', '_2_17', '2014', '1')  # of manylinux
_REQUIREMENTS = pathlib.Path(__file__).parents[1] / 'requirements.txt'


def download(folder: pathlib.Path) -> None:
  """Fills a folder with the wheels, for Linux on x86-64 and Python 3.12."""
  folder.mkdir(parents=True, exist_ok=True)
  platforms = [f'--platform=manylinux{x}_x86_64' for x in _GLIBCS]
  fetch = ['download', '--only-binary=:all:', f'--python-version={_PYTHON}',
           '--implementation=cp', *platforms]  # fmt: skip
  for words, names in ((fetch, PACKAGES), (['wheel'], _BUILT_HERE)):
    wanted = ['-q', '--no-deps', *_pinned(names)]
    pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check']
    subprocess.run([*pip, *words, *wanted], cwd=folder, check=True)


def _pinned(names):
  """NAME==VERSION of packages, as requirements.txt says."""
  lines = _REQUIREMENTS.read_text().splitlines()
  pins = {line.partition('==')[0]: line for line in lines}
  return [pins[name] for name in names]


def provide(arguments: list[str]) -> None:
  """Installs what this Python lacks from the wheels of `--packed`.

  They go into a temporary folder, which this process and those that it starts
  look through and which ends with it; the Python itself stays as it is. Prints
  their names.

  Args:
    arguments: of the command line; without --packed nothing is done.
  """
  flag = '--packed='
  folders = [x.removeprefix(flag) for x in arguments if x.startswith(flag)]
  wheels = [y for x in folders for y in pathlib.Path(x, 'wheels').glob('*.whl')]
  lacking = [wheel for wheel in sorted(wheels) if not _is_there(wheel)]
  if not lacking:
    return
  site = tempfile.mkdtemp(prefix='gpu_wheels_')
  atexit.register(shutil.rmtree, site)
  subprocess.run(
    [sys.executable, '-m', 'pip', 'install', '-q', '--no-index', '--no-deps',
     '--no-compile', '--disable-pip-version-check', f'--target={site}',
     *map(str, lacking)],
    check=True,
  )  # fmt: skip
  sys.path.insert(1, site)
  paths = [site, os.environ.get('PYTHONPATH', '')]
  os.environ['PYTHONPATH'] = os.pathsep.join(filter(None, paths))
  importlib.invalidate_caches()
  names = ', '.join('-'.join(x.name.split('-')[:2]) for x in lacking)
  print(f'taken from wheels: {names}', flush=True)


def _is_there(wheel):
  """Whether this Python has a wheel's package, in whatever version."""
  try:
    importlib.metadata.distribution(wheel.name.partition('-')[0])
  except importlib.metadata.PackageNotFoundError:
    return False
  return True
