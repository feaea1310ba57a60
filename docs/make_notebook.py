"""Makes first_steps.ipynb of first_steps.py: its cells, with their results.

    .venv/bin/python docs/make_notebook.py

Runs all cells in an empty folder, which takes some five minutes on two cores.
In the script, `# %%` begins a cell of code and `# %% [markdown]` one of text.
"""

import os
import pathlib
import re
import tempfile

import nbclient
import nbformat
from traitlets.config import Config

ROOT = pathlib.Path(__file__).resolve().parents[1]
SCRIPT = ROOT / 'docs/first_steps.py'
NOTEBOOK = ROOT / 'docs/first_steps.ipynb'
_CELL = re.compile(r'^# %%(?: (\[markdown\]|tags=\["(\w+)"\]))?\n', re.M)


def of_script(text: str) -> nbformat.NotebookNode:
  """Returns the notebook of a script, without results.

  Args:
    text: the script; what stands before its first cell is left out.
  """
  cells = []
  _, *parts = _CELL.split(text)
  for kind, tag, source in zip(*[iter(parts)] * 3, strict=True):
    if kind == '[markdown]':
      source = re.sub('^# ?', '', source, flags=re.M)
      cell = nbformat.v4.new_markdown_cell(source.strip())
    else:
      cell = nbformat.v4.new_code_cell(source.strip())
      if tag:
        cell.metadata.tags = [tag]
    cell.id = f'cell-{len(cells)}'  # else one by chance
    cells.append(cell)
  kernel = {'display_name': 'Python 3', 'language': 'python', 'name': 'python3'}
  return nbformat.v4.new_notebook(cells=cells, metadata={'kernelspec': kernel})


def run(notebook: nbformat.NotebookNode) -> None:
  """Runs all cells, as in a new checkout, and keeps their results.

  Args:
    notebook: what is run, and then holds the results.

  Raises:
    nbclient.exceptions.CellExecutionError: a cell has failed.
  """
  with tempfile.TemporaryDirectory() as folder:
    top = pathlib.Path(folder).resolve()
    (top / 'docs').mkdir()
    (top / 'carvana_jax').symlink_to(ROOT / 'carvana_jax')
    # Else other users of the machine could connect.
    sockets = {'transport': 'ipc', 'ip': str(top / 'socket')}
    client = nbclient.NotebookClient(
      notebook,
      config=Config(KernelManager=sockets),
      startup_timeout=300,
      resources={'metadata': {'path': str(top / 'docs')}},
      record_timing=False,
      coalesce_streams=True,
    )
    # Else the user's own files that IPython starts with are run as well.
    client.execute(env=os.environ | {'IPYTHONDIR': str(top / 'ipython')})
    notebook.metadata.language_info = {'name': 'python'}
    for cell in notebook.cells:
      for output in cell.get('outputs', ()):
        if 'text' in output:
          output.text = output.text.replace(f'{top}/docs/', '')


def main() -> None:
  """Makes the notebook."""
  notebook = of_script(SCRIPT.read_text())
  run(notebook)
  nbformat.write(notebook, NOTEBOOK)
  print(f'{NOTEBOOK.stat().st_size:,} bytes in {NOTEBOOK}')


if __name__ == '__main__':
  main()
