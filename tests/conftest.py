"""Two host devices for every test, so that none passes on one device only."""

import chex

chex.set_n_cpu_devices(2)
