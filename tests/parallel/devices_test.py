"""How many devices a CPU becomes, and a step in several processes."""

import os
import socket
import subprocess
import sys
from unittest import mock

import chex
import jax
from absl.testing import parameterized

from carvana_jax.parallel import devices
from carvana_jax.system.errors import UserError
from tests.helpers.commands import ROOT


class UseAllCoresTest(chex.TestCase):
  @parameterized.parameters(
    (4, (), 4), (4, (16,), 4), (4, (6,), 3), (12, (16, 6), 2), (8, (7, 16), 1),
    (2, (0,), 2),
  )  # fmt: skip
  def test_as_many_as_share_all_batches(self, cores, batches, count):
    with (
      mock.patch.dict(os.environ, XLA_FLAGS=''),
      mock.patch('carvana_jax.system.threads.core_count', lambda: cores),
      mock.patch.object(jax.config, 'update') as update,
    ):
      devices.use_all_cores(*batches)
    update.assert_called_once_with('jax_num_cpu_devices', count)

  @parameterized.parameters(
    {'XLA_FLAGS': '--xla_force_host_platform_device_count=3'},
    {'XLA_FLAGS': '', 'JAX_NUM_CPU_DEVICES': '1'},
  )
  def test_a_choice_of_the_users_stays(self, **chosen):
    with (
      mock.patch.dict(os.environ, chosen),
      mock.patch.object(jax.config, 'update') as update,
    ):
      devices.use_all_cores()
    update.assert_not_called()


class PlatformTest(chex.TestCase):
  # Of tpu, and of cuda, where there is none.
  @parameterized.parameters(RuntimeError, AssertionError)
  def test_one_that_is_absent(self, kind):
    with (
      mock.patch.object(jax, 'devices', side_effect=kind),
      mock.patch.object(jax, 'config', mock.Mock(jax_platforms='cuda')),
      self.assertRaisesRegex(UserError, 'for JAX_PLATFORMS=cuda; unset'),
    ):
      devices.refuse_absent_platform()

  def test_an_error_that_nobody_asked_for(self):
    with (
      mock.patch.object(jax, 'devices', side_effect=RuntimeError),
      mock.patch.object(jax, 'config', mock.Mock(jax_platforms=None)),
      self.assertRaises(RuntimeError),
    ):
      devices.refuse_absent_platform()

  def test_what_is_there(self):
    devices.refuse_absent_platform()


class SeveralProcessesTest(chex.TestCase):
  def test_a_step_gives_the_bits_of_pmap(self):
    with socket.socket() as found:
      found.bind(('localhost', 0))
      port = found.getsockname()[1]
    words = [sys.executable, '-m', 'tests.helpers.step_of_processes', str(port)]
    started = [
      subprocess.Popen(
        [*words, '2', index], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
      )
      for index in ('0', '1')
    ]  # fmt: skip
    for process in started:
      self.addCleanup(process.wait)
      self.addCleanup(process.kill)
    for process in started:
      said, errors = process.communicate(timeout=120)
      self.assertEqual(process.returncode, 0, errors)
      self.assertEqual(said.splitlines()[-1], '6')
