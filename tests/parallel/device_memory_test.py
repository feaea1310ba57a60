"""Memory of devices that runs out, by errors as JAX raises them."""

from unittest import mock

import chex
import jax
from absl.testing import parameterized

from carvana_jax.parallel import device_memory
from carvana_jax.system.errors import UserError


class ExplainedTest(chex.TestCase):
  @parameterized.parameters(
    'RESOURCE_EXHAUSTED: Out of memory while trying to allocate 123 bytes.',
    'RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory in '
    'memory space hbm.\nUsed 20.1G of 15.7G hbm.',
    'INTERNAL: RET_CHECK failure: RESOURCE_EXHAUSTED: Out of memory',
  )
  def test_one_line_that_ends_with_the_remedy(self, text):
    limit = mock.patch.object(
      device_memory, 'per_device', lambda: 63_850_000_000
    )
    with (
      limit,
      self.assertRaises(UserError) as caught,
      device_memory.explained(lambda: 'with 16; try 8.'),
    ):
      raise jax.errors.JaxRuntimeError(text)
    self.assertEqual(
      str(caught.exception),
      'out of device memory on cpu (JAX may use 63.9 GB of each) with 16; try '
      '8.',
    )

  def test_where_the_size_is_not_known(self):
    self.assertIsNone(device_memory.per_device())  # a CPU's
    with (
      self.assertRaisesRegex(UserError, r'^out of device memory on cpu or\.$'),
      device_memory.explained(lambda: 'or.'),
    ):
      raise jax.errors.JaxRuntimeError('RESOURCE_EXHAUSTED: Out of memory')

  @parameterized.parameters(
    'INTERNAL: a kernel wants more shared memory than there is',
    'RESOURCE_EXHAUSTED: Received message larger than max (5 vs. 4)',
  )
  def test_other_errors_stay(self, text):
    with (
      self.assertRaisesRegex(jax.errors.JaxRuntimeError, text[:8]),
      device_memory.explained(mock.Mock(side_effect=AssertionError)),
    ):
      raise jax.errors.JaxRuntimeError(text)
