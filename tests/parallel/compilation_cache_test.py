"""Compiled programs are found again, and nothing fails for want of them."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
from unittest import mock

import chex
import jax

from carvana_jax.parallel import compilation_cache
from tests.helpers.commands import ROOT

PROGRAM = """
import jax
from carvana_jax.parallel import compilation_cache
compilation_cache.use()
seen = []
jax.monitoring.register_event_listener(lambda name, **_: seen.append(name))
print(jax.jit(lambda x: 2 * x + 1)(jax.numpy.arange(3)))
print('read', sum(name.endswith('cache_hits') for name in seen))
print('compiled', sum(name.endswith('cache_misses') for name in seen))
"""


class CacheTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

  def start(self, **changed):
    """Programs read and compiled by a user's process, and what it warns of."""
    kept = {x: y for x, y in os.environ.items() if 'CACHE' not in x}
    settings = kept | {'XDG_CACHE_HOME': str(self.root)} | changed
    done = subprocess.run(
      [sys.executable, '-c', PROGRAM],
      cwd=ROOT, env=settings, capture_output=True, text=True, check=True,
    )  # fmt: skip
    self.assertStartsWith(done.stdout, '[1 3 5]\n')
    read, compiled = map(int, re.findall(r' (\d+)$', done.stdout, re.M))
    return read, compiled, done.stderr

  def entries(self):
    return sorted(self.root.rglob('*-cache'))

  def test_programs_are_kept_for_later_processes(self):
    read, compiled, _ = self.start()
    self.assertEqual(read, 0)
    self.assertGreater(compiled, 0)
    self.assertLen(self.entries(), compiled)
    # With what would give other bits, but has the same key in JAX.
    (folder,) = {path.parent for path in self.entries()}
    self.assertEqual(folder.parent, self.root / 'carvana_jax')
    self.assertEqual(self.start(), (compiled, 0, ''))
    one = {'XLA_FLAGS': '--xla_force_host_platform_device_count=1'}
    self.assertEqual(self.start(**one)[0], 0)
    self.assertEqual(self.start(NPROC='7')[0], 0)

  def test_a_gpu_s_measurements_are_kept_whatever_the_cores(self):
    # JAX hands XLA a folder for them beside the programs.
    self.assertEqual(
      jax.config.jax_persistent_cache_enable_xla_caches,
      'xla_gpu_per_fusion_autotune_cache_dir',
    )
    names = set()
    with mock.patch.object(jax, 'default_backend', lambda: 'gpu'):
      for cores in '4', '16':
        with mock.patch.dict(os.environ, NPROC=cores):
          names.add(compilation_cache._variant())
    self.assertEqual(names, {f'jax-{jax.__version__}'})

  def test_programs_left_in_part_are_compiled_again(self):
    _, compiled, _ = self.start()
    for path in self.entries():
      path.write_bytes(path.read_bytes()[:-1])
    self.entries()[0].write_bytes(b'')
    self.assertEqual(self.start(), (0, compiled, ''))
    self.assertEqual(self.start(), (compiled, 0, ''))

  def test_a_folder_that_cannot_be_made_changes_nothing_else(self):
    file = self.root / 'file'
    file.touch()
    for changed in (
      {'XDG_CACHE_HOME': str(file)},
      {'XDG_CACHE_HOME': '~nobody_of_this_name'},
      {'JAX_COMPILATION_CACHE_DIR': str(file)},
    ):
      self.assertEqual(self.start(**changed), (0, 0, ''))
    self.assertEmpty(self.entries())

  def test_another_folder_and_none(self):
    other = self.root / 'other'
    self.start(JAX_COMPILATION_CACHE_DIR=str(other))
    self.assertEqual({path.parents[1] for path in self.entries()}, {other})
    count = len(self.entries())
    self.assertEqual(
      self.start(JAX_ENABLE_COMPILATION_CACHE='false'), (0, 0, '')
    )
    self.assertLen(self.entries(), count)

  def test_of_too_many_programs_those_used_last_are_kept(self):
    folder = self.root / 'jax-1'
    folder.mkdir()
    for number, used in enumerate((30, 10, 40, 20)):
      path = folder / f'{number}-cache'
      path.write_bytes(bytes(100))
      os.utime(path, (used, used))
    (self.root / 'of another-cache').write_bytes(bytes(100))
    with mock.patch.object(compilation_cache, '_LARGEST', 250):
      compilation_cache._tidy(self.root, self.root / 'jax-2')
    self.assertEqual(
      [path.name for path in self.entries()],
      ['0-cache', '2-cache', 'of another-cache'],
    )
