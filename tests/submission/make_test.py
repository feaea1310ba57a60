"""Submissions: every row, whatever happens to photos and processes."""

import contextlib
import csv
import io
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
from unittest import mock

import chex
import numpy as np

from carvana_jax.datasets import images
from carvana_jax.inference import finding, networks
from carvana_jax.submission import make, parts, rle
from carvana_jax.system.errors import UserError
from tests.helpers import saved_run
from tests.inference.predictor_test import SIZE, photo_of, run_of

ROOT = pathlib.Path(__file__).parents[2]


class SubmitTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.photos = self.root / 'photos'
    self.photos.mkdir()
    self.output = self.root / 'submission.csv'
    for i in range(5):
      self.add(f'a_{i:02}.png', photo_of(8 * i))

  def add(self, name, photo):
    (self.photos / name).write_bytes(images.encode_png(photo))

  def submit(self, sample=None, strict=False, multiview=False, share=(0, 1)):
    """{name: runs} of the submission, None if it is not made yet."""
    size = '64x96' if multiview else '32x48'
    run = run_of(size, multiview)
    nets = networks.Networks([run], run.config.eval)
    found = finding.find(str(self.photos))
    rows = make.rows_of(found, sample)
    notes = {'input': str(self.photos)}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
      self.is_well = make.submit(
        self.output, nets, rows, SIZE, notes, share, strict
      )
    self.said = printed.getvalue()
    if not self.output.exists():
      return None
    with self.output.open(newline='') as file:
      return {row['img']: row['rle_mask'] for row in csv.DictReader(file)}

  def test_rows_are_the_masks(self):
    found = self.submit()
    self.assertTrue(self.is_well)
    self.assertEqual(list(found), [f'a_{i:02}.jpg' for i in range(5)])
    for i, runs in enumerate(found.values()):
      truth = photo_of(8 * i)[..., 0] > 100
      self.assertGreater(np.mean(rle.decode(runs, SIZE) == truth), 0.995)

  def test_a_network_that_compares_views(self):
    for i, runs in enumerate(self.submit(multiview=True).values()):
      mask, truth = rle.decode(runs, SIZE), photo_of(8 * i)[..., 0] > 100
      self.assertGreater(2 * np.sum(mask & truth), 0.96 * (mask.sum() + 1024))

  def test_what_fails_is_empty_and_listed(self):
    self.add('a_01.png', photo_of(0)[:50])
    (self.photos / 'a_02.png').write_bytes(b'no image')
    sample = self.root / 'sample_submission.csv'
    names = [f'a_{i:02}.jpg' for i in (4, 3, 2, 1, 7)]
    sample.write_text('img,rle_mask\n' + ''.join(f'{x},1 1\n' for x in names))
    found = self.submit(str(sample))
    self.assertFalse(self.is_well)
    # All rows of the sample and no others, for photos of other endings, too.
    self.assertEqual(list(found), sorted(names))
    empty = {name for name, runs in found.items() if not runs}
    self.assertEqual(empty, {'a_01.jpg', 'a_02.jpg', 'a_07.jpg'})
    with (self.root / 'submission.csv.failed.csv').open(newline='') as file:
      reasons = {x['photo']: x['reason'] for x in csv.DictReader(file)}
    self.assertEqual(reasons.keys(), empty)
    self.assertIn('50x96, not 64x96', reasons['a_01.jpg'])
    self.assertIn('a_02.png is no JPG', reasons['a_02.jpg'])
    self.assertIn('a_07.jpg is missing', reasons['a_07.jpg'])

  def test_photos_that_no_row_asks_for_are_named(self):
    sample = self.root / 'sample.csv'
    sample.write_text('img,rle_mask\na_00.jpg,1 1\na_01.jpg,1 1\n')
    found = finding.find(str(self.photos))
    with contextlib.redirect_stdout(io.StringIO()) as printed:
      rows = make.rows_of(found, str(sample))
    self.assertEqual([x.file for x in rows.values()], ['a_00.png', 'a_01.png'])
    self.assertEqual(
      printed.getvalue(),
      '3 photos left out: a_02.png, a_03.png, a_04.png (no rows of '
      f'{sample})\n',
    )
    with contextlib.redirect_stdout(io.StringIO()) as printed:
      make.rows_of(found[:3], str(sample))
    self.assertStartsWith(printed.getvalue(), '1 photo left out: a_02.png (')

  def test_a_check_takes_sub_folders_but_not_its_own_files(self):
    for name in ('x', 'y'):
      (self.photos / name).mkdir()
    for i in range(5):
      folder = self.photos if i else self.photos / 'x'
      old = self.photos / f'a_{i:02}.png'
      old.rename(folder / f'{i:012}_01.png')
    path = self.photos / 'y' / 's.csv'
    rows = ''.join(f'{i:012}_01.jpg,\n' for i in range(5))
    path.write_text(f'img,rle_mask\n{rows}')
    check = lambda recursive: make.print_problems(
      path, None, str(self.photos), SIZE, recursive
    )
    with contextlib.redirect_stdout(io.StringIO()) as printed:
      check(True)
    self.assertNotIn('left out', printed.getvalue())
    self.assertNotIn('is not the name', printed.getvalue())
    with contextlib.redirect_stdout(io.StringIO()) as printed:
      self.assertFalse(check(False))
    self.assertIn('2 left out: x/, y/ (folder', printed.getvalue())
    self.assertIn("'000000000000_01.jpg' is not", printed.getvalue())

  def test_one_more_makes_what_one_that_died_has_left(self):
    alone = self.submit()
    self.output = self.root / 'shared.csv'
    self.enterContext(mock.patch.object(parts, '_ROWS', 2))
    # Process 1 of 3 has died. Another host sees the photos elsewhere.
    self.assertIsNone(self.submit(share=(0, 3)))
    shutil.copytree(self.photos, self.root / 'b' / 'photos')
    self.photos = self.root / 'b' / 'photos'
    self.assertIsNone(self.submit(share=(2, 3)))
    with self.written() as written:
      self.assertEqual(self.submit(), alone)
    self.assertEqual(written(), [1])

  def test_photos_that_changed_meanwhile_are_made_again(self):
    self.enterContext(mock.patch.object(parts, '_ROWS', 2))  # 3 parts
    for share in ((0, 3), (1, 3)):
      self.assertIsNone(self.submit(share=share))
    # One of the process that goes on, and one of a process that has ended.
    self.add('a_04.png', photo_of(3))
    self.add('a_02.png', photo_of(5))
    self.assertIsNone(self.submit(share=(0, 3)))
    self.assertEqual(self.said.count('changed'), 0)  # it has neither
    with self.written() as written:
      found = self.submit(share=(2, 3))
    self.assertEqual(written(), [2, 1])
    self.assertIn(
      'changed since, so made again with the other rows of their parts: '
      '1 photo (a_02.jpg)',
      self.said,
    )
    self.output = self.root / 'alone.csv'
    self.assertEqual(self.submit(), found)
    self.assertEqual(self.said.count('changed'), 0)

  def test_parts_of_unknown_photos_are_made_again(self):
    self.enterContext(mock.patch.object(parts, '_ROWS', 2))
    self.submit(share=(0, 2))
    part = parts.folder_of(self.output) / 'part_00002.csv'
    # As earlier versions wrote it.
    part.write_text(part.read_text().replace('"contents"', '"others"'))
    (self.photos / 'a_01.png').write_bytes(b'no image')
    with self.written() as written:
      self.submit()
    self.assertEqual(written(), [0, 1, 2])
    self.assertIn('what their rows were made of: 1 part (2)', self.said)
    self.assertIn('1 photo (a_01.jpg)', self.said)
    self.assertFalse(self.is_well)

  def test_photos_that_are_missing_until_later(self):
    self.enterContext(mock.patch.object(parts, '_ROWS', 2))
    sample = self.root / 'sample_submission.csv'
    names = [f'a_{i:02}.jpg' for i in range(6)]
    sample.write_text('img,rle_mask\n' + ''.join(f'{x},1 1\n' for x in names))
    self.submit(str(sample), share=(2, 3))
    self.submit(str(sample), share=(2, 3))
    self.assertEqual(self.said.count('changed'), 0)
    self.add('a_05.png', photo_of(5))
    self.assertTrue(self.submit(str(sample))['a_05.jpg'])
    self.assertIn('1 photo (a_05.jpg)', self.said)
    self.assertTrue(self.is_well)

  def test_photos_without_a_car_are_told(self):
    self.add('a_03.png', np.zeros((*SIZE, 3), np.uint8))
    self.assertEqual(self.submit()['a_03.jpg'], '')
    self.assertTrue(self.is_well)
    self.assertIn('no car was found in 1 photo (a_03.jpg)', self.said)

  @contextlib.contextmanager
  def written(self):
    """Gives a function that returns the numbers of the parts written."""
    with mock.patch.object(
      parts.Parts, 'write', autospec=True, side_effect=parts.Parts.write
    ) as written:
      yield lambda: [call.args[1] for call in written.call_args_list]

  def test_strict_stops(self):
    (self.photos / 'a_02.png').write_bytes(b'no image')
    with self.assertRaisesRegex(UserError, 'a_02.png is no JPG'):
      self.submit(strict=True)
    self.assertFalse(self.output.exists())


class CommandTest(chex.TestCase):
  """With a saved network, as a user would."""

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    folder = self.root / 'photos'
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(12):
      photo = (
        rng.integers(0, 256, (8, 12, 3), np.uint8).repeat(8, 0).repeat(8, 1)
      )
      (folder / f'{i:04}.png').write_bytes(images.encode_png(photo))
    for i in range(12, 700):
      shutil.copy(folder / f'{i % 12:04}.png', folder / f'{i:04}.png')

  def command(self, *arguments):
    return [
      sys.executable, '-m', 'carvana_jax.submit', '--size=64x96',
      f'--input={self.root}/photos', *arguments,
    ]  # fmt: skip

  def submit(self, name, **environment):
    workdir, output = self.root / 'run', self.root / name
    return subprocess.Popen(
      self.command(f'--workdir={workdir}', f'--output={output}'),
      cwd=ROOT,
      env=os.environ | environment,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )

  def finish(self, process):
    output, errors = process.communicate()
    self.assertEqual(process.returncode, 0, errors)
    return output

  def test_killed_and_shared_it_is_byte_identical(self):
    saved_run.save(self.root / 'run')
    # Two tasks of srun at once; whichever ends last joins.
    two = [
      self.submit('two.csv', SLURM_PROCID=str(i), SLURM_LOCALID=str(i),
                  SLURM_STEP_NUM_TASKS='2', SLURM_NODEID='0',
                  SLURM_STEP_TASKS_PER_NODE='2')
      for i in range(2)
    ]  # fmt: skip
    said = ''.join(map(self.finish, two))
    for i in range(2):
      self.assertIn(f'process {i} of 2, from 0 on, as SLURM has it', said)
    self.assertIn(f'700 rows are in {self.root}/two.csv', said)
    # One that is killed as soon as it has written something, and goes on.
    folder = self.root / 'one.csv.parts'
    killed = self.submit('one.csv')
    while not list(folder.glob('part_*.csv')) and killed.poll() is None:
      time.sleep(0.001)
    time.sleep(random.Random(0).uniform(0, 0.2))
    killed.kill()
    killed.communicate()
    self.finish(self.submit('one.csv'))
    one, both = ((self.root / x).read_bytes() for x in ('one.csv', 'two.csv'))
    self.assertEqual(one, both)
    self.assertFalse(folder.exists())
    # Twelve photos, all with different masks.
    masks = {line.partition(b',')[2] for line in one.splitlines()[1:]}
    self.assertLen(masks, 12)
    self.assertGreater(min(map(len, masks)), 20)
    again = self.submit('one.csv')
    _, errors = again.communicate()
    self.assertEqual(again.returncode, 2)
    self.assertIn('one.csv exists; choose another --output', errors)
    _, errors = self.submit('one.zip').communicate()
    self.assertIn('must end in .csv or .csv.gz', errors)

  def test_check(self):
    path = self.root / 'some.csv'
    for i in range(700):
      old = self.root / 'photos' / f'{i:04}.png'
      old.rename(old.with_name(f'{i:012}_01.png'))
    rows = [f'{i:012}_01.jpg,1 5 9 2\n' for i in range(700)]
    path.write_text(''.join(['img,rle_mask\n', *rows]))
    check = lambda: subprocess.run(
      self.command(f'--check={path}'), cwd=ROOT, capture_output=True, text=True
    )
    done = check()
    self.assertEqual(done.returncode, 0, done.stderr)
    self.assertIn('as Kaggle wants it, if', done.stdout)
    rows[3] = '000000000003_01.jpg,1 5 4 2\n'
    rows[9] = rows[8]
    path.write_text(''.join(['img,rle_mask\n', *rows]))
    done = check()
    self.assertEqual(done.returncode, 1, done.stderr)
    for part in (
      'line 5',
      'overlaps',
      'line 11',
      '000000000009_01.jpg',
      'problems: 3',
    ):
      self.assertIn(part, done.stdout)

  def test_missing_flags(self):
    done = subprocess.run(
      self.command(), cwd=ROOT, capture_output=True, text=True
    )
    self.assertEqual(done.returncode, 2)
    self.assertEqual(done.stderr, 'error: --output is missing; see --help.\n')
