"""TFDS builders: `carvana` (real photos) and `studio` (rendered ones)."""
