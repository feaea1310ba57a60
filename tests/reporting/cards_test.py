"""Which photos are predicted again for the cards."""

import types
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

from carvana_jax.configs import default
from carvana_jax.datasets import folds
from carvana_jax.inference import predictor
from carvana_jax.reporting import cards, scored_photos

# Two views of each of two cars.
EXAMPLES = [
  {'filename': f'{car}_{view}'.encode(), 'car_id': car.encode(), 'view': view}
  for car in 'ab'
  for view in (1, 2)
]


class CardsTest(parameterized.TestCase):
  @parameterized.parameters((True, [[2, 3]]), (False, [[3]]))
  def test_other_views_where_they_are_compared(self, compares, expected):
    run = types.SimpleNamespace(
      config=default.get_config(), fine=None, compares_views=compares
    )
    part = folds.Selection('test', np.arange(4))
    with (
      mock.patch.object(scored_photos, 'of', lambda _: (EXAMPLES, part)),
      mock.patch.object(predictor, 'inputs') as inputs,
      mock.patch.object(predictor, 'predictions', return_value=[]),
    ):
      cards._cards(run, {}, [{'filename': 'b_2', 'car_id': 'b'}])
    self.assertEqual(inputs.call_args.args[0], expected)


if __name__ == '__main__':
  absltest.main()
