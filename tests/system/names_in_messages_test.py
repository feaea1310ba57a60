"""Names of many files fit into a line."""

from absl.testing import absltest

from carvana_jax.system import names_in_messages


class NamesTest(absltest.TestCase):
  def test_some(self):
    self.assertEqual(names_in_messages.some(iter('ba')), 'a, b')
    self.assertEqual(names_in_messages.some('cab'), 'a, b, c')
    self.assertEqual(names_in_messages.some('ecdab'), 'a, b, c … and 2 more')

  def test_printable(self):
    for name in ('a b.jpg', '車.jpg', 'x' * 80):
      self.assertEqual(names_in_messages.printable(name), name)
    self.assertEqual(names_in_messages.printable('a\nb'), r"'a\nb'")
    self.assertEqual(names_in_messages.printable('\udcff'), r"'\udcff'")
    cut = f'{"x" * 40}…{"y" * 40}'
    self.assertEqual(names_in_messages.printable('x' * 90 + 'y' * 90), cut)

  def test_named(self):
    named = names_in_messages.named
    self.assertEqual(named(['a.jpg']), '1 photo (a.jpg)')
    self.assertEqual(named('abc', 'file'), '3 files (a, b, c)')
    self.assertEqual(named('abcde'), '5 photos (a, b, c … and 2 more)')


if __name__ == '__main__':
  absltest.main()
