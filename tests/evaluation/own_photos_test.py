"""Users' own photos are scored one by one, at their own sizes."""

import contextlib
import csv
import functools
import io
import json
import pathlib
import shutil
import tempfile

import chex
import jax.numpy as jnp
import numpy as np
from PIL import Image

from carvana_jax.configs import default
from carvana_jax.evaluation import evaluate_run
from carvana_jax.parallel import devices
from carvana_jax.system.errors import UserError
from carvana_jax.training import trained_run
from tests.helpers import network_files, photo_files
from tests.malformed import command

# Of the photos of each object: height, width.
SIZES = {'shoe': (50, 90), 'in/boot': (120, 64), 'in/bag': (20, 28)}


class Bright:
  """A network that takes what is bright for the object."""

  def apply(self, variables, image, *, train):
    del train
    return 20 * (image[..., 0] - variables['level'])


def mask_of(size, view):
  mask = np.zeros(size, bool)
  height, width = size
  mask[height // 3 : -height // 4, width // 5 : width // 2 + view] = True
  return mask


class OwnPhotosTest(chex.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = cls.enterClassContext(tempfile.TemporaryDirectory())
    cls.root = pathlib.Path(folder)
    for name, size in SIZES.items():
      for view in (1, 2):
        pixels = 255 * mask_of(size, view).astype(np.uint8)
        photo = np.repeat(pixels[..., None], 3, -1)
        photo_files.add_pair(cls.root / 'mine', f'{name}_{view}', photo, pixels)
    config = default.get_config()
    config.data.update(
      dataset='folder',
      manual_dir=str(cls.root / 'mine'),
      data_dir=str(cls.root / 'data'),
      size='32x48',
      fit='pad',
    )
    variables = devices.replicate({'level': jnp.float32(0.5)})
    run = trained_run.Run(config, Bright(), variables, step=1, data='')
    evaluate_run.evaluate(run, config.data, 'all', cls.root)
    place = cls.root / 'evaluation' / 'folder-all'
    cls.summary = json.loads((place / 'summary.json').read_text())
    with (place / 'images.csv').open() as file:
      cls.rows = {row['filename']: row for row in csv.DictReader(file)}
    cls.run_of_mine = run

  def test_photos_of_unknown_objects_are_scored_each_by_itself(self):
    folder = self.root / 'unnamed'
    for kind in ('photos', 'masks'):
      (folder / kind).mkdir(parents=True)
      for number, name in enumerate(('shoe_1', 'in/boot_1'), 1):
        found = self.root / 'mine' / kind / f'{name}.png'
        shutil.copy(found, folder / kind / f'{number}.png')
    data = self.run_of_mine.config.data.copy_and_resolve_references()
    data.manual_dir = str(folder)
    evaluate = functools.partial(
      evaluate_run.evaluate, self.run_of_mine, folder=folder
    )
    with self.assertRaisesRegex(UserError, 'do not tell which photos'):
      evaluate(data, 'test')
    with contextlib.redirect_stdout(io.StringIO()) as said:
      summary = evaluate(data, 'all')
    self.assertIn(
      'all photos are scored as one split, as names such as 1.png, '
      '2.png do not tell which photos show one object\n',
      said.getvalue(),
    )
    self.assertIn('all: 2 images of 2 groups\n', said.getvalue())
    self.assertEqual((summary['images'], summary['cars']), (2, 2))

  def test_a_file_s_results_are_written_where_they_are_asked_for(self):
    here = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    network_files.write(
      here / 'net.safetensors', network_files.run_of(network_files.config_of())
    )
    line = (
      'evaluate --workdir=net.safetensors --dataset=folder --split=all '
      f'--manual_dir={self.root / "mine"}'
    )
    printed = command.run(here, *line.split()).output
    self.assertIn('Dice', printed)
    self.assertNotIn('written', printed)
    names = lambda: {path.name for path in here.iterdir()}
    files = {'net.safetensors', 'net.json', 'data'}  # as prepared
    self.assertEqual(names(), files)
    result = command.run(here, *line.split(), '--output=scores')
    place = here.resolve() / 'scores' / 'evaluation' / 'folder-all'
    written = f'written to {place}\n'
    self.assertEndsWith(result.output, written)
    self.assertEndsWith(printed, result.output.removesuffix(written))
    self.assertTrue((place / 'summary.json').exists())
    self.assertEqual(names(), {*files, 'scores'})

  def test_rows_are_named_as_the_photos_are(self):
    self.assertEqual(
      {
        name: (row['car_id'], row['view'], row['height'], row['width'])
        for name, row in self.rows.items()
      },
      {
        f'{name}_{view}.png': (
          pathlib.PurePath(name).name, str(view), *map(str, size)
        )
        for name, size in SIZES.items()
        for view in (1, 2)
      },
    )  # fmt: skip
    self.assertEqual(self.summary['size'], 'original')
    self.assertEqual((self.summary['images'], self.summary['cars']), (6, 3))

  def test_dice_is_that_of_perfect_masks_of_the_part_that_is_seen(self):
    # What the network is given are the masks, so it reaches the ceiling.
    for row in self.rows.values():
      dice, ceiling = float(row['dice']), float(row['ceiling_soft'])
      self.assertGreater(dice, 0.9)
      self.assertAlmostEqual(dice, ceiling, delta=0.01)
      self.assertLess(float(row['surface_distance']), 1)
    dice = [float(row['dice']) for row in self.rows.values()]
    self.assertAlmostEqual(self.summary['dice_mean'], np.mean(dice))

  def test_a_ceiling_by_hand(self):
    # 120 rows become 32, and 64 columns 17 of 48.
    small = (32, 17)
    true = mask_of(SIZES['in/boot'], 1)
    pixels = Image.fromarray(255 * true.astype(np.uint8))
    reduced = np.asarray(pixels.resize(small[::-1], Image.Resampling.BOX)) > 127
    rows, columns = (
      np.floor((np.arange(large) + 0.5) * few / large).astype(int)
      for large, few in zip(true.shape, small, strict=True)
    )
    there = reduced[rows][:, columns]
    dice = 2 * np.sum(there & true) / (np.sum(there) + np.sum(true))
    found = float(self.rows['in/boot_1.png']['ceiling_hard'])
    self.assertAlmostEqual(found, dice, places=6)
