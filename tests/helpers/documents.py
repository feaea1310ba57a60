"""What Markdown pages say: commands, flags, files, links, tables of figures."""

import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

# Fences that hold commands; a block of another language, `text` for none, is
# passed over.
_SHELLS = ('', 'bash', 'sh', 'shell', 'console')
_SPAN = re.compile(r'(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)')
_LINK = re.compile(r'\]\(\s*([^()\s]+)\s*\)')
_HEADING = re.compile(r'#+ +(.+?) *#* *$')
_DECIMAL = re.compile(r'\d\.\d')
_RUNS = re.compile(r'bash|\S*python3?')
_COMMAND = re.compile(r'(bash|\S*python3?|\S*pip) ')


class Page(NamedTuple):
  """A page, taken apart.

  Attributes:
    commands: those of its code blocks, as the shell sees them: lines that go
      on are one, comments are left out.
    python: its code blocks in Python.
    spans: what stands in backticks.
    links: targets of links and pictures.
    anchors: what a link to a part of this page may name.
    bare_tables: headings of sections that have a table with decimal figures,
      but no command.
  """

  commands: list[str]
  python: list[str]
  spans: list[str]
  links: list[str]
  anchors: set[str]
  bare_tables: list[str]


def read(text: str) -> Page:
  """Returns what a page of Markdown says."""
  commands, python, anchors, bare_tables = [], [], set(), []
  prose = []
  for title, lines in _sections(text):
    blocks, others = _split(lines)
    here = [
      command
      for language, block in blocks
      if language in _SHELLS
      for command in _commands(block)
    ]
    python += ['\n'.join(block) for name, block in blocks if name == 'python']
    prose += others
    commands += here
    anchors.add(_anchor(title))
    figures = any(
      line.lstrip().startswith('|') and _DECIMAL.search(line) for line in others
    )
    if figures and not here:
      bare_tables.append(title)
  joined = '\n'.join(prose)
  return Page(
    commands,
    python,
    [' '.join(span.split()) for span in _SPAN.findall(joined)],
    _LINK.findall(joined),
    anchors,
    bare_tables,
  )


def inline_commands(page: Page) -> list[str]:
  """Returns the commands in backticks, of which flags may be left out."""
  return [span for span in page.spans if _COMMAND.match(span)]


def programs(command: str) -> Iterator[list[str]]:
  """Yields the words of every program that a line of the shell starts.

  What sbatch, srun and gcloud are told to run is looked into.

  Raises:
    ValueError: the line has a quote that does not end.
  """
  lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
  lexer.whitespace_split = True
  words: list[str] = []
  for word in [*lexer, ';']:
    if word in ('&&', '||', '|', ';', '&'):
      yield from _nested(words)
      words = []
    else:
      words.append(word)


def _nested(words):
  """A program, and those that it is told to run."""
  while words and re.match(r'[A-Z_]+=', words[0]):  # its environment
    words = words[1:]
  if not words:
    return
  yield words
  if words[0] == 'srun':
    runs = [place for place, word in enumerate(words) if _RUNS.fullmatch(word)]
    yield from _nested(words[runs[0] :] if runs else [])
  for word, following in zip(words, [*words[1:], ''], strict=True):
    name, _, value = word.partition('=')
    if (words[0], name) in (('sbatch', '--wrap'), ('gcloud', '--command')):
      yield from programs(value or following)


def _sections(text):
  """(heading, lines) of every section; the part before the first has ''."""
  title, lines, fenced = '', [], False
  for line in text.splitlines():
    fenced ^= line.lstrip().startswith('```')
    heading = None if fenced else _HEADING.match(line)
    if heading:
      yield title, lines
      title, lines = heading[1], []
    else:
      lines.append(line)
  yield title, lines


def _split(lines):
  """(language, lines) of the code blocks, and all other lines."""
  blocks, others = [], []
  fenced, block = False, None
  after_blank = True
  for line in lines:
    if line.lstrip().startswith('```'):
      fenced = not fenced
      block = [] if fenced else None
      if fenced:
        blocks.append((line.strip().strip('`'), block))
    elif fenced:
      block.append(line)
    elif line.startswith('    ') and (after_blank or block is not None):
      if block is None:
        block = []
        blocks.append(('', block))
      block.append(line)
    else:
      if line.strip():
        block = None
      others.append(line)
    after_blank = not line.strip()
  return blocks, others


def _commands(block):
  """The commands of a code block, a line each."""
  whole = ''
  for line in block:
    line = line.strip().removeprefix('$ ')
    whole = f'{whole} {line}'.strip()
    if whole.endswith('\\'):
      whole = whole[:-1].rstrip()
      continue
    try:
      ends = shlex.split(whole, comments=True)
    except ValueError:  # within quotes
      continue
    if ends:
      yield whole
    whole = ''
  if whole:
    yield whole


def _anchor(title):
  """What GitHub makes of a heading."""
  kept = re.sub(r'[^\w\- ]', '', title.lower())
  return kept.strip().replace(' ', '-')
