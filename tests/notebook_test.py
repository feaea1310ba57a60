"""The notebook is its script's, small, and runs from the first cell on."""

import re

import nbformat
from absl.testing import absltest

from docs import make_notebook
from tests.helpers import commands
from tests.helpers.page_problems import problems

_LARGEST = 400_000  # bytes
_ABSOLUTE = re.compile(r'(?<![\w.)/:<])[/~]\w+/')
_TINY = """
FOLDER = 'tiny'
DATA = {data!r}
SIZE = '64x96'
FULL_SIZE = '64x96'
LEVELS = 2
WIDTH = 4
EPOCHS = 2
MINUTES = 1
"""


def _of_script():
  return make_notebook.of_script(make_notebook.SCRIPT.read_text())


def _outputs(notebook):
  for cell in notebook.cells:
    yield from cell.get('outputs', ())


class MadeTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.made = nbformat.read(make_notebook.NOTEBOOK, as_version=4)

  def test_cells_are_those_of_the_script(self):
    cells = [
      [(x.cell_type, x.metadata.get('tags'), x.source) for x in notebook.cells]
      for notebook in (self.made, _of_script())
    ]
    self.assertEqual(*cells)
    self.assertGreater(len(cells[0]), 20)

  def test_all_cells_were_run_in_their_order(self):
    counts = [
      x.execution_count for x in self.made.cells if x.cell_type == 'code'
    ]
    self.assertEqual(counts, [*range(1, len(counts) + 1)])

  def test_results_are_small_and_tell_nothing_of_the_machine(self):
    self.assertLess(make_notebook.NOTEBOOK.stat().st_size, _LARGEST)
    texts, kinds = '', set()
    for output in _outputs(self.made):
      self.assertNotEqual(output.output_type, 'error')
      self.assertNotEqual(output.get('name'), 'stderr')
      texts += output.get('text', '')
      kinds |= {*output.get('data', ())}
    self.assertIn('Dice', texts)
    self.assertIsNone(_ABSOLUTE.search(texts))
    self.assertEqual(kinds, {'image/jpeg', 'image/png', 'text/plain'})
    self.assertEqual({*self.made.metadata}, {'kernelspec', 'language_info'})

  def test_commands_fields_and_links_in_its_text(self):
    text = '\n\n'.join(
      x.source for x in self.made.cells if x.cell_type == 'markdown'
    )
    self.assertEqual(problems(text, make_notebook.NOTEBOOK), [])


class RunTest(absltest.TestCase):
  def test_every_cell_runs(self):
    notebook = _of_script()
    (parameters,) = (
      x for x in notebook.cells if x.metadata.get('tags') == ['parameters']
    )
    names = lambda source: re.findall(r'^(\w+) = ', source, re.M)
    tiny = _TINY.format(data=str(commands.debug_run() / 'data'))
    self.assertEqual(names(parameters.source), names(tiny))
    parameters.source = tiny
    make_notebook.run(notebook)  # raises what a cell does
    texts = ''.join(x.get('text', '') for x in _outputs(notebook))
    self.assertRegex(texts, r'\ntest +96 photos of +6 cars')
    self.assertIn('written to tiny/run/evaluation/studio-test', texts)
    kinds = [kind for x in _outputs(notebook) for kind in x.get('data', ())]
    self.assertEqual(kinds.count('image/jpeg'), 6)


if __name__ == '__main__':
  absltest.main()
