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
from packaging.requirements import Requirement

import carvana_jax
from tests.helpers.commands import ROOT
from tests.layout_test import ROOMS
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


class DependenciesTest(chex.TestCase):
  """What the code imports, and which extra of the package brings it."""

  def setUp(self):
    super().setUp()
    project = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
    extras = {'': project['dependencies'], **project['optional-dependencies']}
    self.wanted = {
      extra: [Requirement(line) for line in lines if '[' not in line]
      for extra, lines in extras.items()
    }

  def test_pins_are_among_them(self):
    lines = (ROOT / 'requirements.txt').read_text().splitlines()
    pinned = {}
    for line in lines:
      if line and not line.startswith('#'):
        requirement = Requirement(line)
        (pin,) = requirement.specifier
        pinned[requirement.name.replace('_', '-').lower()] = pin.version
    for wanted in itertools.chain(*self.wanted.values()):
      name = wanted.name.replace('_', '-').lower()
      self.assertIn(name, pinned)
      self.assertIn(pinned[name], wanted.specifier, wanted)

  def test_everything_that_is_imported(self):
    """Each module that the code imports comes with the extra that needs it."""
    trees = [
      ast.parse(path.read_text()) for path in ROOT.glob('carvana_jax/**/*.py')
    ]
    imported = _imported(node for tree in trees for node in ast.walk(tree))
    listed = set().union(*carvana_jax._MODULES.values())
    self.assertEqual(imported - {'pillow_heif'}, listed)
    names = importlib.metadata.packages_distributions()
    for extra, modules in carvana_jax._MODULES.items():
      brought = {x.name.replace('_', '-').lower() for x in self.wanted[extra]}
      for module in modules:
        known = {name.replace('_', '-').lower() for name in names[module]}
        self.assertNotEmpty(known & brought, f'{module} of [{extra}]')

  def test_the_library_and_the_server_need_no_more(self):
    for root, extras in (
      ('carvana_jax.portable.remover', ['']),
      ('carvana_jax.serve', ['', 'serve']),
    ):
      allowed = set().union(*(carvana_jax._MODULES[x] for x in extras))
      self.assertEmpty(_needed(root) - allowed, root)

  def test_heic_is_imported_where_it_is_used(self):
    """As few have it."""
    functions, tops = set(), set()
    for path in ROOT.glob('carvana_jax/**/*.py'):
      tree = ast.parse(path.read_text())
      tops |= _imported(tree.body)
      for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
          functions |= _imported(ast.walk(node))
    self.assertIn('pillow_heif', functions)
    self.assertNotIn('pillow_heif', tops)


def _needed(root):
  """The modules of others that a module imports at its top, and those of this
  project that it does."""
  found, waiting, seen = set(), [root], set()
  while waiting:
    module = waiting.pop()
    if module in seen:
      continue
    seen.add(module)
    path = ROOT / module.replace('.', '/')
    path = path / '__init__.py' if path.is_dir() else path.with_suffix('.py')
    body = ast.parse(path.read_text()).body
    found |= _imported(body)
    for node in body:
      if isinstance(node, ast.ImportFrom) and (
        node.module.partition('.')[0] == 'carvana_jax'
      ):
        for alias in node.names:
          full = f'{node.module}.{alias.name}'
          place = ROOT / full.replace('.', '/')
          is_module = place.is_dir() or place.with_suffix('.py').exists()
          waiting.append(full if is_module else node.module)
        waiting.append(node.module)
  return found


def _imported(nodes):
  """The modules of others that statements import."""
  found = set()
  for node in nodes:
    if isinstance(node, ast.Import):
      found |= {alias.name.partition('.')[0] for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      found.add(node.module.partition('.')[0])
  return found - sys.stdlib_module_names - {'carvana_jax'}


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
