"""Which photos show one object, by names of many kinds."""

import pathlib

from absl.testing import absltest, parameterized

from carvana_jax.datasets import file_listing
from carvana_jax.datasets.folder import groups
from carvana_jax.datasets.folder.items import Item
from carvana_jax.system.errors import UserError


def item(name, **kwargs):
  file = file_listing.File(name, pathlib.PurePosixPath(name), 1, None)
  return Item(**{'name': name, 'photo': file, 'mask': file, **kwargs})


def items(*names):
  return [item(name) for name in sorted(names)]


def crossed(form, *factors):
  """Returns names made of each value of a factor with each of the others."""
  made = [()]
  for values in factors:
    made = [(*x, value) for x in made for value in values]
  names = [form.format(*x) for x in made]
  return items(*names)


VIEWS = range(1, 5)
IDS = '0cdf5b5d0ce1', '1ae8a68a40e4', '29bb3ece3180'


class GroupsTest(parameterized.TestCase):
  @parameterized.parameters(
    ('{}_{:02d}.jpg', IDS, VIEWS, set(IDS)),
    ('{} Shoe ({}).JPG', 'ABC', VIEWS, {'A Shoe', 'B Shoe', 'C Shoe'}),
    ('shoe-1{}_{}.png', '234', VIEWS, {'shoe-12', 'shoe-13', 'shoe-14'}),
    ('car0{}-view{}.jpg', '789', VIEWS, {'car07', 'car08', 'car09'}),
    ('car{}/{:02d}.jpg', '123', VIEWS, {'car1', 'car2', 'car3'}),
    ('car{}/IMG_{:04d}.jpg', '123', VIEWS, {'car1', 'car2', 'car3'}),
    ('car{}/{}_1.jpg', '123', ('front', 'left'), {'car1', 'car2', 'car3'}),
    ('car{}/{}/1.jpg', '123', ('front', 'left'), {'car1', 'car2', 'car3'}),
    ('{1}/shoe{0}_1.jpg', '123', ('left', 'top'), {'shoe1', 'shoe2', 'shoe3'}),
    ('shoe{}_{}.jpg', '123', ('front', 'left'), {'shoe1', 'shoe2', 'shoe3'}),
    ('{1}_shoe{0}.jpg', '123', ('front', 'left'), {'shoe1', 'shoe2', 'shoe3'}),
    ('shoe{}_{}.jpg', '123', ('lace', 'heel'), {'shoe1', 'shoe2', 'shoe3'}),
    ('{:04d}_{}.jpg', (1, 2, 3), VIEWS, {'0001', '0002', '0003'}),
    ('s{}_{}_0000.png', '123', VIEWS, {'s1', 's2', 's3'}),
    ('s{}_{:05.1f}.png', '123', (0, 22.5, 45), {'s1', 's2', 's3'}),
    ('s{}_e10_a{:03d}.png', '123', (0, 45, 90), {'s1', 's2', 's3'}),
    ('s{}{}.png', '123', 'abc', {'s1', 's2', 's3'}),
    ('s{}_20260101_12000{}.jpg', '123', VIEWS, {'s1', 's2', 's3'}),
    ('IMG_{}{:03d}.jpg', '012', VIEWS, None),
    ('{}_{:04d}.jpg', ('IMG', 'DSC', '_MG'), VIEWS, None),
    ('10{}CANON/IMG_{:04d}.jpg', '012', VIEWS, None),
    ('2026010{}_12000{}.jpg', '123', VIEWS, None),
    ('2026-01-0{}/IMG_{}.jpg', '123', VIEWS, None),
    ('WhatsApp Image 2026-01-0{} at 12.00.0{}.jpg', '123', VIEWS, None),
    ('IMG_{}_jpg.rf.{}0f3.jpg', '123', 'abc', None),
    ('img_{}_aug_{}.png', '123', VIEWS, None),
    ('{}/IMG_{:04d}.jpg', ('hats', 'shoes', 'bags'), range(120), None),
    ('{}_{}.jpg', ('red', 'blue', 'tan'), ('hat', 'shoe', 'bag'), None),
    ('0{}_car{}.jpg', '123', 'ABC', None),
    ('car{}/{}_1.jpg', '123', ('hood', 'seat', 'tyre'), None),
  )
  def test_names(self, form, first, second, expected):
    found = crossed(form, first, second)
    if expected is None:
      with self.assertRaisesRegex(UserError, 'set config.data.groups=photo'):
        groups.assign(found, '')
    else:
      labels, text = groups.assign(found, '')
      self.assertEqual({x.group for x in labels}, expected)
      self.assertStartsWith(text, f'{len(expected)} groups of {len(second)} ph')

  def test_folders_are_objects_or_kinds(self):
    kinds = ('hats', 'shoes', 'bags')
    found = crossed('{0}/{0}{1}_{2}.jpg', kinds, range(4), VIEWS)
    labels = groups.assign(found, '').labels
    self.assertLen({x.group for x in labels}, 12)
    self.assertEqual(labels[0].group, 'bags0')
    found = crossed('{}/{:03d}_{}.jpg', kinds, range(4), VIEWS)
    self.assertEqual(groups.assign(found, '').labels[0].group, 'bags/000')

  def test_views(self):
    found = items('a_3.png', 'a_7.png', 'b_0.png', 'b_1.png', 'c_2.png')
    self.assertEqual([x.view for x in groups.assign(found, '').labels],
                     [3, 7, 1, 2, 2])  # fmt: skip

  def test_as_the_user_says(self):
    found = items('a/x_1.png', 'a/y_1.png', 'b/x_2_flip.png', 'b/x_2.png')
    found.append(item('c/x_3.png', mask=None))
    of = lambda pattern: [x.group for x in groups.assign(found, pattern).labels]
    self.assertEqual(of('folder'), ['a', 'a', 'b', 'b', 'c'])
    self.assertEqual(of('photo'), ['a/x_1', 'a/y_1', 'b/x_2', 'b/x_2', 'c/x_3'])
    self.assertEqual(of('/(.)_'), ['x', 'y', 'x', 'x', 'x'])
    self.assertEqual(of('[xy]_.'), ['x_1', 'y_1', 'x_2', 'x_2', 'x_3'])
    with self.assertRaisesRegex(UserError, r'is no regular expression \(mis'):
      of('(')
    with self.assertRaisesRegex(UserError, r'nothing in 1 name \(a/y_1\.png\)'):
      of('x_')
    with self.assertRaisesRegex(UserError, 'needs photos in several folders'):
      groups.assign(items('a.png', 'b.png'), 'folder')

  def test_a_table_says_more_than_names(self):
    found = [item(f's{x}_{y}.png', group=y) for x in '123' for y in 'ab']
    self.assertEqual([x.group for x in groups.assign(found, '').labels],
                     list('ababab'))  # fmt: skip
    found[1] = found[1]._replace(group=None)
    with self.assertRaisesRegex(UserError, 'no group of s1_b.png'):
      groups.assign(found, '')

  def test_photos_without_masks_have_groups_but_no_say(self):
    found = crossed('s{}_{}.png', '123', VIEWS)
    found += [item(f't{x}_1.png', mask=None) for x in range(50)]
    labels, text = groups.assign(found, '')
    self.assertEqual(labels[-1].group, 't49')
    self.assertStartsWith(text, '3 groups of 4 photos by names (s1, s2, …); ')


if __name__ == '__main__':
  absltest.main()
