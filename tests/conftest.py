"""What all tests share: two devices, compiled programs, a folder, their order.

The process that the user starts sets the environment, before JAX is imported;
its workers and the commands that tests run inherit it.
"""

import os
import tempfile

from tests.helpers import commands

# The longest, so that no process works at one of them while the others have
# nothing left to do. Whoever first needs the debug run of `helpers/commands.py`
# makes it, others wait: so some that do not need it follow MainTest.
_FIRST = (
  'commands/main_test.py::MainTest',
  'training/steps_test.py::TrainStepTest',
  'benchmarks/gpu_test.py::RehearsalTest',
  'models/unet_test.py::UNetTest',
  'training/loop_test.py::EarlyStoppingTest',
  'training/hosts_test.py::HostsTest',
  'benchmarks/kill_test.py::ShortTest',
  'commands/main_test.py::GoingOnTest',
  'benchmarks/systems_test.py::SystemsTest',
  'training/steps_test.py::DevicesTest',
  'benchmarks/predict_test.py::CommandTest',
  'training/loop_test.py::FolderTest',
  'commands/main_test.py::FlagsTest',
  'models/keras_test.py::KerasTest',
)

_folder = None
if 'TESTS_FOLDER' not in os.environ:
  _folder = tempfile.TemporaryDirectory(
    prefix='carvana_jax_tests_', ignore_cleanup_errors=True
  )
  os.environ |= {
    'TESTS_FOLDER': _folder.name,
    # Two host devices, so that no test passes on one only.
    # `commands/main_test.py` runs commands with XLA's own flags, as users do.
    'XLA_FLAGS': '--xla_force_host_platform_device_count=2 '
    + commands.QUICK_TO_COMPILE,
    # Many tests and commands compile the same small programs. Where an entry
    # is not yet written in full, JAX warns and compiles.
    'JAX_COMPILATION_CACHE_DIR': f'{_folder.name}/compiled',
    'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
  }


def pytest_collection_modifyitems(items):
  rank = {f'tests/{name}': place for place, name in enumerate(_FIRST)}
  items.sort(
    key=lambda item: rank.get(item.nodeid.rpartition('::')[0], len(rank))
  )


def pytest_unconfigure():
  if _folder:
    _folder.cleanup()
