"""Imports run one way: a room uses only rooms that stand before its own."""

import ast
import graphlib
import pathlib

from absl.testing import absltest

ROOT = pathlib.Path(__file__).parents[1]
ROOMS = (
  'configs', 'system', 'parallel', 'datasets', 'masks', 'metrics', 'models',
  'training', 'inference', 'portable', 'page', 'exporting', 'serving',
  'evaluation', 'submission', 'workflows', 'reporting', 'commands',
)  # fmt: skip


def _imports():
  """{module: the modules of this project that it imports, anywhere in it}."""
  files = {
    *ROOT.glob('carvana_jax/**/*.py'),
    *ROOT.glob('carvana_jax/configs/*.py'),  # a link, which ** does not follow
  }
  modules = {_name(path): path for path in files}
  found = {}
  for module, path in modules.items():
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
      if isinstance(node, ast.ImportFrom) and node.module:
        assert not node.level, f'{path}: imports are absolute'
        for alias in node.names:
          full = f'{node.module}.{alias.name}'
          names.add(full if full in modules else node.module)
      elif isinstance(node, ast.Import):
        names |= {alias.name for alias in node.names}
    found[module] = names & modules.keys()
  return found


def _name(path):
  parts = path.relative_to(ROOT).with_suffix('').parts
  return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def _room(module):
  rest = module.split('.')[1:]
  return rest[0] if rest and rest[0] in ROOMS else 'commands'


class LayoutTest(absltest.TestCase):
  def test_rooms_use_only_rooms_before_their_own(self):
    upwards = [
      f'{module} uses {used}'
      for module, names in _imports().items()
      for used in names
      if ROOMS.index(_room(used)) > ROOMS.index(_room(module))
    ]
    self.assertEmpty(upwards)

  def test_no_circle_of_files(self):
    graph = _imports()
    self.assertGreater(len(graph), 100)
    graphlib.TopologicalSorter(graph).prepare()  # raises a CycleError

  def test_nothing_but_commands_at_the_top(self):
    for path in ROOT.glob('carvana_jax/*'):
      if path.suffix == '.py' and path.name != '__init__.py':
        self.assertIn('\n  cli.run(main', path.read_text(), path.name)
      elif path.name not in ('__init__.py', '__pycache__', 'weights'):
        self.assertIn(path.name, ROOMS)

  def test_no_command_is_imported(self):
    imported = set().union(*_imports().values())
    commands = [name for name in imported if _room(name) == 'commands']
    self.assertEmpty(commands)


if __name__ == '__main__':
  absltest.main()
