"""Which photos are looked at together, and whose results a folder holds."""

import json
import pathlib
import tempfile

import chex

from carvana_jax.inference import output_folder, photos
from carvana_jax.system.errors import UserError


class CarsTest(chex.TestCase):
  def test_views_of_a_car_come_together(self):
    names = [
      'a_1.jpg',
      'a_1_x.jpg',
      'a_2.jpg',
      'b.1_2.png',
      'b.1_3.png',
      'c.png',
    ]
    self.assertEqual(
      photos.group_by_car(names, together=True),
      [['a_1.jpg', 'a_2.jpg'], ['a_1_x.jpg'], ['b.1_2.png', 'b.1_3.png'],
       ['c.png']],
    )  # fmt: skip
    self.assertEqual(
      photos.group_by_car(names, together=False), [[x] for x in names]
    )

  def test_folders_tell_cars_apart(self):
    names = ['a_b/x_1.jpg', 'a_b/x_2.jpg', 'a_b/y.jpg', 'a_c/x_1.jpg']
    self.assertEqual(
      photos.group_by_car(names, together=True),
      [names[:2], names[2:3], names[3:]],
    )

  def test_more_views_than_a_car_has(self):
    names = [f'IMG_{i:04}.png' for i in range(17)]
    with self.assertRaisesRegex(UserError, 'IMG_… names 17 photos'):
      photos.group_by_car(names, together=True)
    self.assertLen(photos.group_by_car(names[1:], together=True), 1)
    # Where they only help, a turn may have more views, and if these are too
    # many they are no turn.
    group = lambda names: photos.group_by_car(names, True, needed=False)
    self.assertEqual(group(names), [names])
    names = [f'IMG_{i:04}.png' for i in range(65)]
    self.assertEqual(
      group([*names, 'a.png']), [*([x] for x in names), ['a.png']]
    )

  def test_photos_of_any_names_are_grouped_as_in_training(self):
    groups = lambda names, pattern: photos.group_by_car(
      names, together=True, pattern=pattern
    )
    names = [f'{x} {view}.png' for x in 'abc' for view in range(1, 21)]
    self.assertEqual(groups(names, ''), [names[:20], names[20:40], names[40:]])
    self.assertEqual(groups(['x/1.png', 'x/2.png'], 'folder'),
                     [['x/1.png', 'x/2.png']])  # fmt: skip
    self.assertEqual(groups(['1-a.png', '2-a.png', '1-b.png'], '-(.)'),
                     [['1-a.png', '2-a.png'], ['1-b.png']])  # fmt: skip
    # Too few for a guess.
    self.assertEqual(groups(['a_1.png', 'a_2.png'], ''),
                     [['a_1.png', 'a_2.png']])  # fmt: skip
    with self.assertRaisesRegex(UserError, 'the group a has 65 photos'):
      groups([f'a/{i}.png' for i in range(65)], 'folder')


class ClaimTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.folder = root / 'new' / 'masks'

  def test_what_is_new_is_added_and_what_differs_refused(self):
    output_folder.claim(self.folder, {'step': 1})
    output_folder.claim(self.folder, {'step': 1, 'trim': True})
    output_folder.claim(self.folder, {'step': 1})
    there = json.loads((self.folder / 'settings.json').read_text())
    self.assertEqual(there, {'step': 1, 'trim': True})
    for other in ({'step': 2}, {'step': 1, 'trim': False}):
      with self.assertRaisesRegex(UserError, 'results of other settings'):
        output_folder.claim(self.folder, other)

  def recorded(self):
    return json.loads((self.folder / 'settings.json').read_text())

  def test_either_name_or_digest_is_as_before(self):
    def claim(name, digest):
      settings = {'background': name, 'background_digest': digest}
      output_folder.claim(self.folder, settings)
      self.assertEqual(self.recorded(), {'step': 1} | settings)

    output_folder.claim(self.folder, {'step': 1})
    claim('sea.jpg', '11')
    claim('lake.jpg', '11')
    claim('lake.jpg', '22')
    for name, digest in (('sea.jpg', '11'), ('sea.jpg', '33')):
      with self.assertRaisesRegex(UserError, r'settings \(background\)'):
        claim(name, digest)
    claim('white', '22')

  def test_a_name_without_a_digest(self):  # as earlier versions wrote it
    output_folder.claim(self.folder, {'background': 'white'})
    for name, refused in (('black', True), ('white', False)):
      settings = {'background': name, 'background_digest': '11'}
      if refused:
        with self.assertRaisesRegex(UserError, r'settings \(background\)'):
          output_folder.claim(self.folder, settings)
      else:
        output_folder.claim(self.folder, settings)
        self.assertEqual(self.recorded(), settings)

  def test_notes_may_differ(self):
    for path in ('/a/photos', '/b/photos'):
      output_folder.claim(self.folder, {'step': 1}, {'input': path})
      self.assertEqual(self.recorded(), {'step': 1, 'input': path})
    # Those of folders whose photos were told apart by names and sizes.
    path = self.folder / 'settings.json'
    path.write_text('{"step": 1, "input": "/c", "input_digest": "11"}')
    output_folder.claim(self.folder, {'step': 1}, {'input': '/d'})
    self.assertEqual(self.recorded(), {'step': 1, 'input': '/d'})

  def test_a_damaged_file(self):
    self.folder.mkdir(parents=True)
    for text in ('', '[1]', '{"step"'):
      (self.folder / 'settings.json').write_text(text)
      with self.assertRaisesRegex(UserError, 'settings.json is damaged'):
        output_folder.claim(self.folder, {'step': 1})
