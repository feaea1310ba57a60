"""The report's section on the empty studio, of a hand-made run."""

import base64
import pathlib
import re
import tempfile
from unittest import mock

import numpy as np
from absl.testing import absltest

from carvana_jax.configs import default
from carvana_jax.datasets import folds, images
from carvana_jax.evaluation.results import Evaluation
from carvana_jax.reporting import scored_photos, studio_section
from carvana_jax.training import run_folder
from tests.reporting.studio_views_test import turn


class SectionTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.workdir = pathlib.Path(
      self.enterContext(tempfile.TemporaryDirectory())
    )
    (self.workdir / 'fine/checkpoints/7').mkdir(parents=True)
    (self.workdir / 'coarse').mkdir()
    self.write_config(True)
    self.examples = []
    for view, (photo, mask) in enumerate(zip(*turn(), strict=True), 1):
      photo[mask > 0] = (255, 128, 0)
      self.examples.append(
        {
          'image': images.encode_png(photo),
          'mask': images.encode_png(mask),
          'filename': f'car_{view:02}.jpg'.encode(),
          'car_id': b'car',
          'view': view,
        }
      )
      path = self.workdir / f'coarse/car_{view:02}_probability.png'
      path.write_bytes(images.encode_png(mask))
    part = folds.Selection('test', np.arange(4))
    self.enterContext(
      mock.patch.object(scored_photos, 'of', lambda _: (self.examples, part))
    )

  def write_config(self, empty_studio):
    config = default.get_config()
    config.data.empty_studio = empty_studio
    run_folder.write_config(config, self.workdir / 'fine')

  def section(self, **changed):
    summary = {
      'split': 'test', 'data': str(self.workdir), 'fine_step': 7,
      'dataset': default.get_config().data.dataset, **changed,
    }  # fmt: skip
    row = {'colour': 'red', 'make': 'Norvik', 'model': 'SUV'}
    row |= {'dice': '0.9', 'surface_distance': '1', 'wrong_far': '2'}
    rows = [
      row | {'filename': f'car_{view:02}.jpg', 'car_id': 'car'}
      for view in (3, 1)
    ]
    one = Evaluation('test', summary, rows, [], [])
    return studio_section.section(self.workdir, [one])

  def test_differences_of_the_worst_photos(self):
    text = self.section()
    self.assertIn('4 of 4 views show the same empty studio', text)
    found = re.findall('alt="([^"]*)" src=.*?base64,([^"]*)"', text)
    self.assertEqual(
      [alt for alt, _ in found],
      [
        'empty studio',
        'how many views show it: black none, white all',
        'photo and true mask of car_03.jpg',
        'difference from the empty studio of car_03.jpg',
        'photo and true mask of car_01.jpg',
        'difference from the empty studio of car_01.jpg',
      ],
    )
    change = images.decode_photo(base64.b64decode(found[3][1]))
    np.testing.assert_allclose(change[:, :24], 128, atol=4)
    # Of an orange car before a light grey wall.
    red, green, blue = change[18:22, 42:46].mean((0, 1))
    self.assertGreater(red, 150)
    self.assertBetween(green, 50, 110)
    self.assertLess(blue, 60)

  def test_a_photo_of_another_studio(self):
    other = images.decode_photo(self.examples[2]['image'])[:, ::-1].copy()
    other[:, ::3] = 0
    self.examples[2]['image'] = images.encode_png(other)
    text = self.section()
    self.assertIn('Another studio is shown by view 3: the camera', text)
    change = re.findall('alt="([^"]*)" src=.*?base64,([^"]*)"', text)[3][1]
    board = images.decode_photo(base64.b64decode(change))
    self.assertEqual(board[8, 8].tolist(), [150] * 3)
    self.assertEqual(board[8, 24].tolist(), [190] * 3)

  def test_nothing_to_show(self):
    self.assertEqual(self.section(fine_step=None), '')
    self.assertEqual(self.section(dataset='folder'), '')
    self.assertEqual(self.section(data=str(self.workdir / 'gone')), '')
    self.write_config(False)
    self.assertEqual(self.section(), '')


if __name__ == '__main__':
  absltest.main()
