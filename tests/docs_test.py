"""What README and the other pages say is so: commands, flags, files, links."""

import re

from absl.testing import absltest, parameterized

from tests.helpers import documents
from tests.helpers.page_problems import ROOT, problems

PAGES = [
  path.relative_to(ROOT).as_posix()
  for pattern in (
    'README.md',
    'CONTRIBUTING.md',
    'docs/*.md',
    'benchmarks/*.md',
    'weights/*.md',
  )
  for path in sorted(ROOT.glob(pattern))
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

  def test_facts_of_publications_name_the_tests_that_pin_them(self):
    page = (ROOT / 'docs/published_networks.md').read_text()
    _, facts = page.split('## Fact by fact')
    rows = re.findall(r'^\| (?!fact|---)(.*) \|$', facts, re.MULTILINE)
    self.assertGreater(len(rows), 30)
    for row in rows:
      named = re.search(r'`(tests/\S+_test\.py)` `(test_\w+)`$', row)
      self.assertIsNotNone(named, row)
      file, test = named.groups()
      self.assertIn(f'  def {test}(', (ROOT / file).read_text(), row)

  def test_the_layout_names_every_file_of_every_room(self):
    spans = documents.read((ROOT / 'docs/layout.md').read_text()).spans
    named = {span.rstrip('/').rpartition('/')[2] for span in spans}
    paths = [
      path
      for path in ROOT.glob('carvana_jax/*/[!_]*')
      if path.parent.name != 'configs'
      and (path.is_dir() or path.suffix == '.py')
    ]
    self.assertGreater(len(paths), 60)
    self.assertEmpty([str(path) for path in paths if path.name not in named])


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
    ('    bash weights/mak.sh KAGGLE', 'mak', 'make'),
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
    (
      '```python\nfrom carvana_jax.dataset import spec\n```',
      'dataset ',
      'datasets ',
    ),
    ('[page](docs/dta.md)', 'dta', 'data'),
    ('[page](docs/data.md#ad-hoc)', 'ad-hoc', 'render-a-studio-instead'),
    ('![picture](docs/stdio.png)', 'stdio', 'studio'),
  )
  def test_a_mistake(self, text, mistake, instead):
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
