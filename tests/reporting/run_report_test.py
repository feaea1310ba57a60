"""The report on hand-made runs; on a trained one: `main_test.py`."""

import base64
import csv
import json
import pathlib
import re
import tempfile
from unittest import mock

import chex
import numpy as np

from carvana_jax.configs import debug
from carvana_jax.datasets import images
from carvana_jax.reporting import cards, page, plots, run_report
from tests.helpers import browser

SUMMARY = {
  'images': 1234,
  'cars': 77,
  'dice_mean': 0.91,
  'dice_interval': [0.901, 0.919],
  'dice_median': 0.92,
  'dice_worst_percent': 0.81,
  'dice_worst': 0.79,
  'ceiling_soft_mean': 0.991,
  'ceiling_hard_mean': 0.981,
  'iou_mean': 0.83,
  'accuracy_mean': 0.96,
  'dice_band_2_mean': 0.702,
  'dice_band_4_mean': 0.704,
  'dice_band_8_mean': 0.708,
  'surface_distance_mean': 1.234,
  'hausdorff_95_mean': 7.891,
  'threshold': 0.5,
  'flip': True,
  'size': '64x96',
  'network_size': '32x48',
  'data': '/nowhere',
  'step': 90,
}
TUNED = {
  'tuned_threshold': 0.641,
  'tuned_cleaning': 'holes',
  'tuned_dice_mean': 0.94,
}
# Row names and what is written of SUMMARY and TUNED.
WORDS = {
  'images': '1234',
  'cars': '77',
  'Dice, mean': '0.91000',
  '95 % interval by car': '0.90100 to 0.91900',
  'Dice, mean of the worst 1 %': '0.81000',
  'ceiling, soft masks': '0.99100',
  'ceiling, hard masks': '0.98100',
  'Dice within 2 pixels of the border, mean': '0.70200',
  'Dice within 8 pixels of the border, mean': '0.70800',
  'surface distance, mean (pixels)': '1.23',
  'Hausdorff distance at 95 %, mean (pixels)': '7.89',
  'threshold': '0.500',
  'tuned threshold, best on validation': '0.641',
  'tuned cleaning, best on validation': 'holes',
  'Dice, mean, tuned': '0.94000',
  'averaged with the mirrored photo': 'yes',
}


def image_rows(count):
  """Rows of images.csv, from the worst on."""
  return [
    {
      'filename': f'{index:012x}_01.jpg',
      'car_id': f'{index:012x}',
      'view': 1,
      'make': 'Norvik',
      'model': 'SUV',
      'colour': 'red',
      'dice': 0.8 + 0.001 * index,
      'surface_distance': 2.5,
      'wrong_far': 50,
    }
    for index in range(count)
  ]


GROUP = {
  'by': 'make', 'group': 'Norvik', 'images': 30, 'cars': 30,
  'dice_mean': 0.81, 'dice_worst': 0.8,
}  # fmt: skip

ERRORS = [
  {'over': 0, 'up_to': 2, 'missed': 8000, 'added': 1250, 'share': 0.625,
   'dice_gain': 0.04},
  {'over': 2, 'up_to': '', 'missed': 0, 'added': 5550, 'share': 0.375,
   'dice_gain': 0.05},
]  # fmt: skip


def write_csv(path, rows):
  with path.open('w', newline='') as file:
    writer = csv.DictWriter(file, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)


def logged(step, epoch):
  """A line of metrics.jsonl."""
  names = ('loss', 'dice', 'accuracy')
  scores = {
    f'{split}/{name}': 1 / step
    for split in ('train', 'validation')
    for name in names
  }
  row = {'step': step, 'epoch': epoch, 'images_per_second': 9.0, **scores}
  return json.dumps(row) + '\n'


def cells(table):
  """{first cell: other cells} of the rows of a table."""
  rows = [
    re.findall('<t[hd]>(.*?)</t[hd]>', line)
    for line in re.findall('<tr>(.*)</tr>', table)
  ]
  return {first: rest for first, *rest in rows}


def sections(text):
  """{heading: content} of a report."""
  return dict(re.findall('<h2>(.*?)</h2>(.*?)</section>', text, re.S))


class ReportTest(chex.TestCase):
  """A run's folder whose files the tests write."""

  def setUp(self):
    super().setUp()
    folder = self.enterContext(tempfile.TemporaryDirectory())
    self.workdir = pathlib.Path(folder) / 'run'
    self.workdir.mkdir()
    config = debug.get_config()
    (self.workdir / 'config.json').write_text(config.to_json())

  def add_evaluation(self, name, extra=(), images=30):
    """Writes the files of an evaluation, and returns their folder."""
    folder = self.workdir / 'evaluation' / name
    folder.mkdir(parents=True)
    write_csv(folder / 'images.csv', image_rows(images))
    write_csv(folder / 'groups.csv', [GROUP])
    write_csv(folder / 'errors.csv', ERRORS)
    summary = SUMMARY | {'split': name.split('-')[1]} | dict(extra)
    (folder / 'summary.json').write_text(json.dumps(summary))
    return folder

  def sections(self):
    return sections(run_report.report(self.workdir))

  def test_scores_of_all_evaluations(self):
    self.add_evaluation('studio-test', TUNED)
    self.add_evaluation('studio-validation', {'dice_mean': 0.95, 'flip': False})
    table = cells(self.sections()['Scores at full size'])
    self.assertEqual(table['score'], ['studio-test', 'studio-validation'])
    for words, value in WORDS.items():
      self.assertEqual(table[words][0], value, words)
    self.assertEqual(table['Dice, mean'][1], '0.95000')
    self.assertEqual(table['averaged with the mirrored photo'][1], 'no')
    self.assertEqual(table['Dice, mean, tuned'][1], '')

  def test_scores_that_none_has_are_no_row(self):
    self.add_evaluation('studio-test')
    table = cells(self.sections()['Scores at full size'])
    self.assertNotIn('Dice, mean, tuned', table)

  def test_every_evaluation_has_its_sections(self):
    self.add_evaluation('studio-test')
    self.add_evaluation('carvana-all')
    found = self.sections()
    for name in ('studio-test', 'carvana-all'):
      self.assertIn('<svg', found[f'{name}: distribution'])
      self.assertEqual(
        cells(found[f'{name}: groups'])['Norvik'],
        ['30', '30', '0.81000', '0.80000'],
      )
      # Without the network there are no pictures, but still names.
      worst = cells(found[f'{name}: worst'])
      self.assertLen(worst, 1 + 10)
      self.assertEqual(
        worst['000000000000_01.jpg'],
        ['0.80000', '2.50', 'red\xa0Norvik\xa0SUV'],
      )

  def test_where_the_error_sits(self):
    self.add_evaluation('studio-test')
    text = self.sections()['studio-test: where the error sits']
    table = cells(text)
    self.assertEqual(
      table['0 to 2'], ['8,000', '1,250', '62.5\xa0%', '0.04000']
    )
    self.assertEqual(table['&gt; 2'], ['0', '5,550', '37.5\xa0%', '0.05000'])
    self.assertIn('<svg', text)
    self.assertIn('<li>Dice lacks 0.09000 of 1.', text)

  def test_older_evaluations_do_not_tell_where(self):
    folder = self.add_evaluation('studio-test')
    folder.joinpath('errors.csv').unlink()
    rows = [dict(row) for row in image_rows(3)]
    for row in rows:
      del row['wrong_far']
    write_csv(folder / 'images.csv', rows)
    summary = {**SUMMARY, 'split': 'test'}
    del summary['network_size'], summary['ceiling_soft_mean']
    folder.joinpath('summary.json').write_text(json.dumps(summary))
    found = self.sections()
    self.assertIn('studio-test: groups', found)
    self.assertNotIn('studio-test: where the error sits', found)

  def shown(self, *names):
    """{evaluation: names of the images that get pictures}."""
    for name in names:
      self.add_evaluation(name, {'data': name})
    shown = {}

    def made(workdir, summary, rows):
      shown[summary['data']] = [row['filename'][10:12] for row in rows]
      return ['card'] * len(rows)

    with mock.patch.object(cards, 'cards', made):
      self.found = self.sections()
    return shown

  def test_pictures_of_the_worst_and_the_best(self):
    shown = self.shown('studio-test', 'studio-validation')
    last = [f'{index:02x}' for index in range(29, 19, -1)]
    first = [f'{index:02x}' for index in range(10)]
    self.assertEqual(shown['studio-test'], first + last)
    self.assertEmpty(shown['studio-validation'])
    for name in ('worst', 'best'):
      self.assertEqual(self.found[f'studio-test: {name}'].count('card\n'), 10)

  def test_pictures_of_others_where_no_test_cars_were_scored(self):
    shown = self.shown('studio-validation')
    self.assertLen(shown['studio-validation'], 20)

  def test_all_evaluations_of_test_cars_have_pictures(self):
    names = ('studio-test', 'studio-test-flip', 'studio-validation')
    self.assertEqual([len(x) for x in self.shown(*names).values()], [20, 20, 0])

  def test_only_the_first_three_have_pictures(self):
    shown = self.shown('a-test', 'b-test', 'c-test', 'd-test')
    self.assertEqual([len(x) for x in shown.values()], [20, 20, 20, 0])

  def test_half_written_evaluations(self):
    """The order of writing is images, groups, errors, summary."""
    self.add_evaluation('a-test').joinpath('summary.json').unlink()
    folder = self.add_evaluation('b-test')
    folder.joinpath('groups.csv').unlink()
    folder.joinpath('errors.csv').unlink()
    folder = self.add_evaluation('c-test')
    folder.joinpath('images.csv').unlink()
    folder.joinpath('summary.json.tmp').write_text('{"dice_me')
    (self.workdir / 'evaluation' / 'd-test').mkdir()
    found = self.sections()
    table = cells(found['Scores at full size'])
    self.assertEqual(table['score'], ['b-test', 'c-test'])
    there = [name for name in found if '-test: ' in name]
    self.assertEqual(
      there,
      [
        'b-test: distribution',
        'b-test: worst',
        'c-test: where the error sits',
        'c-test: groups',
      ],
    )

  def curves(self, *lines):
    """The x values of the learning curves of a metrics.jsonl."""
    (self.workdir / 'metrics.jsonl').write_text(''.join(lines))
    with mock.patch.object(plots, 'curves', return_value='<svg>') as drawn:
      self.assertIn('Learning curves', self.sections())
    return drawn.call_args.args[1]

  def test_a_stop_within_an_epoch_has_its_own_place(self):
    x = self.curves(
      logged(10, 1), logged(15, 2), logged(20, 2), logged(28, 3), '{"step": 3'
    )
    np.testing.assert_allclose(x, [1, 1.5, 2, 2.8])

  def test_a_stop_within_the_first_epoch(self):
    x = self.curves(logged(2, 1), logged(8, 1))
    np.testing.assert_allclose(x, [0.25, 1])

  def test_records_without_a_whole_line(self):
    (self.workdir / 'metrics.jsonl').write_text('{"step": 3')
    self.assertNotIn('Learning curves', self.sections())

  def test_sheets_from_the_first_to_the_last(self):
    folder = self.workdir / 'pictures'
    folder.mkdir()
    sheet = images.encode_png(np.zeros((64, 96, 3), np.uint8))
    for epoch in (0, 2, 3, 4, 5, 998, 999, 1000):
      (folder / f'epoch_{epoch:03d}.png').write_bytes(sheet)
    text = self.sections()['Sample predictions while training']
    shown = re.findall(r'<figcaption>(.*?):', text)
    self.assertLen(shown, 6)
    self.assertEqual(shown[0], 'before the first step')
    self.assertEqual(shown[-2:], ['after epoch 999', 'after epoch 1000'])

  def test_sheets_are_reduced(self):
    """Four samples of 512x768: six such files would be 9 MB."""
    folder = self.workdir / 'pictures'
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (4, 9, 3), np.uint8)
    sheet = noise.repeat(512, 0).repeat(256, 1)
    (folder / 'epoch_001.png').write_bytes(images.encode_png(sheet))
    text = self.sections()['Sample predictions while training']
    jpeg = base64.b64decode(re.search('base64,([^"]*)', text)[1])
    self.assertEqual(images.decode_photo(jpeg).shape, (640, 720, 3))

  def made_card(self):
    """A card of noise."""
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (128, 192, 3), np.uint8)
    actual, predicted = np.zeros((2, 128, 192), bool)
    actual[:64] = predicted[32:96] = True
    row = {name: str(value) for name, value in image_rows(1)[0].items()}
    return cards.card(row, photo, predicted, actual)

  def test_the_true_cut_out_beside_the_predicted_one(self):
    photo = np.full((128, 192, 3), (200, 20, 90), np.uint8)
    actual, predicted = np.zeros((2, 128, 192), bool)
    actual[:64] = predicted[32:96] = True
    row = {name: str(value) for name, value in image_rows(1)[0].items()}
    text = cards.card(row, photo, predicted, actual)
    *_, true, found = re.findall('alt="([^"]*)" src=.*?base64,([^"]*)"', text)
    for (alt, data), word, mask in (
      (true, 'target', actual),
      (found, 'prediction', predicted),
    ):
      self.assertEqual(alt, f'cut-out by the {word} of 000000000000_01.jpg')
      picture = images.decode_photo(base64.b64decode(data))
      expected = np.where(mask[..., None], photo, (0, 185, 0))
      # But for what JPG does to the seam, of which it halves the colours.
      rows = np.r_[0:28, 36:60, 68:92, 100:128]
      np.testing.assert_allclose(picture[rows], expected[rows], atol=8)

  def test_in_a_browser(self):
    browser.require()
    for name in ('studio-validation', 'studio-test', 'carvana-test'):
      self.add_evaluation(name, TUNED)
    lines = ''.join(logged(10 * epoch, epoch) for epoch in range(1, 9))
    (self.workdir / 'metrics.jsonl').write_text(lines)
    made = self.made_card()
    several = lambda workdir, summary, rows: [made] * len(rows)
    with mock.patch.object(cards, 'cards', several):
      text = run_report.report(self.workdir)
    path = self.workdir / 'report.html'
    path.write_text(text)
    for width in (1200, 360):
      found = browser.look(path, width, self.workdir)
      self.assertEqual(
        found,
        {
          'problems': [],
          'seams': ['inset(0px 0px 0px 20%)', 'inset(0px 0px 0px 80%)'],
          'pictures': 6 * 2 * 20,  # a card, of two evaluations
          'broken': 0,
          'width': width,
          'too_wide': False,
        },
      )

  def test_faults_are_seen_in_a_browser(self):
    """So the test above can fail."""
    browser.require()
    path = self.workdir / 'report.html'
    content = (
      '<div style="width: 400px">wide</div><img src="none.jpg">'
      '<script>console.warn("careful"); wrong();</script>'
    )
    path.write_text(page.page('faults', [('Faults', content)]))
    found = browser.look(path, 360, self.workdir)
    self.assertTrue(found['too_wide'])
    self.assertEqual((found['pictures'], found['broken']), (1, 1))
    for part in ('none.jpg', 'careful', 'wrong is not defined'):
      self.assertIn(part, ' '.join(found['problems']))
    self.assertFalse(browser.look(path, 500, self.workdir)['too_wide'])
