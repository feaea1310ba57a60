"""Two host devices for every test, so that none passes on one device only."""

import tempfile

import chex
import jax

chex.set_n_cpu_devices(2)

# Many tests compile the same small programs.
jax.config.update('jax_compilation_cache_dir', tempfile.mkdtemp())
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
