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


def scatter(
  title: str,
  across: Sequence[float],
  down: Sequence[float],
  colours: Sequence[tuple[float, float, float]],
  shape: float,
) -> str:
  """Plots points of a frame, which is seen as photos are, as SVG.

  Args:
    title: what the points are.
    across: of each point, 0 at the left of the frame and 1 at the right.
    down: of each point, 0 at the top of the frame and 1 at the bottom.
    colours: of each point; red, green and blue, 0..255.
    shape: height of the frame, divided by its width.
  """
  figure, axes = _axes(title)
  shades = np.reshape(colours, (-1, 3)) / 255
  axes.scatter(across, down, c=shades, s=14, edgecolors='#888', linewidths=0.3)
  axes.set_xlim(0, 1)
  axes.set_ylim(1, 0)
  axes.set_aspect(shape)
  axes.set_xlabel('from the left, as a share of the width')
  axes.set_ylabel('from the top')
  return svg(figure)


def coloured_bars(
  title: str,
  names: Sequence[str],
  heights: Sequence[float],
  colours: Sequence[tuple[float, float, float]],
) -> str:
  """Plots bars that each have a colour, as SVG.

  Args:
    title: what the bars show.
    names: the names of the bars.
    heights: the heights of the bars.
    colours: of each bar; red, green and blue, 0..255.
  """
  figure, axes = _axes(title)
  shades = np.reshape(colours, (-1, 3)) / 255
  axes.bar(names, heights, color=shades, edgecolor='#888', linewidth=0.6)
  axes.tick_params('x', labelsize=8)
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
