"""Tables and records that are damaged, of other columns or of no numbers."""

import csv
import gzip
import json

from absl.testing import absltest

from carvana_jax.configs import debug
from tests.malformed.case import (
  CAR,
  Case,
  CaseTest,
  encoded,
  full_mask,
  full_photo,
  gradient,
  named,
  write,
)

HEADER = 'id,year,make,model,trim1,trim2\n'
ROW = f'{CAR},2014,Kia,Soul,Base,\n'
DOWNLOAD = 'download it again or remove it'
NO_TABLE = 'metadata.csv is not a table of id,year,make', DOWNLOAD


def metadata(title, data, *words):
  """For training and for the doctor."""

  def make(root):
    write(root, f'manual/train/{CAR}_01.jpg', full_photo())
    write(root, f'manual/train_masks/{CAR}_01_mask.gif', full_mask())
    write(root, 'manual/metadata.csv', data)

  main = (
    'main --config={configs}/default.py --workdir=run'
    ' --config.data.data_dir=data --config.data.manual_dir=manual'
  )
  doctor = 'doctor --manual_dir=manual --output=found'
  return [
    Case(f'metadata_{title}_main', make, main, words),
    Case(f'metadata_{title}_doctor', make, doctor, words),
  ]


METADATA = [
  *metadata('empty', b'', *NO_TABLE),
  *metadata('of_one_column', 'id\n', 'no column year', *NO_TABLE),
  *metadata('without_trim2', 'id,year,make,model,trim1\n',
            'no column trim2', *NO_TABLE),
  *metadata('with_semicolons', HEADER.replace(',', ';'), *NO_TABLE),
  *metadata('with_a_short_row', HEADER + f'{CAR},2014\n', *NO_TABLE),
  *metadata('in_utf_16', (HEADER + ROW).encode('utf-16'),
            'metadata.csv is not UTF-8 (line 1)', 'save it as UTF-8'),
  *metadata('in_latin_1', HEADER.encode() + ROW.replace('Kia', 'Škoda')
            .encode('iso8859-2'),
            'metadata.csv is not UTF-8 (line 2)', 'save it as UTF-8'),
  *metadata('that_is_a_page', '<html>\nNot found\n</html>', *NO_TABLE),
  *metadata('with_an_open_quote', HEADER + f'"{CAR},' + 'x' * 200_000,
            'field larger', *NO_TABLE),
]  # fmt: skip

# Submissions.

GOOD = 'img,rle_mask\na.png,1 2\n'
AGAIN = 'make or download it again'


def submission(title, data, *words, name='s.csv'):
  """To be checked, and as a sample."""

  def make(root):
    write(root, name, data)
    write(root, 'photos/a.png', encoded(gradient(), 'PNG'))

  sample = (
    f'submit --workdir={{run}} --input=photos --sample={name} --output=out.csv'
  )
  return [
    Case(f'check_{title}', make, f'submit --check={name}', words),
    Case(f'sample_{title}', make, sample, words),
  ]


SUBMISSIONS = [
  *submission('that_is_a_photo', encoded(gradient(), 'JPEG'), 's.csv is not a',
              'give a csv'),
  *submission('of_zeros', bytes(1000), 'zero byte', 'give a csv'),
  *submission('in_utf_16', GOOD.encode('utf-16'), 's.csv is not a csv',
              'give a csv'),
  *submission('with_a_latin_1_name', GOOD.encode() + b'\xe4.jpg,\n', 'line 3',
              'give a csv'),
  *submission('cut_gzip', gzip.compress(GOOD.encode())[:-4], 'cannot be read',
              AGAIN, name='s.csv.gz'),
  *submission('gzip_of_an_endless_line', gzip.compress(b'1' * 2**27, 1),
              'more than 64 MB', 'give a csv', name='s.csv.gz'),
  Case('check_nothing', lambda root: None, 'submit --check=none.csv',
       ('none.csv cannot be read', AGAIN)),
  Case('check_a_folder', lambda root: (root / 'a.csv').mkdir(),
       'submit --check=a.csv', ('a.csv cannot be read', AGAIN)),
  Case('check_by_an_empty_sample', lambda root: [
         write(root, 's.csv', GOOD), write(root, 'sample.csv', b''),
       ], 'submit --check=s.csv --sample=sample.csv',
       ('sample.csv does not start with', 'give the sample_submission.csv')),
  Case('sample_without_rows', lambda root: [
         write(root, 'a.png', encoded(gradient(), 'PNG')),
         write(root, 's.csv', 'img,rle_mask\n'),
       ], 'submit --workdir={run} --input=a.png --sample=s.csv --output=o.csv',
       ('s.csv names no image', 'download it again')),
  Case('sample_of_other_photos', lambda root: [
         write(root, 'a.png', encoded(gradient(), 'PNG')),
         write(root, 's.csv', 'img,rle_mask\nb.png,\nc.png,\n'),
       ], 'submit --workdir={run} --input=a.png --sample=s.csv --output=o.csv',
       ('none of the 2 photos', 'b.png is missing', 'add it to --input')),
  Case('size_of_a_check', lambda root: write(root, 's.csv', GOOD),
       'submit --check=s.csv --size=0x0', ("'0x0'", 'use for example')),
  Case('output_of_another_kind', lambda root: None,
       'submit --workdir={run} --input=. --output=o.zip',
       ('--output=o.zip', 'must end in .csv or .csv.gz')),
]  # fmt: skip

# What a run has recorded.

SUMMARY = {
  'split': 'test', 'data': '/nowhere', 'step': 1, 'size': '64x96',
  'threshold': 0.5, 'flip': False, 'dice_mean': 0.5,
  'dice_interval': [0.4, 0.6], 'network_size': '32x48',
  'ceiling_soft_mean': 0.9,
}  # fmt: skip
IMAGE = {
  'filename': 'a.jpg', 'car_id': 'a', 'colour': 'red', 'make': 'Kia',
  'model': 'Soul', 'dice': 0.5, 'surface_distance': 1.5, 'wrong_far': 5,
}  # fmt: skip
GROUP = {
  'by': 'make', 'group': 'Kia', 'images': 1, 'cars': 1, 'dice_mean': 0.5,
  'dice_worst': 0.5,
}  # fmt: skip
ERROR = {
  'over': 0, 'up_to': '', 'missed': 5, 'added': 5, 'share': 1.0,
  'dice_gain': 0.5,
}  # fmt: skip
METRICS = {
  'step': 1, 'epoch': 1, 'train/loss': 0.5, 'validation/loss': 0.5,
  'images_per_second': 3.0,
}  # fmt: skip


def table(row):
  return f'{",".join(row)}\n{",".join(map(str, row.values()))}\n'


def run_of(files=None, name='run'):
  """A run's folder, as far as report and compare look at it."""
  folder = 'evaluation/studio-test'
  whole = {
    'config.json': debug.get_config().to_json(),
    'metrics.jsonl': json.dumps(METRICS) + '\n',
    'starts.jsonl': json.dumps({'time': 'now'}) + '\n',
    f'{folder}/summary.json': json.dumps(SUMMARY),
    f'{folder}/images.csv': table(IMAGE),
    f'{folder}/groups.csv': table(GROUP),
    f'{folder}/errors.csv': table(ERROR),
  } | (files or {})

  def make(root):
    for file, data in whole.items():
      if data is not None:
        write(root, f'{name}/{file}', data)

  return make


def report(title, file, data, *words):
  return Case(f'report_{title}', run_of({file: data}), 'report --workdir=run',
              words)  # fmt: skip


def compare(title, file, data, *words):
  def make(root):
    run_of()(root)
    run_of({file: data}, 'other')(root)

  return Case(f'compare_{title}', make, 'compare run other', words)


SCORES, IMAGES, GROUPS, ERRORS = (
  f'evaluation/studio-test/{x}'
  for x in ('summary.json', 'images.csv', 'groups.csv', 'errors.csv')
)
REMOVE, EVALUATE = 'remove it', 'evaluate again'
LINE = 'metrics.jsonl', 'remove that line'


def summary(**changes):
  return json.dumps(SUMMARY | changes)


def lacking(row, name):
  return {key: value for key, value in row.items() if key != name}


RECORDS = [
  report('no_run', 'config.json', None, 'holds no run', 'start one'),
  report('empty_config', 'config.json', '', 'config.json is damaged', REMOVE),
  report('cut_config', 'config.json', '{"data": {', 'config.json', REMOVE),
  report('config_of_a_list', 'config.json', '[]', 'config.json', REMOVE),
  report('config_of_bytes', 'config.json', b'\xff\xfe', 'config.json', REMOVE),
  report('config_of_a_hundred_thousand_brackets', 'config.json',
         '[' * 100_000, 'config.json is damaged', REMOVE),
  report('config_of_nan', 'config.json', '{"seed": NaN}', 'config.json',
         REMOVE),
  report('config_of_nothing', 'config.json', '{}', 'config.json', REMOVE),
  report('config_of_another_project', 'config.json',
         '{"data": 5, "model": "resnet"}', 'config.json', REMOVE),
  report('config_of_another_network', 'config.json',
         debug.get_config().to_json().replace('"unet"', '"resnet"'),
         "config.model.name='resnet'", 'choose from'),
  report('config_of_another_size', 'config.json',
         debug.get_config().to_json().replace('"64x96"', '"big"'),
         "'big'", 'use for example'),
  report('metrics_of_text', 'metrics.jsonl', 'loss 0.5\n', 'line 1', *LINE),
  report('metrics_of_bytes', 'metrics.jsonl', b'\xff\xfe\n', 'line 1', *LINE),
  report('metrics_of_numbers', 'metrics.jsonl', '5\n', 'line 1', *LINE),
  report('metrics_of_brackets', 'metrics.jsonl', '[' * 100_000 + '\n',
         'line 1', *LINE),
  report('metrics_without_step', 'metrics.jsonl', '{"epoch": 1}\n', 'line 1',
         *LINE),
  report('metrics_without_epoch', 'metrics.jsonl', '{"step": 1}\n',
         'the epoch of step 1', *LINE),
  report('metrics_of_epoch_0', 'metrics.jsonl', '{"step": 1, "epoch": 0}\n',
         'the epoch of step 1', *LINE),
  report('metrics_of_words', 'metrics.jsonl',
         json.dumps(METRICS) + '\n{"step": 2, "epoch": "two"}\n', 'line 2',
         *LINE),
  report('metrics_of_infinity', 'metrics.jsonl',
         '{"step": 2, "epoch": 1, "train/loss": Infinity}\n', 'line 1', *LINE),
  report('metrics_of_long_numbers', 'metrics.jsonl',
         '{"step": 1, "epoch": 1' + '0' * 999 + '}\n', 'line 1', *LINE),
  report('starts_of_text', 'starts.jsonl', 'now\n',
         'line 1 of', 'starts.jsonl is damaged', 'remove that line'),
  report('sheet_of_text', 'pictures/epoch_001.png', 'no image',
         'epoch_001.png is not an image', REMOVE),
  report('sheet_of_nothing', 'pictures/epoch_001.png', b'',
         'epoch_001.png is not an image', REMOVE),
  report('summary_cut', SCORES, '{"split"', 'summary.json is damaged', REMOVE),
  report('summary_of_nan', SCORES, summary(dice_mean=float('nan')),
         'summary.json is damaged', REMOVE),
  report('summary_without_split', SCORES, json.dumps(lacking(SUMMARY, 'split')),
         'summary.json does not tell its split', EVALUATE),
  report('summary_of_a_word', SCORES, summary(iou_mean='good'),
         "studio-test has iou_mean='good'", EVALUATE),
  report('summary_of_a_mean_in_words', SCORES, summary(dice_mean='good'),
         'summary.json does not tell its dice_mean', EVALUATE),
  report('summary_of_a_list', SCORES, summary(threshold=[0.5]),
         'studio-test has threshold=[0.5]', EVALUATE),
  report('images_without_dice', IMAGES, table(lacking(IMAGE, 'dice')),
         'row 1 of', 'images.csv has no right dice', EVALUATE),
  report('images_of_nan', IMAGES, table(IMAGE | {'dice': 'nan'}),
         'images.csv has no right dice', EVALUATE),
  report('images_of_infinity', IMAGES,
         table(IMAGE | {'surface_distance': 'inf'}),
         'images.csv has no right surface_distance', EVALUATE),
  report('images_of_words', IMAGES, table(IMAGE | {'dice': 'good'}),
         'images.csv has no right dice', EVALUATE),
  report('images_of_bytes', IMAGES, b'\xff\xfe\0', 'images.csv is damaged',
         EVALUATE),
  report('images_of_a_short_row', IMAGES, table(IMAGE) + 'b.jpg\n', 'row 2 of',
         'images.csv has no right', EVALUATE),
  report('images_with_an_open_quote', IMAGES,
         table(IMAGE) + '"' + 'x' * 200_000,
         'images.csv is damaged', EVALUATE),
  report('groups_without_cars', GROUPS, table(lacking(GROUP, 'cars')),
         'groups.csv has no right cars', EVALUATE),
  report('groups_of_words', GROUPS, table(GROUP | {'dice_mean': 'good'}),
         'groups.csv has no right dice_mean', EVALUATE),
  report('errors_without_share', ERRORS, table(lacking(ERROR, 'share')),
         'errors.csv has no right share', EVALUATE),
  report('errors_of_words', ERRORS, table(ERROR | {'missed': 'many'}),
         'errors.csv has no right missed', EVALUATE),
  report('errors_beside_an_old_summary', SCORES,
         json.dumps(lacking(SUMMARY, 'ceiling_soft_mean')),
         'summary.json does not tell its ceiling_soft_mean', EVALUATE),
  report('errors_beside_old_images', IMAGES, table(lacking(IMAGE, 'wrong_far')),
         'images.csv has no right wrong_far', EVALUATE),
  compare('no_evaluation', IMAGES, None, 'images.csv is missing',
          'make it with'),
  compare('without_rows', IMAGES, 'filename,car_id,dice\n',
          'images.csv has no rows',
          EVALUATE),
  compare('of_nothing', IMAGES, '', 'images.csv has no rows', EVALUATE),
  compare('of_one_image_twice', IMAGES,
          table(IMAGE) + table(IMAGE).split('\n')[1],
          'two of one image', EVALUATE),
  compare('of_nan', IMAGES, table(IMAGE | {'dice': 'nan'}), 'no right dice',
          EVALUATE),
  compare('without_cars', IMAGES, table(lacking(IMAGE, 'car_id')),
          'no right car_id',
          EVALUATE),
  compare('without_summary', SCORES, None, 'summary.json', 'check that path'),
  compare('of_a_damaged_summary', SCORES, 'x', 'summary.json is damaged',
          REMOVE),
  compare('without_size', SCORES, json.dumps(lacking(SUMMARY, 'size')),
          'does not tell its size', EVALUATE),
  compare('without_threshold', SCORES, summary(threshold=None),
          'does not tell its threshold', EVALUATE),
  compare('of_another_size', SCORES, summary(size='128x192'),
          'was scored at', 'evaluate both at one size'),
  compare('of_other_images', IMAGES, table(IMAGE | {'filename': 'b.jpg'}),
          'a.jpg was scored in one', 'evaluate both on the same data'),
  Case('compare_config_without_data', lambda root: [
         run_of({'config.json': '{"data": []}'})(root),
         run_of(name='other')(root)], 'compare run other',
       ('config.json names no data set', 'give --dataset')),
  Case('compare_no_run', run_of(), 'compare none run',
       ('none holds no run', 'start one')),
  Case('compare_one', run_of(), 'compare run', ('1 arguments', 'RUN_A RUN_B')),
]  # fmt: skip
CASES = [*METADATA, *SUBMISSIONS, *RECORDS]


class TablesTest(CaseTest):
  @named(CASES)
  def test_refused(self, case):
    self.assert_refused(case)

  def test_the_sound_ones_are_taken(self):
    run_of()(self.root)
    run_of(name='other')(self.root)
    for words in ('report --workdir=run', 'compare run other'):
      result = self.run_command(words)
      self.assertEqual((result.code, result.errors), (0, ''))

  def test_a_submission_with_a_byte_order_mark(self):
    write(self.root, 's.csv', f'\ufeff{GOOD}')
    write(self.root, 'sample.csv', f'\ufeff{GOOD}'.replace('\n', '\r\n'))
    result = self.run_command(
      'submit --check=s.csv --sample=sample.csv --size=3x4'
    )
    self.assertEqual((result.code, result.errors), (0, ''))
    self.assertIn('as Kaggle wants it', result.output)

  def test_strict_rows_without_photos(self):
    write(self.root, 'photos/a.png', encoded(gradient(), 'PNG'))
    write(self.root, 's.csv', 'img,rle_mask\na.png,\nb.png,\n')
    words = (
      'submit --workdir={run} --input=photos --sample=s.csv --output=o.csv'
      ' --size=64x96'
    )
    result = self.run_command(f'{words} --strict')
    self.assert_one_line(result, ('b.png is missing', 'add it to --input'))
    self.assertEqual(
      sorted(path.name for path in self.root.iterdir()), ['photos', 's.csv']
    )
    result = self.run_command(words)
    self.assertEqual((result.code, result.errors), (1, ''))
    with (self.root / 'o.csv').open() as file:
      rows = {row['img']: row['rle_mask'] for row in csv.DictReader(file)}
    self.assertEqual(list(rows), ['a.png', 'b.png'])
    self.assertEqual(rows['b.png'], '')
    self.assertIn('b.png', (self.root / 'o.csv.failed.csv').read_text())


if __name__ == '__main__':
  absltest.main()
