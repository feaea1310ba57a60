"""Submissions that Kaggle would take, and one for everything it would not."""

import gzip
import io
import pathlib
import tempfile
import tracemalloc
import zipfile

import chex
import hypothesis
import numpy as np
from absl.testing import absltest, parameterized
from hypothesis import strategies as st

from carvana_jax.submission import rle, table
from carvana_jax.system.errors import UserError

SIZE = (3, 4)
A, B, C = (f'0cdf5b5d0ce1_{view:02d}.jpg' for view in (1, 2, 3))
HEADER = 'img,rle_mask\n'
GOOD = f'{HEADER}{A},1 2 5 1\n{B},\n'

# The same examples every time.
examples = hypothesis.settings(
  derandomize=True, deadline=None, max_examples=100
)


def zipped(members, method=zipfile.ZIP_DEFLATED):
  stream = io.BytesIO()
  with zipfile.ZipFile(stream, 'w') as archive:
    for name, text in members.items():
      # Of 1980, so that the bytes are the same every time.
      archive.writestr(zipfile.ZipInfo(name), text, method)
  return stream.getvalue()


class SubmissionTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.path = pathlib.Path(folder.name) / 'masks.csv'

  def write(self, content):
    if isinstance(content, str):
      content = content.encode()
    self.path.write_bytes(content)

  def problems(self, content, names=None, size=SIZE):
    self.write(content)
    return list(table.find_problems(self.path, names, size))

  def assert_problems(self, content, expected, names=None):
    found = self.problems(content, names)
    self.assertEqual([str(problem) for problem in found], expected)

  def assert_refused(self, content, *words, read=None):
    """One line that names the file and says what is wrong."""
    self.write(content)
    with self.assertRaises(UserError) as caught:
      list((read or self.check)(self.path))
    message = str(caught.exception)
    self.assertNotIn('\n', message)
    for word in (str(self.path), *words):
      self.assertIn(word, message)

  def check(self, path):
    return table.find_problems(path, None, SIZE)


class RowTest(chex.TestCase):
  def test_by_hand(self):
    mask = np.array([[True, True, False], [False, False, True]])
    self.assertEqual(table.row(A, rle.encode(mask)), f'{A},1 2 6 1\n')
    self.assertEqual(table.row(A, ''), f'{A},\n')
    self.assertEqual(table.HEADER, HEADER)

  @parameterized.parameters('a,b.jpg', 'a"b.jpg', 'a\nb.jpg', 'a\rb.jpg')
  def test_name_that_no_column_can_hold(self, name):
    with self.assertRaisesRegex(UserError, 'rename'):
      table.row(name, '')


class CheckTest(SubmissionTest):
  @parameterized.parameters(
    GOOD,
    GOOD.rstrip('\n'),
    '\ufeff' + GOOD,
    GOOD.replace('\n', '\r\n'),
    f'"img","rle_mask"\r\n"{B}",""\r\n"{A}","1 2 5 1"\r\n',
    f'\ufeff"img",rle_mask\n{A},"12 1"\n{B},"1 12"\n',
    f'{GOOD}\n\n',
    f'{HEADER}\n{B},\n\n{A},\n',
    f'{HEADER}{A},1 1 2 1\n{B}, 1 1  3 1 \n',  # not as encoded, but right
  )
  def test_good(self, text):
    self.assertEqual(self.problems(text), [])
    self.assertEqual(self.problems(text, {A, B}), [])
    self.assertEqual(self.problems(text, [B, A]), [])

  @parameterized.named_parameters(
    ('gzip', gzip.compress(GOOD.encode())),
    ('gzip_in_parts', b''.join(map(gzip.compress, (GOOD.encode(), b'')))),
    ('zip', zipped({'masks.csv': GOOD})),
    ('stored', zipped({'a/masks.CSV': GOOD}, zipfile.ZIP_STORED)),
    ('litter', zipped({'m.csv': GOOD, '__MACOSX/._m.csv': 'x', 'README': ''})),
    ('attributes', zipped({'a/._m.csv': 'x', 'a/m.csv': GOOD})),
  )
  def test_packed(self, content):
    self.assertEqual(self.problems(content, {A, B}), [])
    missing = table.Problem(None, C, 'has no row')
    self.assertEqual(self.problems(content, {A, B, C}), [missing])
    self.assertEqual(table.names_of(self.path), [A, B])

  def test_problem(self):
    (problem,) = self.problems(f'{GOOD}\n{C},x 1\n')
    self.assertEqual((problem.line, problem.img), (5, C))
    reason = "has a wrong mask: 'x' is not a whole number"
    self.assertEqual(problem.reason, reason)
    self.assertEqual(str(problem), f"line 5: '{C}' {reason}")

  @parameterized.parameters(
    ('', 'the header img,rle_mask is missing'),
    ('\ufeff', 'the header img,rle_mask is missing'),
    ('\n\n', 'the header img,rle_mask is missing'),
    (f'{A},1 2\n', 'the header img,rle_mask is missing'),
    (f'{A}\t1 2,\n{A},', "the header is '0cdf", 0),
    (f'image,mask\n{A},1 2\n', "the header is 'image,mask', not img,rle_mask"),
    (
      f'rle_mask,img\n{A},1 2',
      "the header is 'rle_mask,img', not img,rle_mask",
    ),
    (f'img\n{A},1 2', "the header is 'img', not img,rle_mask"),
    (f'img,rle_mask,\n{A},', "the header is 'img,rle_mask,', not img,rle_mask"),
    (f'IMG,rle_mask\n{A},', "the header is 'IMG,rle_mask', not img,rle_mask"),
  )
  def test_header(self, text, reason, length=None):
    (problem,) = self.problems(text)
    self.assertEqual((problem.line, problem.img), (1, ''))
    self.assertEqual(problem.reason[:length], reason[:length])

  def test_no_row(self):
    self.assert_problems('img,rle_mask\n', ['there is no row'], None)

  def test_a_car_of_empty_masks_and_no_other(self):
    views = [f'{A.partition("_")[0]}_{view:02}.jpg' for view in range(1, 17)]
    rows = [f'{view},\n' for view in views]
    empty = ''.join([HEADER, *rows])
    self.assert_problems(empty, ['all 16 masks are empty'])
    self.assert_problems(''.join([HEADER, *rows[1:]]), [])
    self.assert_problems(empty + f'{"a" * 12}_01.jpg,1 2\n', [])

  def test_rows_count_without_a_header(self):
    self.assert_problems(
      f'{A},1 2\n{B},x\n{A},\n',
      [
        'line 1: the header img,rle_mask is missing',
        f"line 2: '{B}' has a wrong mask: 'x' is not a whole number",
        f"line 3: '{A}' is in line 1 already",
      ],
      {A, B},
    )

  def test_columns(self):
    self.assert_problems(
      f'{GOOD}{C}\n0,1 2,\n1,1,2,5\n2;1 2\n',
      [
        f"line 4: '{C}' needs 2 columns, not 1",
        "line 5: '0' needs 2 columns, not 3",
        "line 6: '1' needs 2 columns, not 4",
        "line 7: '2;1 2' needs 2 columns, not 1",
      ],
    )

  def test_names(self):
    self.assert_problems(
      f'{GOOD}{A},1 1\n.jpg,1 1\n,1 1\n{A.upper()},\n{A},0 1\n',
      [
        f"line 4: '{A}' is in line 2 already",
        "line 5: '.jpg' is not the name of an expected image",
        'line 6: has no name',
        f"line 7: '{A.upper()}' is not the name of an expected image",
        f"line 8: '{A}' is in line 2 already",
        f"line 8: '{A}' has a wrong mask: run 1, '0 1', starts below pixel 1",
        f"'{C}' has no row",
      ],
      {A, B, C},
    )

  def test_names_are_any_of_the_challenge_unless_given(self):
    wrong = (
      'my car.jpg', A.upper(), A[:-3] + 'JPG', A[:-3] + 'png', 'x' + A,
      '0cdf5b5d0ce1_00.jpg', '0cdf5b5d0ce1_17.jpg', '0cdf5b5d0ceg_01.jpg',
      '0cdf5b5d0ce1.jpg', f'folder/{A}',
    )  # fmt: skip
    right = '0cdf5b5d0ce1_16.jpg', 'ffffffffffff_10.jpg'
    rows = ''.join(f'{name},\n' for name in (*wrong, *right))
    self.assert_problems(
      f'{GOOD}{rows}{A},\n,\n',
      [
        *(f"line {i}: '{name}' is not named as 0cdf5b5d0ce1_01.jpg is"
          for i, name in enumerate(wrong, 4)),
        f"line 16: '{A}' is in line 2 already",
        'line 17: has no name',
      ],
    )  # fmt: skip
    # A sample may ask for any.
    self.assertEqual(self.problems(f'{HEADER}x.png,\n', ['x.png']), [])

  def test_runs_down_the_columns(self):
    mask = np.zeros((30, 45), bool)
    mask[10:20, 8:40] = True
    for rows, found in (
      (mask, []),
      (
        mask.T,
        [f"line 2: '{A}' has runs down the columns; count pixels along the "
         'rows'],
      ),
    ):  # fmt: skip
      self.write(HEADER + table.row(A, rle.encode(rows)))
      problems = table.find_problems(self.path, [A], mask.shape)
      self.assertEqual([str(problem) for problem in problems], found)

  @parameterized.parameters((10, None), (11, 1), (300, 290))
  def test_missing_names(self, count, more):
    names = [f'{i:03d}.jpg' for i in range(count)]
    expected = [f"'{name}' has no row" for name in names[:10]]
    if more:
      expected.append(f'{more} more images have no row')
    self.assert_problems(GOOD, expected, {A, B, *names})
    self.assert_problems(GOOD, expected, [*reversed(names), A, B])

  @parameterized.parameters(
    '1',
    '0 1',
    '13 1',
    '12 2',
    '5 0',
    '5 1 3 1',
    '1 3 3 1',
    '1 -1',
    'a b',
    '1;2',
  )
  def test_runs(self, runs):
    with self.assertRaises(ValueError) as caught:
      rle.decode(runs, SIZE)
    (problem,) = self.problems(f'{GOOD}{C},{runs}')
    self.assertEqual(problem.reason, f'has a wrong mask: {caught.exception}')

  def test_photos(self):
    full, last = '1 2455040', '1 1 2455040 1'
    text = f'{HEADER}{A},{full}\n{B},{last}\n{C},2455040 2\n'
    (problem,) = self.problems(text, {A, B, C}, (1280, 1918))
    self.assertEqual(problem.line, 4)
    self.assertIn('beyond the last pixel, 2455040', problem.reason)

  def test_long_rows(self):
    # Longer than the csv module takes fields: 131,072 characters.
    runs = rle.encode(np.indices((300, 301))[1] % 2 == 0)
    self.assertGreater(len(runs), 300_000)
    self.assertEqual(
      self.problems(HEADER + f'{A},{runs}\n', {A}, (300, 301)), []
    )
    (problem,) = self.problems(HEADER + f'{A},"{runs} 1"\n', {A}, (300, 301))
    self.assertIn('odd count', problem.reason)

  def test_problems_stay_short(self):
    runs = '1 ' * 5000
    (columns,) = self.problems(f'{HEADER}{A};{runs}')
    self.assertLess(len(str(columns)), 100)
    (header,) = self.problems(f'{"x" * 5000},{runs}')
    self.assertLess(len(str(header)), 100)
    for mask in ('x' * 5000, '9' * 5000 + ' 1', '-' + '9' * 5000, '\t' + runs):
      (problem,) = self.problems(f'{HEADER}{A},{mask}')
      self.assertLess(len(str(problem)), 150)

  def test_problems_come_while_reading(self):
    self.write(f'{HEADER}{A},x\n'.encode() + b'\xff')
    found = table.find_problems(self.path, {A}, SIZE)
    self.assertEqual(next(found).line, 2)
    with self.assertRaises(UserError):
      next(found)

  def test_memory_is_that_of_a_row(self):
    runs = rle.encode(np.indices((300, 301))[1] % 2 == 0)
    rows = (table.row(f'{i:012x}_01.jpg', runs) for i in range(60))
    text = HEADER + ''.join(rows)  # 23 MB
    self.write(gzip.compress(text.encode(), 1))
    tracemalloc.start()
    self.addCleanup(tracemalloc.stop)
    self.assertEqual(list(table.find_problems(self.path, None, (300, 301))), [])
    self.assertLess(tracemalloc.get_traced_memory()[1], len(text) / 2)


class DamageTest(SubmissionTest):
  @parameterized.named_parameters(
    ('photo', b'\xff\xd8\xff\xe0\0\x10JFIF\0', 'is not a csv: line 1'),
    ('zeros', bytes(1000), 'is not a csv: line 1 holds a zero byte'),
    ('utf_16', GOOD.encode('utf-16'), 'is not a csv: line 1'),
    ('latin_1', GOOD.encode() + b'\xe4.jpg,\n', 'line 4 is not text in UTF-8'),
    ('empty_zip', zipped({}), 'is not a csv'),
    ('zip_without_csv', zipped({'a.txt': ''}), 'holds 0 csv files'),
    ('zip_of_two', zipped({'a.csv': '', 'b.csv': ''}), 'holds 2 csv files'),
    ('zip_cut', zipped({'a.csv': GOOD})[:-30], 'cannot be read', 'zip'),
    ('gzip_cut', gzip.compress(GOOD.encode())[:-10], 'cannot be read'),
    ('gzip_and_more', gzip.compress(GOOD.encode()) + b'x', 'cannot be read'),
    ('gzip_header', b'\x1f\x8b', 'cannot be read'),
  )
  def test_refused(self, content, *words):
    self.assert_refused(content, *words)
    self.assert_refused(content, *words, read=table.names_of)

  def test_checksums(self):
    for content in (gzip.compress(GOOD.encode()), zipped({'a.csv': GOOD}, 0)):
      at = content.index(b'1 2 5 1') if b'1 2 5 1' in content else -8
      wrong = bytearray(content)
      wrong[at] ^= 2
      self.assert_refused(bytes(wrong), 'cannot be read')

  def test_encrypted(self):
    content = bytearray(zipped({'a.csv': GOOD}))
    content[6] |= 1
    content[content.index(b'PK\x01\x02') + 8] |= 1
    self.assert_refused(bytes(content), 'cannot be read', 'encrypted')

  def test_name_in_a_zip(self):
    content = bytearray(zipped({'a.csv': GOOD}))
    entry = content.index(b'PK\x01\x02')
    content[entry + 9] |= 8  # the name is in UTF-8
    content[content.index(b'a.csv', entry)] = 0xFF
    self.assert_refused(bytes(content), 'cannot be read')

  def test_endless_line(self):
    self.assert_refused(gzip.compress(b'1' * 2**27, 1), 'more than 64 MB')

  def test_no_file(self):
    for path in (self.path, self.path.parent):
      with self.assertRaisesRegex(UserError, f'{path} cannot be read'):
        list(self.check(path))

  @examples
  @hypothesis.given(
    st.binary()
    | st.text().map(str.encode)
    | st.binary().map(lambda data: GOOD.encode() + data)
    | st.text('0123456789 -,"\r\nx').map(lambda text: f'{GOOD}{text}'.encode())
  )
  def test_any_content(self, content):
    for data in (content, gzip.compress(content), zipped({'a.csv': content})):
      self.assert_no_other_error(data)

  @examples
  @hypothesis.given(
    st.sampled_from(
      [
        gzip.compress(GOOD.encode(), mtime=0),
        *(zipped({'a.csv': GOOD}, method) for method in (0, 8, 12, 14)),
      ]
    ),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), max_size=4),
    st.integers(0, 300),
  )
  def test_any_damage(self, content, changes, cut):
    damaged = bytearray(content)
    for at, value in changes:
      damaged[at % len(damaged)] = value
    self.assert_no_other_error(bytes(damaged))
    self.assert_no_other_error(bytes(damaged[:cut]))

  def assert_no_other_error(self, content):
    self.write(content)
    for read in (self.check, table.names_of):
      try:
        for found in read(self.path):
          self.assertNotIn('\n', str(found))
      except UserError as error:
        self.assertNotIn('\n', str(error))


class NamesTest(SubmissionTest):
  def test_in_their_order(self):
    self.write(f'\ufeff"img",rle_mask\r\n{C},1 1\r\n{A},1 1\r\n"{B}"\r\n')
    self.assertEqual(table.names_of(self.path), [C, A, B])

  @parameterized.parameters(
    ('', 'does not start with img,rle_mask'),
    (f'{A},1 1\n', 'does not start with img,rle_mask'),
    ('id,year\n', 'does not start with img,rle_mask'),
    (HEADER, 'names no image'),
    (f'{HEADER}{A},\n\n{A},\n', f"line 4: '{A}' is in line 2 already"),
    (f'{HEADER}{A},\n,1 1\n', 'line 3: has no name'),
  )
  def test_refused(self, text, reason):
    self.assert_refused(text, reason, read=table.names_of)


if __name__ == '__main__':
  absltest.main()
