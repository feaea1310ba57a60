"""Curves, histograms and bars as SVG."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure


def curves(
  title: str, x: Sequence[float], lines: dict[str, Sequence[float]]
) -> str:
  """Plots lines over epochs, as SVG.

  Args:
    title: what the lines show.
    x: the epochs, with fractions.
    lines: the values of each line by its name, one for each of `x`.
  """
  figure, axes = _axes(title)
  for name, values in lines.items():
    axes.plot(x, values, label=name, marker='.' if len(x) < 30 else '')
  axes.set_xlabel('epoch')
  if len(lines) > 1:
    axes.legend(frameon=False)
  return svg(figure)


def histogram(title: str, values: Sequence[float]) -> str:
  """Plots how many images have which score, as SVG.

  Args:
    title: what the scores are.
    values: the score of each image.
  """
  figure, axes = _axes(title)
  axes.hist(values, bins=min(40, max(8, len(values) // 4)))
  axes.set_ylabel('images')
  return svg(figure)


def bars(
  title: str,
  names: Sequence[str],
  parts: dict[str, Sequence[float]],
  colours: Sequence[tuple[int, int, int]],
) -> str:
  """Plots bars of several parts, stacked one upon the other, as SVG.

  Args:
    title: what the bars show.
    names: the names of the bars.
    parts: the heights of each part by its name, one for each bar.
    colours: the colour of each part; red, green and blue, 0..255.
  """
  figure, axes = _axes(title)
  below = np.zeros(len(names))
  for (name, heights), colour in zip(parts.items(), colours, strict=True):
    shade = [value / 255 for value in colour]
    axes.bar(names, heights, bottom=below, label=name, color=shade)
    below += heights
  axes.tick_params('x', labelsize=8)
  axes.legend(frameon=False)
  return svg(figure)


def _axes(title):
  figure = Figure(figsize=(5, 3), layout='constrained')
  FigureCanvasSVG(figure)
  axes = figure.add_subplot()
  axes.set_title(title, fontsize=10)
  axes.grid(alpha=0.3)
  axes.spines[['top', 'right']].set_visible(False)
  return figure, axes


def svg(figure: Figure) -> str:
  """Returns a figure as an SVG element of a page."""
  stream = io.StringIO()
  figure.savefig(stream, format='svg', metadata={'Date': None})
  text = stream.getvalue()
  return text[text.index('<svg') :]
