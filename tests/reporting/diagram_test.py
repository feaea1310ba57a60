"""Pictures of all configs: what is in them, and that nothing is in the way."""

import functools
import importlib
import itertools
import pathlib
import subprocess
import sys
import tempfile

import chex
from absl.testing import parameterized
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from PIL import Image

from carvana_jax import models
from carvana_jax.datasets import prepare
from carvana_jax.models import layer_table
from carvana_jax.reporting import diagram

ROOT = pathlib.Path(__file__).parents[2]
CONFIGS = sorted(
  path.stem
  for path in (ROOT / 'configs').glob('*.py')
  if path.stem not in ('__init__', 'default')
)


def config_of(name):
  module = importlib.import_module(f'carvana_jax.configs.{name}')
  config = module.get_config()
  config.data.size = config.data.size or '512x768'
  return config


@functools.cache
def layers_of(name):
  config = config_of(name)
  shape = prepare.input_shape(config.data)
  return layer_table.layers(models.build(config.model), shape)


@functools.cache
def figure_of(name):
  skips = models.skips(models.build(config_of(name).model))
  figure = diagram.draw(layers_of(name), name, skips)
  figure.draw_without_rendering()
  return figure


def boxes_of(name):
  """Where every layer's box is, in pixels."""
  found = figure_of(name).findobj(Rectangle)
  return {box.get_gid(): box.get_window_extent() for box in found
          if box.get_gid()}  # fmt: skip


def texts_of(name):
  found = figure_of(name).findobj(Text)
  # Axes have empty ones.
  return {text: text.get_window_extent() for text in found if text.get_text()}


class DiagramTest(chex.TestCase):
  @parameterized.parameters(*CONFIGS)
  def test_a_box_for_every_convolution_in_call_order(self, name):
    expected = [layer.name for layer in layers_of(name) if layer.kind != 'norm']
    boxes = boxes_of(name)
    self.assertEqual(list(boxes), expected)
    for box, following in itertools.pairwise(boxes.values()):
      self.assertGreater(following.x0 - box.x1, 10)
    for box in boxes.values():
      self.assertGreater(min(box.width, box.height), 20)

  @parameterized.parameters(*CONFIGS)
  def test_levels_are_sizes(self, name):
    layers = {layer.name: layer for layer in layers_of(name)}
    by_size = sorted(
      (layers[name].output[:2], (box.y0 + box.y1) / 2, box.height)
      for name, box in boxes_of(name).items()
    )
    for (size, y, height), (size2, y2, height2) in itertools.pairwise(by_size):
      if size == size2:
        self.assertAlmostEqual(y, y2, places=3)
        self.assertAlmostEqual(height, height2, places=3)
      else:
        self.assertGreater(y2, y + 20)
        self.assertGreater(height2, height)

  @parameterized.parameters(*CONFIGS)
  def test_texts_are_inside_and_hide_nothing(self, name):
    page = figure_of(name).bbox
    boxes = list(boxes_of(name).values())
    lines = [line.get_window_extent() for line in figure_of(name).axes[0].lines]
    texts = texts_of(name)
    for text, extent in texts.items():
      corners = (*extent.min, *extent.max)
      self.assertTrue(
        page.contains(*corners[:2]) and page.contains(*corners[2:]), text
      )
      self.assertEqual(extent.count_overlaps([*boxes, *lines]), 0, text)
    for (a, extent), (b, other) in itertools.combinations(texts.items(), 2):
      self.assertFalse(extent.overlaps(other), (a, b))

  @parameterized.parameters(
    ('tiny_unet128', [(f'down{i}_conv1', f'up{i}_conv0') for i in range(3)]),
    (
      'vgg19_unet512',
      [
        ('encoder/block2_conv1', 'logits'),
        ('encoder/block3_conv1', 'up4_conv'),
        ('encoder/block4_conv1', 'up2_conv'),
      ],
    ),
  )
  def test_skips_lead_from_encoder_to_decoder(self, name, skips):
    figure = figure_of(name)
    boxes = boxes_of(name)
    ends = [
      (extent.x0, extent.x1)
      for arrow in figure.axes[0].patches
      if arrow.get_label() == 'skip'
      for extent in [arrow.get_window_extent()]
    ]
    expected = [(boxes[start].x1, boxes[end].x0) for start, end in skips]
    chex.assert_trees_all_close(ends, expected, atol=3)


class CommandTest(chex.TestCase):
  """Three commands, side by side as most of their time goes into imports."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = tempfile.TemporaryDirectory()
    cls.addClassCleanup(folder.cleanup)
    cls.root = pathlib.Path(folder.name)
    (cls.root / 'old.png').write_text('precious')
    cls.running = {
      name: subprocess.Popen(
        [sys.executable, '-m', 'carvana_jax.summary',
         '--config=configs/tiny_unet128.py', f'--picture={cls.root / name}'],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
      )
      for name in ('new.png', 'old.png', 'new.jpg')
    }  # fmt: skip

  def assert_one_line(self, name, part):
    _, errors = self.running[name].communicate()
    self.assertEqual(self.running[name].returncode, 2, errors)
    self.assertLen(errors.strip().splitlines(), 1)
    self.assertIn(part, errors)

  def test_writes_a_picture(self):
    output, errors = self.running['new.png'].communicate()
    self.assertEqual(self.running['new.png'].returncode, 0, errors)
    self.assertStartsWith(output.splitlines()[-1], 'parameters 120965 ')
    with Image.open(self.root / 'new.png') as image:
      image.load()
      self.assertGreater(image.width, 600)
    self.assertFalse((self.root / 'new.tmp').exists())

  def test_keeps_an_existing_file(self):
    self.assert_one_line('old.png', 'exists; choose another name')
    self.assertEqual((self.root / 'old.png').read_text(), 'precious')

  def test_refuses_an_unknown_ending(self):
    self.assert_one_line('new.jpg', 'must end in .png or .svg')
