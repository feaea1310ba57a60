"""Which photos exported networks are checked on."""

import dataclasses
import pathlib
import tempfile

import cv2
import numpy as np
from absl.testing import absltest

from carvana_jax.configs import debug
from carvana_jax.datasets import folds, prepare, reading
from carvana_jax.exporting import sample_photos
from carvana_jax.inference import networks
from carvana_jax.training import trained_run
from tests.helpers import commands


def nets_of(data_dir='', data='studio/64x96/1.0.1', multiview=False):
  config = debug.get_config()
  config.data.data_dir, config.data.multiview = str(data_dir), multiview
  run = trained_run.Run(config, None, None, 1, data)
  return networks.Networks([run], config.eval)


class ChooseTest(absltest.TestCase):
  def test_those_of_the_run(self):
    nets = nets_of(commands.debug_run() / 'data')
    nets.runs[0].config.data.manual_dir = 'not there'
    builder = prepare.for_scoring(nets.runs[0].config.data)
    for split in ('train', 'validation'):
      sample = sample_photos.choose(nets, None, 5, split)
      self.assertEqual((sample.count, sample.real), (5, True))
      self.assertEqual(sample.source, f'{split} photos')
      source = reading.undecoded_examples(
        builder, folds.select(builder, split).split
      )
      known = [x['filename'].decode() for x in source]
      names = [photo.name for (photo,) in sample.cars]
      # Evenly, from the first to the last.
      places = np.linspace(0, len(known) - 1, 5).astype(int)
      self.assertEqual(names, [known[x] for x in places])
      photo = sample.cars[2][0]
      self.assertEqual(photo.pixels().shape, (64, 96, 3))
      self.assertEqual(photo.mask().shape, (64, 96))
      self.assertBetween(photo.mask().mean(), 0.05, 0.9)

  def test_whole_cars(self):
    nets = nets_of(commands.debug_run() / 'data', multiview=True)
    sample = sample_photos.choose(nets, None, 5)
    self.assertEqual([len(car) for car in sample.cars], [16])
    self.assertLen({x.name.split('_')[0] for x in sample.cars[0]}, 1)

  def test_given_ones(self):
    with tempfile.TemporaryDirectory() as folder:
      for number in range(9):
        pixels = np.full((4, 6, 3), number, np.uint8)
        cv2.imwrite(str(pathlib.Path(folder, f'{number}.png')), pixels)
      sample = sample_photos.choose(nets_of(), folder, 3)
      shades = [int(x.pixels()[0, 0, 0]) for (x,) in sample.cars]
      self.assertEqual(shades, [0, 4, 8])
      self.assertIsNone(sample.cars[0][0].mask)
      brighter = sample.changed(lambda pixels: pixels + 1)
      self.assertEqual(int(brighter.cars[1][0].pixels().max()), 5)

  def test_a_second_network_compares_no_views(self):
    nets = nets_of()
    fine = nets_of().runs[0]
    fine.config.data.update(coarse='coarse', empty_studio=True)
    run = dataclasses.replace(nets.runs[0], fine=fine)
    with tempfile.TemporaryDirectory() as folder:
      for name in ('a_01.png', 'a_02.png'):
        pixels = np.zeros((4, 6, 3), np.uint8)
        cv2.imwrite(str(pathlib.Path(folder, name)), pixels)
      sample = sample_photos.choose(nets._replace(runs=[run]), folder, 2)
    self.assertEqual([len(car) for car in sample.cars], [1, 1])

  def test_made_up_ones(self):
    sample = sample_photos.choose(nets_of('/nowhere'), None, 20)
    self.assertFalse(sample.real)
    pictures = [photo.pixels() for car in sample.cars for photo in car]
    self.assertEqual({x.shape for x in pictures}, {(128, 192, 3)})
    self.assertGreater(np.ptp(pictures[0]), 50)
    other = nets_of('/nowhere')
    run = dataclasses.replace(other.runs[0], data='elsewhere/64x96')
    self.assertFalse(
      sample_photos.choose(other._replace(runs=[run]), None, 20).real
    )


if __name__ == '__main__':
  absltest.main()
