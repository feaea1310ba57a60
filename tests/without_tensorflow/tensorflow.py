"""Stands in for TensorFlow where tests run commands: none may import it.

No `ImportError`, which a library could catch to do without: where TensorFlow
is installed, such a library would load it.
"""

raise SystemExit('TensorFlow was imported')
