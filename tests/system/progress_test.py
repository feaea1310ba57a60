"""Bars are drawn on a terminal, by one process, and leave nothing there."""

import contextlib
import io
from unittest import mock

import chex

from carvana_jax.system import progress


class BarTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.enterContext(mock.patch.object(progress, '_is_hidden', False))

  def drawn(self, is_terminal):
    """What a bar over three items writes to the error stream."""
    stream = io.StringIO()
    stream.isatty = lambda: is_terminal
    with contextlib.redirect_stderr(stream):
      seen = list(progress.bar('abc', total=4, unit='letter', initial=1))
    self.assertEqual(seen, ['a', 'b', 'c'])
    return stream.getvalue()

  def test_drawn_on_a_terminal_and_removed(self):
    text = self.drawn(True)
    self.assertIn('1/4', text)
    self.assertEqual(text.rsplit('\r', 2)[1].strip(), '')
    self.assertNotIn('\n', text)

  def test_no_terminal(self):
    self.assertEqual(self.drawn(False), '')

  def test_hidden(self):
    progress.hide_bars()
    self.assertEqual(self.drawn(True), '')
