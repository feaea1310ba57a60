"""The page: HTML that loads nothing, for screens of any size."""

import base64
import html
from collections.abc import Iterable, Sequence
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
* { box-sizing: border-box; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; padding: 1rem;
  max-width: 76rem; }
h1 { font-size: 1.5rem; margin: .5rem 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem;
  border-bottom: 1px solid var(--line); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .4rem; text-align: right; font-size: .9rem;
  border-bottom: 1px solid var(--soft); }
/* What a row is of stays in sight while the rest is scrolled. */
th:first-child, td:first-child { text-align: left; padding-left: 0;
  position: sticky; left: 0; background: Canvas; }
pre { background: var(--soft); padding: .6rem; overflow-x: auto;
  font-size: .8rem; }
img, svg { max-width: 100%; height: auto; }
.drawing svg { max-width: max(100%, 40rem); }
.plots, .cards { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(22rem, 100%), 1fr)); }
ul { padding-left: 1.2rem; max-width: 46rem; }
.plots svg, .plots img { background: white; border-radius: .3rem; }
figure { margin: 0; }
figcaption { font-size: .85rem; overflow-wrap: anywhere; }
.pair { position: relative; line-height: 0; }
.pair img { width: 100%; }
.pair img + img { position: absolute; inset: 0;
  clip-path: inset(0 0 0 var(--at, 50%)); }
.slide { width: 100%; margin: .2rem 0; }
.small { display: grid; grid-template-columns: 1fr 1fr; gap: .3rem; }
.small img { width: 100%; }
.wrong { color: #e0642b; } .missed { color: #3a83e0; }
"""

# Moves the seam between the two pictures of a comparison.
_SCRIPT = """
for (const slide of document.querySelectorAll('.slide')) {
  const move = () => slide.previousElementSibling.style.setProperty(
    '--at', slide.value + '%');
  slide.addEventListener('input', move);
  move();
}
"""


def page(title: str, sections: Iterable[tuple[str, str]]) -> str:
  """Returns a whole document.

  Args:
    title: the title of the page.
    sections: (heading, HTML) of each; those without HTML are left out.
  """
  body = '\n'.join(
    f'<section><h2>{html.escape(heading)}</h2>\n{content}</section>'
    for heading, content in sections
    if content
  )
  name = html.escape(title)
  return (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    '<link rel="icon" href="data:,">\n'
    f'<title>{name}</title>\n<style>{_STYLE}</style></head>\n'
    f'<body><h1>{name}</h1>\n{body}\n<script>{_SCRIPT}</script>\n'
    '</body></html>\n'
  )


def table(rows: Sequence[dict[str, Any]]) -> str:
  """Returns a table that scrolls if it is too wide.

  Args:
    rows: the cells by column, of the same columns in each row.

  Returns:
    HTML; '' without rows.
  """
  if not rows:
    return ''
  cell = lambda tag, value: f'<{tag}>{html.escape(_text(value))}</{tag}>'
  lines = [''.join(cell('th', key) for key in rows[0])]
  lines += [
    ''.join(cell('td', value) for value in row.values()) for row in rows
  ]
  body = '\n'.join(f'<tr>{line}</tr>' for line in lines)
  return f'<div class="wide"><table>\n{body}\n</table></div>\n'


def _text(value):
  return f'{value:.5f}' if isinstance(value, float) else str(value)


def bullets(sentences: Iterable[str]) -> str:
  """Returns a list of sentences; '' without any."""
  items = '\n'.join(f'<li>{html.escape(one)}</li>' for one in sentences)
  return f'<ul>\n{items}\n</ul>\n' if items else ''


def preformatted(text: str) -> str:
  """Returns text with its own line breaks and spaces."""
  return f'<pre>{html.escape(text)}</pre>\n'


def image(data: bytes, text: str) -> str:
  """Returns a picture that is embedded in the page.

  Args:
    data: the bytes of a JPG file.
    text: a description for those who can't see the picture.
  """
  encoded = base64.b64encode(data).decode()
  return (
    f'<img alt="{html.escape(text)}" src="data:image/jpeg;base64,{encoded}">'
  )


def drawing(svg: str) -> str:
  """Returns a wide SVG that scrolls where it would be too small to read."""
  return f'<div class="wide drawing">{svg}</div>\n'


def legend(word: str) -> str:
  """Returns a line on what the colours of the errors mean.

  Args:
    word: for what is cut out.
  """
  return (
    f'<p><b class="wrong">Orange</b>: background taken for {word}. '
    f'<b class="missed">Blue</b>: {word} that was missed. Slide to compare; '
    'below are target (left) and prediction, and what each cuts out.</p>\n'
  )


def comparison(below: str, above: str) -> str:
  """Returns two pictures of one size, with a slider for their seam."""
  return (
    f'<div class="pair">{below}{above}</div>'
    '<input class="slide" type="range" min="0" max="100" value="50" '
    'aria-label="where the two pictures meet">'
  )


def figure(content: str, caption: str) -> str:
  """Returns pictures with a line below them."""
  return (
    f'<figure>{content}<figcaption>{html.escape(caption)}</figcaption></figure>'
  )


def grid(items: Iterable[str], kind: str) -> str:
  """Returns items side by side, as many as fit the screen.

  Args:
    items: HTML of each.
    kind: cards or plots.

  Returns:
    HTML; '' without items.
  """
  content = '\n'.join(items)
  return f'<div class="{kind}">\n{content}\n</div>\n' if content else ''
