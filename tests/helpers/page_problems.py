"""What is wrong with a page of Markdown: commands, flags, fields, files, links.

Only what this project has is looked at; other programs are listed here.
"""

import ast
import functools
import importlib
import json
import pathlib
import re
import subprocess
import sys

import carvana_jax
from tests.helpers import documents

ROOT = pathlib.Path(__file__).parents[2]
# Programs of others, whose flags are theirs to know.
_OTHERS = {
  '.peers/bin/pip', '.peers_rembg/bin/pip', '.venv/bin/pip', '.venv/bin/ruff',
  '.venv/bin/tensorboard', '.venv/bin/xprof', 'cd', 'cp', 'curl', 'docker',
  'gcloud', 'git', 'mkdir', 'mv', 'npm', 'pip', 'sbatch', 'srun',
}  # fmt: skip
_OTHER_MODULES = {'pip', 'pytest', 'venv'}
# What an inline command may lack.
_LACKING = re.compile(
  r'must have a value other than None|--config is missing|arguments instead of'
)
_FIELD = re.compile(
  r'(?:--)?(?:config\.)?((?:data|model|augment|optimizer|train|eval)\.(?!zip)\w+)'
  r'(?:=\S+)?'
)
_FLAG = re.compile(r'--(?!xla_)(\w[\w-]*)(?:=\S*)?')
# Words in the names of files that stand for others.
_PLACEHOLDER = re.compile(
  r'(?<![A-Z])(CAR|FILE|FOLDER|NAME|ROOM|VERB|X)(?![A-Z])'
)
_PATH = re.compile(r'[\w.-]+(?:/[\w.*-]+)*/?')
_CODE = ('.cff', '.md', '.py', '.sh', '.toml')


def problems(text: str, path: pathlib.Path = ROOT / 'README.md') -> list[str]:
  """Returns a sentence on everything that is wrong with a page.

  Args:
    text: the page, in Markdown.
    path: where it lies, for its relative links.
  """
  page = documents.read(text)
  return [
    *_wrong_commands(page.commands, documents.inline_commands(page)),
    *_wrong_spans(page.spans),
    *_wrong_links(page, path),
    *(problem for source in page.python for problem in _wrong_imports(source)),
  ]


@functools.cache
def _has_command_line(module):
  path = ROOT / (module.replace('.', '/') + '.py')
  return path.exists() and '  cli.run(main' in path.read_text()


def _modules():
  """All modules that have flags."""
  return [
    f'{folder}.{path.stem}'
    for folder in ('carvana_jax', 'benchmarks')
    for path in sorted((ROOT / folder).glob('*.py'))
    if _has_command_line(f'{folder}.{path.stem}')
  ]


def _parse(commands):
  """[flags of its module, what is wrong with it] of each command."""
  done = subprocess.run(
    [sys.executable, '-m', 'tests.helpers.flags_only'],
    cwd=ROOT, input=json.dumps(commands), capture_output=True, text=True,
    check=True,
  )  # fmt: skip
  return json.loads(done.stdout)


def _our_call(words):
  """(module, arguments) of a program of this project, or what is wrong with it.

  None where there is nothing to parse, as the program is another's.
  """
  program, *rest = words
  if program == 'bash' and rest[:1] == ['run.sh']:
    rest = rest[1:] or ['--config=configs/studio.py']
    if rest[0].startswith('-'):
      rest = ['main', *rest]
    if rest[0] == 'test':
      return _missing_files(rest[1:])
    module, arguments = f'carvana_jax.{rest[0]}', rest[1:]
  elif pathlib.Path(program).name in ('python', 'python3'):
    if rest[:1] != ['-m']:
      return _missing_files(rest)
    module, arguments = rest[1], rest[2:]
    if module in _OTHER_MODULES:
      return _missing_files(arguments) if module == 'pytest' else None
  elif program == 'bash':
    return _missing_files(rest)
  elif program in _OTHERS:
    return None
  else:
    return f'{program} is not a command known here'
  if not _has_command_line(module):
    return f'{module} is no command of this project'
  return module, arguments


def _missing_files(arguments):
  """What is wrong with arguments that name files; None for nothing."""
  for word in arguments:
    path = word.partition('::')[0]
    if '/' in path and word[0] not in '-./' and not (ROOT / path).exists():
      return f'there is no {path}'
  return None


def _wrong_commands(commands, inline=()):
  """What is wrong with commands, and with those that may lack flags."""
  wrong, ours = [], []
  for command in [*commands, *inline]:
    if _PLACEHOLDER.search(command.partition('run.sh ')[2].partition(' ')[0]):
      continue  # bash run.sh VERB FLAGS
    for words in documents.programs(command):
      call = _our_call([word for word in words if word not in ('…', '...')])
      if isinstance(call, str):
        wrong.append(f'{command}: {call}')
      elif call:
        ours.append((command, call))
  results = _parse([call for _, call in ours])
  for (command, _), (_, problem) in zip(ours, results, strict=True):
    if problem and not (command in inline and _LACKING.search(problem)):
      wrong.append(f'{command}: {problem}')
  return wrong


@functools.cache
def _fields():
  """The fields of all configs, such as train.epochs."""
  configs = [
    importlib.import_module(f'configs.{path.stem}').get_config()
    for path in (ROOT / 'configs').glob('[!_]*.py')
  ]
  return {
    f'{section}.{name}'
    for config in configs
    for section in ('data', 'model', 'augment', 'optimizer', 'train', 'eval')
    for name in config[section]
  }


@functools.cache
def _flag_names():
  """The names of all commands' flags."""
  known, _ = zip(*_parse([(module, []) for module in _modules()]), strict=True)
  return set().union(*known)


def _wrong_spans(spans):
  """What is in backticks and neither a flag, nor a field, nor a file."""
  wrong = []
  for span in spans:
    for word in span.split() if span.startswith('--') else [span]:
      field, flag = _FIELD.fullmatch(word), _FLAG.fullmatch(word)
      if field and field[1] not in _fields() and not _is_file(word):
        wrong.append(f'no config has the field {field[1]}')
      elif flag and flag[1] not in _flag_names():
        wrong.append(f'no command has the flag --{flag[1]}')
    if _names_file(span) and not _is_file(span):
      wrong.append(f'there is no {span}')
  return wrong


def _names_file(span):
  """Whether it names a file or folder of this project."""
  if not _PATH.fullmatch(span) or _PLACEHOLDER.search(span):
    return False
  top, slash, _ = span.partition('/')
  if span.endswith(_CODE):
    return bool(slash) or span.endswith('.py')
  return bool(slash) and top in (
    'carvana_jax', 'configs', 'tests', 'benchmarks', 'docs',
  )  # fmt: skip


def _is_file(span):
  """Whether a path from here or from carvana_jax is there, or a name anywhere.

  A path may hold a star.
  """
  if '/' not in span:
    return any(
      any((ROOT / top).rglob(span))
      for top in ('carvana_jax', 'configs', 'tests', 'benchmarks')
    )
  span = span.rstrip('/')
  return any(any(top.glob(span)) for top in (ROOT, ROOT / 'carvana_jax'))


def _wrong_links(page, path):
  """Links of a page to files or parts of pages that are not there."""
  wrong = []
  for link in page.links:
    if link.startswith(('http://', 'https://', 'mailto:')):
      continue
    name, _, anchor = link.partition('#')
    target = (path.parent / name).resolve() if name else path
    if not target.exists():
      wrong.append(f'{link}: there is no such file')
    elif anchor:
      there = documents.read(target.read_text()) if name else page
      if anchor not in there.anchors:
        wrong.append(f'{link}: there is no such heading')
  return wrong


def _wrong_imports(source):
  """Modules of this project that a piece of Python wants, but aren't there."""
  wanted = set()
  for node in ast.walk(ast.parse(source)):
    if isinstance(node, ast.ImportFrom):
      wanted |= {f'{node.module}.{alias.name}' for alias in node.names}
    elif isinstance(node, ast.Import):
      wanted |= {alias.name for alias in node.names}
  return [
    f'there is no module {name}'
    for name in sorted(wanted)
    if name.startswith('carvana_jax.')
    and name.partition('.')[2] not in carvana_jax.__all__
    and not (ROOT / (name.replace('.', '/') + '.py')).exists()
  ]
