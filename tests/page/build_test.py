"""The page as text: complete, and without what could break out of it."""

import base64
import dataclasses
import gzip
import json
import re

from absl.testing import absltest

from benchmarks import bright_network
from carvana_jax.page import build

ABOUT = dataclasses.replace(
  bright_network.FACTS,
  fit='pad',
  cleaning='holes',
  run='</script><b>',
  step=3,
  commit='0123456789abcdef',
)


class BuildTest(absltest.TestCase):
  def element(self, page, name):
    return re.search(f'<script[^>]* id="{name}">(.*?)</script>', page, re.S)[1]

  def test_everything_is_inside(self):
    program = build.Runtime(b'script', b'binary', 'Runner 1', '<to all>')
    page = build.page(ABOUT, b'network', program)
    for name in ('network', 'script', 'binary'):
      data = base64.b64decode(self.element(page, name))
      self.assertEqual(gzip.decompress(data).decode(), name)
    self.assertEqual(
      json.loads(self.element(page, 'facts')),
      {'size': [8, 12], 'fit': 'pad', 'level': 128, 'cleaning': 'holes',
       'object': 'car'},
    )  # fmt: skip
    self.assertNotRegex(page, r'\{\{|(src|href)="(?!data:)[^"]')
    self.assertNotIn('<b>', page)
    self.assertIn('the run &lt;/script&gt;&lt;b&gt;, step 3, by commit', page)
    self.assertIn("connect-src 'none'", page)
    self.assertIn('<title>Cut out cars</title>', page)
    self.assertIn(
      'Runner 1 runs the network. Its licence:</p>\n<pre>&lt;to all', page
    )
    self.assertEqual(build.page(ABOUT, b'network', program), page)

  def test_of_a_server(self):
    page = build.page(ABOUT)
    self.assertLess(len(page), 120_000)
    self.assertIn("connect-src 'self'", page)
    self.assertIn('Photos are sent to the server', page)
    self.assertNotIn('licence', page)
    self.assertIsNone(re.search('id="(network|script|binary)"', page))

  def test_no_script_can_end_its_element(self):
    for page in (build.script(), build.script(build._WINDOW)):
      self.assertNotRegex(page.lower(), '</script|<!--')

  def test_every_script_is_joined(self):
    folder = build._FOLDER
    there = {
      path.relative_to(folder).with_suffix('').as_posix()
      for path in folder.rglob('*.js')
    }
    self.assertEqual(there, {*build.WORKER, *build._WINDOW})


if __name__ == '__main__':
  absltest.main()
