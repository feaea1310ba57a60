"""Tables of photos and masks are followed to the letter."""

import pathlib
import tempfile

from absl.testing import absltest, parameterized

from carvana_jax.datasets.folder import layouts
from carvana_jax.system.errors import UserError

FILES = ('p/1.jpg', 'p/2.jpg', 'p/3.jpg', 'q/m1.png', 'q/m2.png', 'q/m3.png')


class TableLayoutTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    for file in FILES:
      (self.root / file).parent.mkdir(exist_ok=True)
      (self.root / file).touch()

  def find(self, text, name='t.csv'):
    (self.root / name).write_text(text, encoding='utf-8')
    return layouts.find(self.root)

  @parameterized.parameters(',', ';', '\t')
  def test_all_columns(self, separator):
    layout = self.find(
      '\ufeffGroup,Image Path,MASK,split\n'
      'A,p/1.jpg,q/m1.png,train\n'
      '\n'
      'B,p/2.jpg,./q/m2.png,val\n'
      'C,p\\3.jpg,,\n'.replace(',', separator)
    )
    self.assertEqual(
      [(x.name, str(x.mask), x.split, x.group) for x in layout.items],
      [
        ('1.jpg', 'q/m1.png', 'train', 'A'),
        ('2.jpg', 'q/m2.png', 'validation', 'B'),
        ('3.jpg', 'None', None, 'C'),
      ],
    )
    self.assertEqual(
      layout.text,
      '2 photos with masks in t.csv; 1 photo without a mask; 2 groups; its own'
      ' splits: train 1, validation 1',
    )
    (line,) = layout.left_out
    self.assertEqual(line, '1 file is left out (q/m3.png): not in the table')

  def test_a_table_a_split(self):
    (self.root / 'train.csv').write_text('file,mask\np/1.jpg,q/m1.png\n')
    layout = self.find('file,mask\np/2.jpg,q/m2.png\n', 'test.csv')
    self.assertEqual([x.split for x in layout.items], ['train', 'test'])

  def test_paths_are_seen_from_the_table(self):
    layout = self.find('photo,mask\n1.jpg,../q/m1.png\n', 'p/t.csv')
    self.assertEqual(str(layout.items[0].mask), 'q/m1.png')

  def test_whole_paths(self):
    layout = self.find(f'photo,mask\n{self.root}/p/1.jpg,q/m1.png\n')
    self.assertEqual(layout.items[0].name, '1.jpg')

  def test_one_split_is_none(self):
    layout = self.find('photo,mask,split\np/1.jpg,q/m1.png,train\n')
    self.assertIsNone(layout.items[0].split)

  def test_absent_files(self):
    layout = self.find('photo,mask\np/1.jpg,q/m1.png\np/9.jpg,q/m2.png\n')
    self.assertLen(layout.items, 1)
    self.assertIn('(t.csv line 3: p/9.jpg): rows of', layout.left_out[0])

  @parameterized.parameters(
    ('p/1.jpg,../m.png\n', r't.csv line 2: ../m.png is no path below'),
    ('p/1.jpg,/etc/m.png\n', 'line 2: /etc/m.png is no path below'),
    ('p/1.jpg,C:\\m.png\n', 'is no path below'),
    ('p/1.jpg,q/m1.png\np/1.jpg,q/m2.png\n', 'line 2 and t.csv line 3 both'),
    ('p/1.jpg,q/m1.png\np/2.jpg,q/m1.png\n', 'both have q/m1.png; remove one'),
    ('p/1.jpg,q/m1.png,foo\n', 'line 2: foo is no split; write train'),
    (',q/m1.png\n', 'line 2 names no photo'),
    ('1.jpg,m1.png\n', 'names no photo with a mask .*line 2: 1.jpg.*; write'),
  )
  def test_refused(self, rows, words):
    with self.assertRaisesRegex(UserError, words) as caught:
      self.find(f'photo,mask,split\n{rows}')
    self.assertNotIn('\n', str(caught.exception))

  @parameterized.parameters('filename,label\n1.jpg,car\n', 'a,b\n', '')
  def test_of_something_else(self, text):
    for path in (self.root / 'q').iterdir():
      path.rename(path.with_name(path.name[1:]))
    (self.root / 'p').rename(self.root / 'images')
    (self.root / 'q').rename(self.root / 'masks')
    layout = self.find(text)
    self.assertLen(layout.items, 3)
    self.assertStartsWith(layout.left_out[0], '1 file is left out (t.csv): a t')


if __name__ == '__main__':
  absltest.main()
