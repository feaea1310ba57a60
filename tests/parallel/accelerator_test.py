"""What a header says of an accelerator, by patched devices."""

import os
import pathlib
import tempfile
from unittest import mock

import chex
import jax
from absl.testing import parameterized

from carvana_jax.parallel import accelerator, device_memory

OPEN_MODULE = (
  'NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  '
  'Release Build  (dvs-builder@U22)  Sun Jul 27 2025\n'
  'GCC version:  gcc version 11.4.0 (Ubuntu 11.4.0-1ubuntu1)\n'
)
OLD_MODULE = (
  'NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  '
  'Sat Aug 19 01:15:15 UTC 2023\n'
)
NO_PACKAGE = accelerator.importlib.metadata.PackageNotFoundError


class AcceleratorTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    folder = self.enterContext(tempfile.TemporaryDirectory())
    self.driver = pathlib.Path(folder) / 'version'
    self.patch(accelerator, '_DRIVER', self.driver)
    self.patch(device_memory, 'per_device', lambda: 63_850_000_000)
    self.on('gpu', 'PJRT C API\ncuda 12090')
    self.packages = {'nvidia-cudnn-cu12': '9.12.0.46'}
    self.patch(accelerator.importlib.metadata, 'version', self.version)

  def patch(self, module, name, value):
    self.enterContext(mock.patch.object(module, name, value))

  def on(self, platform, version):
    self.patch(jax, 'default_backend', lambda: platform)
    client = mock.Mock(platform_version=version)
    self.patch(accelerator.backend, 'get_backend', lambda: client)

  def version(self, name):
    if name not in self.packages:
      raise NO_PACKAGE(name)
    return self.packages[name]

  def test_a_cpu_has_nothing_to_tell(self):
    self.on('cpu', 'cpu')
    self.assertEqual(accelerator.facts(), {})

  @parameterized.parameters(
    (OPEN_MODULE, '580.65.06'), (OLD_MODULE, '535.104.05')
  )
  def test_versions_and_memory(self, text, driver):
    self.driver.write_text(text)
    facts = accelerator.facts()
    self.assertEqual(facts['driver'], f'{driver}, CUDA 12.9, cuDNN 9.12.0.46')
    self.assertEqual(facts['memory'], '63.9 GB of each device for JAX')

  @parameterized.parameters('', 'another kind of file')
  def test_what_is_unknown_is_left_out(self, text):
    if text:
      self.driver.write_text(text)
    self.packages = {}
    self.on('gpu', 'cuda 13000')
    self.patch(device_memory, 'per_device', lambda: None)
    facts = accelerator.facts()
    self.assertEqual(facts['driver'], 'CUDA 13.0')
    self.assertNotIn('memory', facts)

  def test_other_makers(self):
    self.on('gpu', 'PJRT C API\nrocm 60300')
    self.assertEqual(accelerator.facts()['driver'], 'PJRT C API rocm 60300')
    self.on('tpu', 'PJRT C API\nTFRT TPU v5 lite')
    self.assertEqual(list(accelerator.facts()), ['memory'])

  @parameterized.parameters(
    (None, 'TF32 in float32 convolutions'),
    ('tensorfloat32', 'TF32 in float32 convolutions'),
    ('highest', 'float32 (jax_default_matmul_precision=highest)'),
    ('float32', 'float32 (jax_default_matmul_precision=float32)'),
    ('BF16_BF16_F32_X3', 'jax_default_matmul_precision=BF16_BF16_F32_X3'),
  )
  def test_precision(self, value, text):
    with jax.default_matmul_precision(value):
      self.assertStartsWith(accelerator.facts()['precision'], text)

  @parameterized.parameters(
    ('--xla_gpu_deterministic_ops=true', 1),
    ('--xla_gpu_deterministic_ops', 1),
    ('--xla_a=1 --xla_gpu_exclude_nondeterministic_ops=1', 1),
    ('--xla_gpu_deterministic_ops=false', 0),
    ('--xla_gpu_autotune_level=4', 0),
    ('', 0),
  )
  def test_flags_that_leave_convolutions_untuned(self, flags, count):
    with mock.patch.dict(os.environ, XLA_FLAGS=flags):
      warnings = accelerator.warnings()
      self.assertLen(warnings, count)
      for warning in warnings:
        self.assertRegex(warning, r'^--xla_gpu_\w+ in XLA_FLAGS makes')
      self.on('cpu', 'cpu')
      self.assertEmpty(accelerator.warnings())
