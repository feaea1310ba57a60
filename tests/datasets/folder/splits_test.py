"""Splits of groups, by hash or by the folder."""

from absl.testing import absltest

from carvana_jax.datasets import spec
from carvana_jax.datasets.folder import groups, splits
from carvana_jax.system.errors import UserError
from tests.datasets.folder.groups_test import item


def assign(names, own=None):
  """Assigns groups of two photos; `own` has the splits of the first ones."""
  items = [
    item(f'{name}_{view}.png', split=(own or {}).get(name))
    for name in names
    for view in (1, 2)
  ]
  labels = groups.assign(items, '(.*)_').labels
  places, text = splits.assign(items, labels)
  found = dict(zip((x.group for x in labels), places, strict=True))
  for label, place in zip(labels, places, strict=True):
    assert found[label.group] == place
  return found, text


MANY = [f'shoe{x}' for x in range(40)]


class SplitsTest(absltest.TestCase):
  def test_by_hash(self):
    found, text = assign(MANY)
    for name, place in found.items():
      self.assertEqual(place, (spec.split_of(name), spec.fold_of(name)))
    self.assertStartsWith(text, 'photos (groups) by split: train ')
    self.assertNotIn(';', text)

  def test_photos_without_masks(self):
    items = [item(f'{x}_{y}.png') for x in 'abc' for y in (1, 2)]
    items.append(item('d_1.png', mask=None))
    labels = groups.assign(items, '').labels
    self.assertEqual(splits.assign(items, labels).places[-1].split, 'unlabeled')

  def test_few_groups_have_every_split(self):
    for names in (
      MANY[:3],
      MANY[3:6],
      [x for x in MANY if spec.fold_of(x) > 1],
    ):
      found, text = assign(names)
      self.assertEqual(
        {x.split for x in found.values()}, {'train', 'validation', 'test'}
      )
      for split, fold in found.values():
        wanted = {'test': fold == 0, 'validation': fold == 1}
        self.assertTrue(wanted.get(split, fold > 1))
      self.assertEqual(assign(reversed(names))[0], found)
    self.assertIn('which may change as groups are added', text)
    with self.assertRaisesRegex(UserError, 'there are 2 groups of photos with'):
      assign(MANY[:2])

  def test_own_splits_are_kept(self):
    own = dict.fromkeys(MANY, 'train')
    own |= dict.fromkeys(MANY[:5], 'test') | {MANY[5]: 'validation'}
    found, _ = assign(MANY, own)
    self.assertEqual({x: place.split for x, place in found.items()}, own)
    folds = {
      split: {x.fold for x in found.values() if x.split == split}
      for split in ('train', 'validation', 'test')
    }
    self.assertEqual(folds['test'], {0})
    self.assertEqual(folds['validation'], {1})
    self.assertEqual(folds['train'], {*range(2, 10)})

  def test_what_own_splits_lack_is_made_of_train(self):
    own = dict.fromkeys(MANY, 'train') | {MANY[0]: 'validation'}
    found, text = assign(MANY, own)
    self.assertIn('; test made of the photos in train', text)
    for name in MANY[1:]:
      is_test = spec.fold_of(name) == 0
      self.assertEqual(found[name].split, 'test' if is_test else 'train')

  def test_a_group_in_two_own_splits(self):
    items = [item('a_1.png', split='train'), item('a_2.png', split='test')]
    items += [item(f'{x}_1.png', split='validation') for x in 'bc']
    labels = groups.assign(items, '(.)_').labels
    with self.assertRaisesRegex(
      UserError, 'a_1.png of train and a_2.png of test show one object, a,'
    ):
      splits.assign(items, labels)


if __name__ == '__main__':
  absltest.main()
