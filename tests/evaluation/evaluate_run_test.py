"""What an evaluation makes of its rows, and of results that are there."""

import json
import pathlib
import tempfile
import types

import chex
import numpy as np

from carvana_jax.configs import debug
from carvana_jax.datasets import chosen_splits, folds
from carvana_jax.evaluation import evaluate_run, split_facts
from carvana_jax.system.errors import UserError


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


class SplitsTest(chex.TestCase):
  """Of a run that has split its photos by shares."""

  def data_config(self):
    config = debug.get_config().data
    config.update(
      dataset='carvana', split_shares=(8, 1, 1), split_by='photo', first=90
    )
    return config

  def test_another_data_set_has_its_own(self):
    for dataset, splits in (
      ('studio', chosen_splits.STORED),
      ('carvana', chosen_splits.of(self.data_config())),
      (None, chosen_splits.of(self.data_config())),
    ):
      config = self.data_config()
      evaluate_run.choose_data(config, dataset, None, {})
      self.assertEqual(chosen_splits.of(config), splits)

  def test_other_photos_are_refused(self):
    config = self.data_config()
    run = types.SimpleNamespace(data='carvana-1/carvana/64x96/1.0.1')
    refuse = lambda splits, origin: split_facts.refuse_moved(
      run, splits, config, origin
    )
    chosen = chosen_splits.of(config)
    refuse(chosen, 'carvana-1/carvana/1280x1918/1.0.1')
    refuse(chosen_splits.STORED, 'carvana-2/carvana/64x96/1.0.1')
    with self.assertRaisesRegex(UserError, r'carvana-1 .*carvana-2 .*=all'):
      refuse(chosen, 'carvana-2/carvana/64x96/1.0.1')

  def test_are_told(self):
    config, part = self.data_config(), folds.Selection('train', np.arange(3))
    builder = types.SimpleNamespace(name='carvana')
    of = lambda splits, split, part=part: split_facts.facts(
      splits, split, part, builder
    )
    chosen = chosen_splits.of(config)
    self.assertEqual(of(chosen_splits.STORED, 'test'), {})
    self.assertEqual(of(chosen, 'all'), {})
    text = '8/1/1 by photo, seed 0, of the first 90 photos'
    for others, lines in (0, 1), (2, 2):
      facts = of(chosen, 'test', part._replace(others=np.arange(others)))
      self.assertEqual(chosen_splits.from_facts(facts['splits']), chosen)
      said = split_facts.lines({'dataset': 'carvana/1', **facts})
      self.assertEqual(said[0], f'split {text}')
      self.assertLen(said, lines)
      self.assertLess(max(map(len, said)), 81)


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
