"""Which photos are scored, and what a network is given of them."""

import tempfile
import types
from unittest import mock

import chex
from absl.testing import parameterized
from ml_collections import ConfigDict

from carvana_jax.datasets import folds, reading
from carvana_jax.datasets.chosen_splits import Splits
from carvana_jax.evaluation import scoring
from carvana_jax.inference import predictor
from tests.helpers import folded


class MapPredictionsTest(chex.TestCase):
  @parameterized.parameters((True, 2), (False, 1))
  def test_photos_of_a_split_by_photo(self, multiview, views):
    folder = self.enterContext(tempfile.TemporaryDirectory())
    builder = folded.prepare(folder)
    part = folds.select(
      builder, 'train', Splits(shares=(12, 4, 4), by='photo', seed=1)
    )
    data = ConfigDict({'multiview': multiview})
    run = types.SimpleNamespace(
      config=types.SimpleNamespace(data=data),
      fine=None,
      compares_views=multiview,
    )

    def inputs(cars, *_, **__):
      for car in cars:
        yield from ((position, car) for position in car)

    with (
      mock.patch.object(predictor, 'inputs', inputs),
      mock.patch.object(predictor, 'predictions', lambda _, truths: truths),
    ):
      found = scoring.map_predictions(
        lambda truth, car: [truth.label['filename'], len(car)],
        [run], builder, part, 'test',
      )  # fmt: skip
    rows = reading.undecoded_examples(builder, part.split)
    wanted = [rows[int(x)]['filename'].decode() for x in part.positions]
    self.assertLen(wanted, 12)
    self.assertCountEqual(found, [[name, views] for name in wanted])
