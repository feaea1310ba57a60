"""What README and the other pages say is so: commands, flags, files, links."""

import functools
import importlib
import json
import pathlib
import re
import subprocess
import sys

from absl.testing import absltest, parameterized

from tests.helpers import documents

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [
  path.relative_to(ROOT).as_posix()
  for pattern in (
    'README.md',
    'CONTRIBUTING.md',
    'docs/*.md',
    'benchmarks/*.md',
  )
  for path in sorted(ROOT.glob(pattern))
]
# Programs of others, whose flags are theirs to know.
OTHERS = {
  '.peers/bin/pip', '.venv/bin/pip', '.venv/bin/ruff', '.venv/bin/tensorboard',
  'cd', 'gcloud', 'git', 'pip', 'sbatch', 'srun',
}  # fmt: skip
OTHER_MODULES = {'pip', 'pytest', 'venv'}
# What an inline command may lack.
LACKING = re.compile(
  r'must have a value other than None|--config is missing|arguments instead of'
)
FIELD = re.compile(
  r'(?:--)?(?:config\.)?((?:data|model|augment|optimizer|train|eval)\.(?!zip)\w+)'
  r'(?:=\S+)?'
)
FLAG = re.compile(r'--(?!xla_)(\w[\w-]*)(?:=\S*)?')
# Words in the names of files that stand for others.
PLACEHOLDER = re.compile(
  r'(?<![A-Z])(CAR|FILE|FOLDER|NAME|ROOM|VERB|X)(?![A-Z])'
)
PATH = re.compile(r'[\w.-]+(?:/[\w.*-]+)*/?')
CODE = ('.cff', '.md', '.py', '.sh', '.toml')
# Files that docs/layout.md gives a place to, before they are there.
TO_COME = {
  'export.py', 'inference/export.py', 'inference/serving.py', 'serve.py',
}  # fmt: skip


@functools.cache
def has_command_line(module):
  path = ROOT / (module.replace('.', '/') + '.py')
  return path.exists() and '  cli.run(main' in path.read_text()


def modules():
  """All modules that have flags."""
  return [
    f'{folder}.{path.stem}'
    for folder in ('carvana_jax', 'benchmarks')
    for path in sorted((ROOT / folder).glob('*.py'))
    if has_command_line(f'{folder}.{path.stem}')
  ]


def parse(commands):
  """[flags of its module, what is wrong with it] of each command."""
  done = subprocess.run(
    [sys.executable, '-m', 'tests.helpers.flags_only'],
    cwd=ROOT, input=json.dumps(commands), capture_output=True, text=True,
    check=True,
  )  # fmt: skip
  return json.loads(done.stdout)


def of_ours(words):
  """(module, arguments) of a program of this project, or what is wrong.

  None where the program is another's.
  """
  program, *rest = words
  if program == 'bash' and rest[:1] == ['run.sh']:
    rest = rest[1:] or ['--config=configs/studio.py']
    if rest[0].startswith('-'):
      rest = ['main', *rest]
    if rest[0] == 'test':
      return missing_files(rest[1:])
    module, arguments = f'carvana_jax.{rest[0]}', rest[1:]
  elif pathlib.Path(program).name in ('python', 'python3'):
    if rest[:1] != ['-m']:
      return missing_files(rest)
    module, arguments = rest[1], rest[2:]
    if module in OTHER_MODULES:
      return missing_files(arguments) if module == 'pytest' else None
  elif program in OTHERS:
    return None
  else:
    return f'{program} is not a command known here'
  if not has_command_line(module):
    return f'{module} is no command of this project'
  return module, arguments


def missing_files(arguments):
  """What is wrong with arguments that name files; None for nothing."""
  for word in arguments:
    path = word.partition('::')[0]
    if '/' in path and word[0] not in '-./' and not (ROOT / path).exists():
      return f'there is no {path}'
  return None


def wrong_commands(commands, inline=()):
  """What is wrong with commands, and with those that may lack flags."""
  wrong, ours = [], []
  for command in [*commands, *inline]:
    if PLACEHOLDER.search(command.partition('run.sh ')[2].partition(' ')[0]):
      continue  # bash run.sh VERB FLAGS
    for words in documents.programs(command):
      found = of_ours([word for word in words if word not in ('…', '...')])
      if isinstance(found, str):
        wrong.append(f'{command}: {found}')
      elif found:
        ours.append((command, found))
  results = parse([call for _, call in ours])
  for (command, _), (_, problem) in zip(ours, results, strict=True):
    if problem and not (command in inline and LACKING.search(problem)):
      wrong.append(f'{command}: {problem}')
  return wrong


@functools.cache
def fields():
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
def flag_names():
  """The names of all commands' flags."""
  known, _ = zip(*parse([(module, []) for module in modules()]), strict=True)
  return set().union(*known)


def wrong_spans(spans):
  """What is in backticks and neither a flag, nor a field, nor a file."""
  wrong = []
  for span in spans:
    for word in span.split() if span.startswith('--') else [span]:
      field, flag = FIELD.fullmatch(word), FLAG.fullmatch(word)
      if field and field[1] not in fields() and not is_file(word):
        wrong.append(f'no config has the field {field[1]}')
      elif flag and flag[1] not in flag_names():
        wrong.append(f'no command has the flag --{flag[1]}')
    if names_file(span) and not is_file(span):
      wrong.append(f'there is no {span}')
  return wrong


def names_file(span):
  """Whether it names a file or folder of this project."""
  if not PATH.fullmatch(span) or PLACEHOLDER.search(span):
    return False
  top, slash, _ = span.partition('/')
  if span in TO_COME:
    return False
  if span.endswith(CODE):
    return bool(slash) or span.endswith('.py')
  return bool(slash) and top in (
    'carvana_jax', 'configs', 'tests', 'benchmarks', 'docs',
  )  # fmt: skip


def is_file(span):
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


def wrong_links(page, path):
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


def problems(text, path=ROOT / 'README.md'):
  """All that is wrong with a page."""
  page = documents.read(text)
  return [
    *wrong_commands(page.commands, documents.inline_commands(page)),
    *wrong_spans(page.spans),
    *wrong_links(page, path),
  ]


class PagesTest(parameterized.TestCase):
  def test_the_pages_are_there(self):
    self.assertContainsSubset(
      {
        'README.md', 'docs/accelerators.md', 'docs/data.md', 'docs/layout.md',
        'docs/predicting.md', 'docs/published_networks.md', 'docs/reports.md',
        'docs/submitting.md', 'docs/training.md', 'benchmarks/README.md',
      },
      PAGES,
    )  # fmt: skip

  @parameterized.parameters(*PAGES)
  def test_commands_flags_files_and_links(self, name):
    path = ROOT / name
    self.assertEqual(problems(path.read_text(), path), [])

  @parameterized.parameters(
    *[name for name in PAGES if not name.startswith('benchmarks/')]
  )
  def test_figures_stand_beside_a_command(self, name):
    page = documents.read((ROOT / name).read_text())
    self.assertEqual(page.bare_tables, [])

  def test_readme_is_a_front_page(self):
    text = (ROOT / 'README.md').read_text()
    self.assertLessEqual(len(text.splitlines()), 150)
    commands = documents.read(text).commands
    self.assertContainsSubset(
      ['bash run.sh', 'bash run.sh test'],
      [command.partition('#')[0].strip() for command in commands],
    )

  def test_every_page_is_linked_from_the_front_page(self):
    links = documents.read((ROOT / 'README.md').read_text()).links
    linked = {link.partition('#')[0] for link in links}
    self.assertContainsSubset(
      {*PAGES, *(f'docs/{path.name}' for path in ROOT.glob('docs/*.md'))}
      - {'README.md'},
      linked,
    )

  def test_what_is_to_come_is_not_there(self):
    for name in TO_COME:
      self.assertFalse((ROOT / 'carvana_jax' / name).exists(), name)


class WrongPagesTest(parameterized.TestCase):
  """Pages with one mistake each, and the same without it."""

  @parameterized.parameters(
    ('    bash run.sh evaluat --workdir=runs/a', 'evaluat', 'evaluate'),
    (
      '    bash run.sh evaluate --workdir=runs/a --spilt=test',
      'spilt',
      'split',
    ),
    ('    bash run.sh evaluate --workdir=a --split=tset', 'tset', 'test'),
    (
      '    bash run.sh --config=configs/debug.py --config.train.epocs=1',
      'epocs',
      'epochs',
    ),
    (
      '    bash run.sh --config=configs/debug.py --config.train.epochs=few',
      'few',
      '5',
    ),
    ('    bash run.sh --config=configs/debgu.py', 'debgu', 'debug'),
    (
      '    bash run.sh --config=configs/a.py --workdir',
      'a.py --',
      'debug.py #',
    ),
    ('    bash run.sh evaluate --split=all', '--split', '--workdir=a --split'),
    ('    bash run.sh compare runs/a', 'runs/a', 'runs/a runs/b'),
    ('    # a comment\n    rn.sh', 'rn.sh', 'bash run.sh'),
    ('```bash\nbash run.sh reprot --workdir=a\n```', 'reprot', 'report'),
    (
      '    bash run.sh \\\n        --config=configs/debug.py \\\n'
      '        --config.data.sise=64x96    # small',
      'sise',
      'size',
    ),
    ('    .venv/bin/python -m benchmarks.stp', 'stp', 'step'),
    ('    python -m benchmarks.kill --kills=0', '=0', '=1'),
    ('    python tests/layuot_test.py', 'layuot', 'layout'),
    ('    bash run.sh test tests/trainin', 'trainin', 'training'),
    (
      '    sbatch --gres=gpu:8 --wrap \\\n'
      '        "srun -n 8 bash run.sh --config=configs/debug.py \\\n'
      '         --config.seeed=1"',
      'seeed',
      'seed',
    ),
    (
      '    gcloud compute tpus tpu-vm ssh NAME --command \\\n'
      '        "cd a && bash run.sh mian --config=configs/debug.py"',
      'mian',
      'main',
    ),
    ('`bash run.sh summry --config=configs/debug.py`', 'summry', 'summary'),
    ('`bash run.sh summary --pictur=a.png`', 'pictur', 'picture'),
    ('with `--save_probability`', 'probability', 'probabilities'),
    ('with `--config.data.unlabelled=True`', 'unlabelled', 'unlabeled'),
    ('`train.acumulate=4` is', 'acumulate', 'accumulate'),
    ('in `training/lop.py`', 'lop', 'loop'),
    ('in `lop.py`', 'lop', 'loop'),
    ('in `carvana_jax/trainin/`', 'trainin', 'training'),
    ('[page](docs/dta.md)', 'dta', 'data'),
    ('[page](docs/data.md#ad-hoc)', 'ad-hoc', 'render-a-studio-instead'),
    ('![picture](docs/stdio.png)', 'stdio', 'studio'),
  )
  def test_a_mistake_is_found(self, text, mistake, instead):
    self.assertLen(problems(text), 1)
    self.assertEqual(problems(text.replace(mistake, instead)), [])

  def test_unquoted_brackets(self):
    text = (
      '    bash run.sh --config=configs/debug.py --config.model.widths=(1,2)'
    )
    self.assertNotEqual(problems(text), [])

  def test_what_is_not_a_command_of_ours(self):
    text = (
      '    pip install .\n    git clone ADDRESS && cd carvana_jax\n\n'
      '```python\nimport this\n```\n\n```text\na → b\n```\n\n'
      'See `bash run.sh VERB FLAGS`, `models/NAME.py`, `HOST:PORT`, '
      '`out_of_fold/images.csv`, `python -m carvana_jax.main …`.'
    )
    self.assertEqual(problems(text), [])

  def test_a_table_without_command(self):
    table = '## Speed\n\n| a | 1.5 |\n|---|---|\n'
    self.assertEqual(documents.read(table).bare_tables, ['Speed'])
    command = f'{table}\n    bash run.sh\n'
    self.assertEqual(documents.read(command).bare_tables, [])
    other = f'{table}\n## More\n\n    bash run.sh\n'
    self.assertEqual(documents.read(other).bare_tables, ['Speed'])


if __name__ == '__main__':
  absltest.main()
