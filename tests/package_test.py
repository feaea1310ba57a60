"""What `pip install .` brings, and what a Python without it says."""

import ast
import importlib.metadata
import itertools
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile

import chex
import numpy as np
from packaging.requirements import Requirement
from PIL import Image

import carvana_jax
from benchmarks import bright_network
from tests.helpers.commands import ROOT
from tests.layout_test import ROOMS, imports, modules
from tests.malformed import command

_BUILD = """
import sys
from setuptools import build_meta
output = sys.argv[1]  # which setuptools writes over
build_meta.build_wheel(output)
build_meta.build_sdist(output)
"""


def _build(source, output):
  """Builds a wheel and an sdist without a network; returns their paths."""
  output.mkdir()
  subprocess.run(
    [sys.executable, '-c', _BUILD, output],
    cwd=source, capture_output=True, check=True,
  )  # fmt: skip
  (wheel,), (sdist,) = output.glob('*.whl'), output.glob('*.tar.gz')
  return wheel, sdist


def _names(wheel):
  return sorted(zipfile.ZipFile(wheel).namelist())


class PackageTest(chex.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    root = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
    source = root / 'source'
    source.mkdir()
    for name in ('pyproject.toml', 'README.md', 'LICENSE'):
      shutil.copy(ROOT / name, source)
    for name in ('carvana_jax', 'configs', 'weights', 'tests', 'benchmarks'):
      shutil.copytree(
        ROOT / name, source / name, symlinks=True,
        ignore=shutil.ignore_patterns('__pycache__'),
      )  # fmt: skip
    cls.root = root
    cls.wheel, cls.sdist = _build(source, root / 'built')

  def test_brings_this_package_only(self):
    tops = {name.partition('/')[0] for name in _names(self.wheel)}
    (info,) = tops - {'carvana_jax'}
    self.assertRegex(info, r'^carvana_jax-.*\.dist-info$')

  def test_brings_every_module(self):
    expected = {
      str(path.relative_to(ROOT))
      for folder in ('carvana_jax', 'carvana_jax/configs')
      for path in ROOT.glob(f'{folder}/**/*.py')
    }
    for room in ROOMS[:-1]:
      self.assertIn(f'carvana_jax/{room}/__init__.py', expected)
    brought = {name for name in _names(self.wheel) if name.endswith('.py')}
    self.assertEqual(brought, expected)

  def test_brings_weights_and_page(self):
    brought = {name for name in _names(self.wheel) if not name.endswith('.py')}
    expected = {
      str(path.relative_to(ROOT))
      for folder in ('carvana_jax/weights', 'carvana_jax/page')
      for path in (ROOT / folder).glob('**/*')
      if path.is_file() and path.suffix not in ('.py', '.pyc', '.sh')
    }
    self.assertIn('carvana_jax/page/page.html', expected)
    self.assertIn('carvana_jax/weights/carvana.safetensors', expected)
    self.assertEqual({x for x in brought if '.dist-info/' not in x}, expected)

  def test_source_archive_makes_the_same_wheel(self):
    shutil.unpack_archive(self.sdist, self.root / 'unpacked')
    (source,) = (self.root / 'unpacked').iterdir()
    wheel, _ = _build(source, self.root / 'rebuilt')
    self.assertEqual(_names(wheel), _names(self.wheel))

  def test_works_from_any_folder(self):
    installed, empty = self.root / 'installed', self.root / 'empty'
    empty.mkdir()
    shutil.unpack_archive(self.wheel, installed, 'zip')
    words = ['summary', '--config=configs/debug.py']
    printed = subprocess.run(
      [sys.executable, '-m', f'carvana_jax.{words[0]}', *words[1:]],
      cwd=empty, env={**os.environ, 'PYTHONPATH': str(installed)},
      capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    self.assertIn('\nparameters ', printed)
    self.assertEqual(printed, command.run(ROOT, *words).output)
    self.assertEmpty(list(empty.iterdir()))

  def test_says_which_extra_is_lacking(self):
    installed = self.root / 'lacking'
    shutil.unpack_archive(self.wheel, installed, 'zip')
    for verb, module, extra in (
      ('predict', 'jax', 'train'),
      ('serve', 'starlette', 'serve'),
    ):
      errors = subprocess.run(
        [sys.executable, '-S', '-m', f'carvana_jax.{verb}'],
        cwd=self.root, env={**os.environ, 'PYTHONPATH': str(installed)},
        capture_output=True, text=True, check=False,
      ).stderr  # fmt: skip
      self.assertRegex(
        errors, rf"^error: .* lacks .*{module}.*'\.\[{extra}\]' .*\n$"
      )


def _requirements():
  """{extra, '' for none: its requirements} of the package."""
  project = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
  lines = {'': project['dependencies'], **project['optional-dependencies']}
  return {extra: [*map(Requirement, x)] for extra, x in lines.items()}


# Extras whose features everything else does without.
OPTIONAL = ('heic',)
# What light code imports in functions that are of no use in a light
# installation, or goes without.
DISPENSABLE = {'simplejpeg', 'filelock', 'pillow_heif'}
LIGHT = {'numpy', 'opencv-python-headless', 'pillow', 'onnxruntime'}


class DependenciesTest(chex.TestCase):
  def optional_modules(self):
    """What optional extras bring, named like their packages."""
    found = itertools.chain(*(_requirements()[extra] for extra in OPTIONAL))
    return {requirement.name.replace('-', '_') for requirement in found}

  def test_bare_installation_is_light(self):
    self.assertEqual({x.name for x in _requirements()['']}, LIGHT)

  def test_tests_have_all(self):
    (own,) = (x for x in _requirements()['test'] if x.name == 'carvana_jax')
    self.assertEqual(own.extras, _requirements().keys() - {'', 'test'})

  def test_pins_are_among_them(self):
    lines = (ROOT / 'requirements.txt').read_text().splitlines()
    pinned = {}
    for line in lines:
      if line and not line.startswith('#'):
        requirement = Requirement(line)
        (pin,) = requirement.specifier
        pinned[_dashed(requirement.name)] = pin.version
    for wanted in itertools.chain(*_requirements().values()):
      if wanted.name == 'carvana_jax':
        continue
      self.assertIn(_dashed(wanted.name), pinned)
      self.assertIn(pinned[_dashed(wanted.name)], wanted.specifier, wanted)

  def test_everything_that_is_imported(self):
    """Each module that the code imports comes with one of them."""
    trees = [
      ast.parse(path.read_text()) for path in ROOT.glob('carvana_jax/**/*.py')
    ]
    imported = _imported(node for tree in trees for node in ast.walk(tree))
    known = carvana_jax._MODULES
    self.assertEqual(
      imported - self.optional_modules(), set().union(*known.values())
    )
    names = importlib.metadata.packages_distributions()
    for extra, brought in known.items():
      wanted = {_dashed(x.name) for x in _requirements()[extra]}
      for module in brought:
        self.assertNotEmpty({*map(_dashed, names[module])} & wanted, module)

  def test_light_code_imports_light_modules(self):
    self.check_imports('carvana_jax.portable.remover', '', set())

  def test_server_imports_its_own(self):
    # Of --config alone, which it has not.
    self.check_imports('carvana_jax.serve', 'serve', {'ml_collections'})

  def check_imports(self, start, extra, others):
    """Follows all imports of this project from a module on.

    Args:
      start: the module.
      extra: what is installed, '' for no extra.
      others: modules that may be imported in functions besides.
    """
    files, used = modules(), imports()
    reached, left = set(), {start}
    while left:
      module = left.pop()
      reached.add(module)
      parents = itertools.accumulate(module.split('.'), '{}.{}'.format)
      left |= {*used[module], *parents} - reached
    self.assertGreater(len(reached), 25)
    trees = [ast.parse(files[module].read_text()) for module in reached]
    there = {*carvana_jax._MODULES[''], *carvana_jax._MODULES[extra]}
    for tree in trees:
      self.assertEmpty(_imported(tree.body) - there)
    anywhere = _imported(node for tree in trees for node in ast.walk(tree))
    self.assertEmpty(anywhere - there - DISPENSABLE - others)

  def test_optional_ones_are_imported_where_they_are_used(self):
    functions, tops = set(), set()
    for path in ROOT.glob('carvana_jax/**/*.py'):
      tree = ast.parse(path.read_text())
      tops |= _imported(tree.body)
      for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
          functions |= _imported(ast.walk(node))
    optional = self.optional_modules()
    self.assertNotEmpty(optional)
    self.assertContainsSubset(optional, functions)
    self.assertEmpty(optional & tops)


def _dashed(name):
  """The name of a package as indexes compare it."""
  return name.replace('_', '-').lower()


def _imported(nodes):
  """The modules of others that statements import."""
  found = set()
  for node in nodes:
    if isinstance(node, ast.Import):
      found |= {alias.name.partition('.')[0] for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      found.add(node.module.partition('.')[0])
  return found - sys.stdlib_module_names - {'carvana_jax'}


def bare_environment(extra=''):
  """Variables for a Python in which nothing else is installed.

  Args:
    extra: what is installed besides the dependencies without any.
  """
  wanted = [*_requirements()[''], *(_requirements()[extra] if extra else [])]
  installed = set()
  while wanted:
    requirement = wanted.pop()
    name = _dashed(requirement.name)
    marker = requirement.marker
    if name in installed or (marker and not marker.evaluate({'extra': ''})):
      continue
    installed.add(name)
    wanted += map(Requirement, importlib.metadata.requires(name) or ())
  brought = importlib.metadata.packages_distributions().items()
  only = [x for x, names in brought if installed & {*map(_dashed, names)}]
  return os.environ | {
    'ONLY': ','.join(['carvana_jax', *only]),
    'PYTHONPATH': str(ROOT / 'tests' / 'bare_environment'),
  }


class BareEnvironmentTest(chex.TestCase):
  def run_python(self, extra, *words):
    return subprocess.run(
      [sys.executable, *words], cwd=ROOT, env=bare_environment(extra),
      capture_output=True, text=True, check=False,
    )  # fmt: skip

  def test_remover_makes_all_that_it_offers(self):
    folder = pathlib.Path(self.enterClassContext(tempfile.TemporaryDirectory()))
    network, path = folder / 'bright.onnx', folder / 'photo.jpg'
    bright_network.write(network)
    photo = np.zeros((64, 96, 3), np.uint8)
    photo[16:48, 24:72] = 255
    Image.fromarray(photo).save(path, quality=95)
    script = (
      'import sys\n'
      'from carvana_jax import Remover, UserError\n'
      'removed = Remover(sys.argv[1])(sys.argv[2])\n'
      'removed.cutout(trim=True)\n'
      "removed.composite('white', 'synthetic')\n"
      'print(removed)\n'
      'try:\n  Remover(sys.argv[2])\n'
      'except UserError as error:\n  print(error)\n'
    )
    result = self.run_python('', '-c', script, network, path)
    self.assertEqual(result.stderr, '')
    self.assertEqual(
      result.stdout,
      f'<Removed 64x96: 24.6% car>\n{path} is neither an .onnx nor a '
      '.safetensors file; make one with python -m carvana_jax.export.\n',
    )

  def test_server_starts(self):
    result = self.run_python('serve', '-m', 'carvana_jax.serve', '--port=-1')
    self.assertRegex(result.stderr, '^error: .*--port.*\n$')
    result = self.run_python('serve', '-c', 'import carvana_jax.serve')
    self.assertEqual((result.stderr, result.returncode), ('', 0))

  def test_commands_name_what_is_lacking(self):
    result = self.run_python('', '-m', 'carvana_jax.predict')
    self.assertRegex(
      result.stderr, '^error: .* lacks absl, .* jax, .*; use bash run.sh .*\n$'
    )
    self.assertNotIn('numpy', result.stderr)


class WithoutDependenciesTest(chex.TestCase):
  """Python without site-packages."""

  def run_python(self, *words):
    return subprocess.run(
      [sys.executable, '-S', *words],
      cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

  def test_every_command_says_so_in_one_line(self):
    for path in ROOT.glob('carvana_jax/*.py'):
      if path.name == '__init__.py':
        continue
      result = self.run_python('-m', f'carvana_jax.{path.stem}', '--help')
      self.assertEqual(result.returncode, 2)
      self.assertRegex(
        result.stderr, '^error: .* lacks absl, .*; use bash run.sh .*\n$'
      )

  def test_import_goes_on(self):
    result = self.run_python('-c', (
      'import carvana_jax\n'
      'try:\n  from carvana_jax.system import cli\n'
      'except ImportError as error:\n  print(error.name)'
    ))  # fmt: skip
    self.assertEqual((result.stdout, result.stderr), ('absl\n', ''))

  def test_older_python(self):
    result = self.run_python('-c', (
      "import sys\nsys.argv = ['-m']\nsys.version_info = (3, 10, 4)\n"
      "sys.version = '3.10.4 (main)'\nimport carvana_jax"
    ))  # fmt: skip
    self.assertEqual(result.returncode, 2)
    self.assertRegex(
      result.stderr, '^error: Python 3.11 .* not 3.10.4; use bash run.sh .*\n$'
    )
