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
    for name in ('carvana_jax', 'configs', 'tests', 'benchmarks'):
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
  def requirements(self):
    project = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
    extras = project['optional-dependencies']
    test = extras.pop('test')
    return project['dependencies'], test, [*itertools.chain(*extras.values())]

  def optional_modules(self):
    """What the extras bring, named like their packages."""
    extras = map(Requirement, self.requirements()[2])
    return {requirement.name.replace('-', '_') for requirement in extras}

  def test_pins_are_among_them(self):
    lines = (ROOT / 'requirements.txt').read_text().splitlines()
    pinned = {}
    for line in lines:
      if line and not line.startswith('#'):
        requirement = Requirement(line)
        (pin,) = requirement.specifier
        pinned[requirement.name.replace('_', '-').lower()] = pin.version
    for wanted in map(Requirement, itertools.chain(*self.requirements())):
      self.assertIn(wanted.name, pinned)
      self.assertIn(pinned[wanted.name], wanted.specifier, wanted)

  def test_everything_that_is_imported(self):
    """Each module that the code imports comes with one of them."""
    trees = [
      ast.parse(path.read_text()) for path in ROOT.glob('carvana_jax/**/*.py')
    ]
    imported = _imported(node for tree in trees for node in ast.walk(tree))
    optional = self.optional_modules()
    self.assertEqual(imported - optional, set(carvana_jax._MODULES))
    names = importlib.metadata.packages_distributions()
    wanted = {Requirement(line).name for line in self.requirements()[0]}
    for module in imported - optional:
      known = {name.replace('_', '-').lower() for name in names[module]}
      self.assertNotEmpty(known & wanted, module)

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
