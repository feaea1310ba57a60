"""What an evaluation makes of its rows, and of results that are there."""

import json
import pathlib
import tempfile

import chex

from carvana_jax.configs import debug
from carvana_jax.evaluation import evaluate_run


class MakeRoomTest(chex.TestCase):
  def data_config(self, root):
    config = debug.get_config().data
    config.data_dir = str(root / 'data')
    return config

  def test_an_evaluation_of_other_images_is_kept(self):
    root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    target = root / 'carvana-all'
    for origin in ('first', 'second', 'second', 'third'):
      evaluate_run.make_room(target, self.data_config(root), origin)
      target.mkdir(exist_ok=True)
      (target / 'summary.json').write_text(json.dumps({'origin': origin}))
    origins = {
      path.name: json.loads((path / 'summary.json').read_text())['origin']
      for path in root.iterdir()
    }
    self.assertEqual(
      origins,
      {
        'carvana-all': 'third',
        'carvana-all.1': 'first',
        'carvana-all.2': 'second',
      },
    )

  def test_an_evaluation_of_an_older_version_is_replaced(self):
    root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    target = root / 'carvana-all'
    target.mkdir()
    old = {'origin': 'carvana-0123abcd/carvana/64x96'}
    (target / 'summary.json').write_text(json.dumps(old))
    now = 'carvana-0123abcd-4567cdef/carvana/64x96'
    evaluate_run.make_room(target, self.data_config(root), now)
    self.assertTrue(target.exists())


class AgreeByCarTest(chex.TestCase):
  def agreed(self, *seen):
    """What becomes of (car, body) pairs."""
    rows = [{'car_id': car, 'body': body} for car, body in seen]
    evaluate_run._agree_by_car(rows, 'body')
    return [row['body'] for row in rows]

  def test_views_that_do_not_tell_follow_the_others(self):
    seen = ('a', ''), ('a', 'van'), ('b', 'SUV'), ('a', '')
    self.assertEqual(self.agreed(*seen), ['van', 'van', 'SUV', 'van'])

  def test_most_views_decide_or_the_name_whatever_their_order(self):
    seen = [('a', 'van'), ('a', 'SUV'), ('a', '')]
    for order in (seen, seen[::-1]):
      self.assertEqual(self.agreed(*order), ['SUV'] * 3)
      self.assertEqual(self.agreed(*order, ('a', 'van')), ['van'] * 4)

  def test_unknown_where_no_view_tells(self):
    self.assertEqual(self.agreed(('a', ''), ('b', 'van')), ['unknown', 'van'])


class GroupingsTest(chex.TestCase):
  def kinds(self, *seen, dataset='folder/original/1.0.0'):
    rows = [{'car_id': group, 'view': view} for group, view in seen]
    return list(evaluate_run._groupings(rows, dataset))

  def test_cars_have_makes_and_bodies(self):
    kinds = self.kinds(('a', 1), dataset='carvana/1280x1918/1.0.1')
    self.assertEqual(kinds, ['view', 'make', 'colour', 'body'])

  def test_own_photos_have_views_where_groups_are_alike(self):
    turns = ('a', 1), ('a', 2), ('b', 2), ('b', 1)
    self.assertEqual(self.kinds(*turns), ['group', 'view', 'colour'])
    self.assertEqual(self.kinds(*turns, ('b', 3)), ['group', 'colour'])
    self.assertEqual(self.kinds(('a', 1), ('b', 1)), ['colour'])
    self.assertEqual(self.kinds(('a', 1), ('a', 2)), ['group', 'colour'])
