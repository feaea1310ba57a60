"""A picture of a network, drawn from its layer table.

A box is a convolution: the later it is called, the further right it stands; the
lower its resolution, the smaller and lower it is; the more channels, the wider.
All lengths are inches, y points up.
"""

import io
import itertools
import math
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, Patch, Rectangle
from matplotlib.path import Path

from carvana_jax.models.layer_table import Layer
from carvana_jax.system import files
from carvana_jax.system.errors import UserError

# Of a layer that is trained, and the paler one of a layer that is frozen.
_COLOURS = {
  'conv': ('#6d9dc9', '#d5e3f0'),
  'transposed': ('#e8a25c', '#f8e3cd'),
  'norm': ('#5fae7c', '#d2e8da'),
  'other': ('#a8a8a8', '#e4e4e4'),
}
_WORDS = {
  'conv': 'convolution',
  'transposed': 'transposed convolution',
  'norm': 'normalisation',
  'other': 'other',
}
_INK, _SKIP = '#333333', '#b0486a'
_OUTLINE = {'edgecolor': _INK, 'linewidth': 0.6}  # of boxes
_FONT = 9.0  # points
_MARGIN = 0.25
_GAP = 0.13  # between two boxes
_STAGE_GAP = 0.34  # and where another stage begins
_STRIP = 0.06  # width of a norm
_SIZES = 0.9  # width of the column of output sizes, on the left
_HEADER, _FOOTER = 0.8, 0.5  # heights of the title and of the legend
_LEAST_WIDTH = 5.5  # of the picture: legend and totals have to fit
_MOST_NAMES = 20  # boxes up to which each one bears its name


class Box(NamedTuple):
  """A layer and where it stands; a norm is a part of the layer before it."""

  layer: Layer
  norm: Layer | None
  left: float
  middle: float  # y
  width: float
  height: float

  @property
  def right(self) -> float:
    return self.left + self.width


def draw(
  layers: Sequence[Layer], title: str, skips: Sequence[tuple[str, str]] = ()
) -> Figure:
  """Draws a network as boxes, the levels of a U-Net one below the other.

  Args:
    layers: the layers, in the order in which they are called.
    title: the line above the picture.
    skips: the names of the layers that each skip connection leads from and to.

  Returns:
    A figure with `savefig`. The rectangle of a box has the layer's name as gid.
  """
  boxes = _boxes(layers)
  figure, axes = _canvas(boxes)
  for box in boxes:
    _draw_box(axes, box)
  _draw_sizes(axes, boxes)
  _draw_flow(axes, boxes)
  by_name = {box.layer.name: box for box in boxes}
  for source, target in skips:
    _draw_skip(axes, by_name[source], by_name[target])
  if len(boxes) <= _MOST_NAMES:
    _draw_names(axes, boxes)
  else:
    _draw_stages(axes, boxes)
  _draw_header(axes, layers, title)
  _draw_legend(figure, layers, skips)
  return figure


def check_file(path: pathlib.Path) -> None:
  """Checks that `write` can write a file, before there is work to lose.

  Args:
    path: the value of --picture.

  Raises:
    UserError: its ending is unknown, it exists, or its folder does not.
  """
  if path.suffix not in ('.png', '.svg'):
    raise UserError(f'--picture={path} must end in .png or .svg.')
  if not path.parent.is_dir():
    raise UserError(f'the folder {path.parent} does not exist; make it first.')
  if path.exists():
    raise UserError(f'{path} exists; choose another name.')


def write(path: pathlib.Path, figure: Figure) -> None:
  """Writes a figure into a file, in the format that its ending names."""
  stream = io.BytesIO()
  figure.savefig(stream, format=path.suffix[1:])
  files.write(path, stream.getvalue())


def _boxes(layers):
  """Pairs every norm with the layer before it and finds places for all."""
  pairs = []
  for layer in layers:
    if layer.kind == 'norm' and pairs and not pairs[-1][1]:
      pairs[-1] = (pairs[-1][0], layer)
    else:
      pairs.append((layer, None))
  middles = _middles([layer for layer, _ in pairs])
  boxes = []
  for layer, norm in pairs:
    left = 0.0
    if boxes:
      same = _group(boxes[-1].layer) == _group(layer)
      left = boxes[-1].right + (_GAP if same else _STAGE_GAP)
    box = Box(
      layer, norm, left, middles[_size(layer)], _width(layer), _height(layer)
    )
    boxes.append(box)
  return boxes


def _middles(layers):
  """The y of each size, so far apart that labels stay clear of other levels."""
  first = {_size(layer): layer for layer in reversed(layers)}
  sizes = sorted(first, key=math.prod, reverse=True)
  label = _label_height(layers)
  y = 0.0
  middles = {sizes[0]: y}
  for above, size in itertools.pairwise(sizes):
    y -= max(
      _height(first[above]) / 2 + 0.3, _height(first[size]) / 2 + label + 0.2
    )
    middles[size] = y
  return middles


def _size(layer):
  return layer.output[:2]


def _width(layer):
  return 0.08 + 0.045 * math.log2(1 + layer.output[2])


def _height(layer):
  return 0.15 * math.log2(1 + layer.output[0])


def _name(layer):
  """The last part of a name: 'encoder/block1_conv2' -> 'block1_conv2'."""
  return layer.name.rsplit('/', 1)[-1]


def _group(layer):
  """What the boxes of a stage share: a size, and 'block1' of 'block1_conv2'."""
  return _name(layer).split('_')[0], _size(layer)


def _length(text):
  """The width of a text in inches, at most 0.62 of its height a character."""
  return 0.62 * _FONT / 72 * len(text)


def _label_height(layers):
  """The height of the label above a box: its name, upright, or its stage's."""
  if len(layers) > _MOST_NAMES:
    return 0.15
  return max(_length(_name(layer)) for layer in layers)


def _canvas(boxes):
  """Returns an empty figure, and axes in inches that fill it."""
  label = _label_height([box.layer for box in boxes])
  left, right = -_SIZES - _MARGIN, boxes[-1].right + _MARGIN
  spare = max(0.0, _LEAST_WIDTH - (right - left)) / 2
  left, right = left - spare, right + spare
  bottom = min(box.middle - box.height / 2 for box in boxes) - 0.25 - _FOOTER
  top = max(box.middle + box.height / 2 for box in boxes) + label + _HEADER
  figure = Figure(figsize=(right - left, top - bottom), dpi=200)
  FigureCanvasAgg(figure)
  axes = figure.add_axes((0, 0, 1, 1), xlim=(left, right), ylim=(bottom, top))
  axes.axis('off')
  return figure, axes


def _draw_box(axes, box):
  bottom = box.middle - box.height / 2
  style = _OUTLINE
  if not box.layer.trainable:
    style = style | {'hatch': '////', 'hatch_linewidth': 0.3}
  parts = [(box.layer, box.left, box.width, box.layer.name)]
  if box.norm:
    parts.append((box.norm, box.right - _STRIP, _STRIP, None))
  for layer, left, width, gid in parts:
    style = style | {'facecolor': _COLOURS[layer.kind][not layer.trainable]}
    corner = (left, bottom)
    axes.add_patch(Rectangle(corner, width, box.height, gid=gid, **style))
  centre = box.left + box.width / 2
  _text(axes, centre, bottom - 0.04, box.layer.output[2], va='top')


def _text(axes, x, y, text, **style):
  style = {'ha': 'center', 'fontsize': _FONT, 'color': _INK} | style
  axes.text(x, y, text, **style)


def _draw_sizes(axes, boxes):
  """Writes each level's output size on the left, with a line to its boxes."""
  firsts = {_size(box.layer): box for box in reversed(boxes)}
  for size, box in firsts.items():
    text = 'x'.join(map(str, size))
    _text(axes, -_SIZES, box.middle, text, ha='left', va='center')
    start = _length(text) + 0.1 - _SIZES
    end = box.left - 0.8 * _STAGE_GAP
    if end - start > _STAGE_GAP:
      axes.plot([start, end], [box.middle] * 2, ':', color='#b5b5b5', lw=0.6)


def _draw_flow(axes, boxes):
  """Draws an arrow from each box to the next; it bends to change the level."""
  for source, target in itertools.pairwise(boxes):
    bend = target.left - _STAGE_GAP / 2
    points = [(source.right, source.middle)]
    if source.middle != target.middle:
      points += [(bend, source.middle), (bend, target.middle)]
    points.append((target.left, target.middle))
    _arrow(axes, points, color=_INK)


def _arrow(axes, points, **style):
  arrow = FancyArrowPatch(
    path=Path(points), arrowstyle='-|>', mutation_scale=5, lw=0.6, **style
  )
  axes.add_patch(arrow)


def _draw_skip(axes, source, target):
  """Draws a skip above the arrows of the flow, across boxes in between."""
  y = source.middle + source.height / 4
  points = [(source.right, y)]
  if target.middle != source.middle:
    bend = target.left - _STAGE_GAP / 3
    y_end = target.middle - target.height / 4
    points += [(bend, y), (bend, y_end)]
    y = y_end
  points.append((target.left, y))
  _arrow(axes, points, color=_SKIP, label='skip')


def _draw_names(axes, boxes):
  for box in boxes:
    x, y = box.left + box.width / 2, box.middle + box.height / 2 + 0.05
    _text(axes, x, y, _name(box.layer), va='bottom', rotation=90)


def _draw_stages(axes, boxes):
  stages = itertools.groupby(boxes, lambda box: _group(box.layer))
  for (stage, _), group in stages:
    group = list(group)
    x = (group[0].left + group[-1].right) / 2
    y = group[0].middle + group[0].height / 2 + 0.05
    _text(axes, x, y, stage, va='bottom')


def _draw_header(axes, layers, title):
  left, top = axes.get_xlim()[0] + _MARGIN, axes.get_ylim()[1] - _MARGIN
  total = sum(layer.parameters + layer.statistics for layer in layers)
  trained = sum(layer.parameters for layer in layers if layer.trainable)
  flops = sum(layer.flops for layer in layers)
  totals = (
    f'{total:,} parameters, {trained:,} trainable, '
    f'{flops / 1e9:,.2f} GFLOPs for one image'
  )
  style = {'ha': 'left', 'va': 'top'}
  _text(axes, left, top, title, fontsize=12, fontweight='bold', **style)
  _text(axes, left, top - 0.24, totals, **style)


def _draw_legend(figure, layers, skips):
  handles = [
    Patch(facecolor=_COLOURS[kind][0], label=_WORDS[kind], **_OUTLINE)
    for kind in dict.fromkeys(layer.kind for layer in layers)
  ]
  if not all(layer.trainable for layer in layers):
    frozen = {'facecolor': 'white', 'hatch': '//////', 'label': 'frozen'}
    handles.append(Patch(**frozen, **_OUTLINE))
  if skips:
    handles.append(Line2D([], [], color=_SKIP, label='skip connection'))
  figure.legend(
    handles=handles,
    loc='lower center',
    ncols=len(handles),
    fontsize=_FONT,
    labelcolor=_INK,
    frameon=False,
  )
