"""What an evaluation does with results that are there already."""

import json
import pathlib
import tempfile

import chex

from carvana_jax import evaluate


class MakeRoomTest(chex.TestCase):
  def test_an_evaluation_of_other_images_is_kept(self):
    root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    target = root / 'carvana-all'
    for origin in ('first', 'second', 'second', 'third'):
      evaluate.make_room(target, origin)
      target.mkdir(exist_ok=True)
      (target / 'summary.json').write_text(json.dumps({'origin': origin}))
    origins = {
      path.name: json.loads((path / 'summary.json').read_text())['origin']
      for path in root.iterdir()
    }
    self.assertEqual(
      origins,
      {
        'carvana-all': 'third',
        'carvana-all.1': 'first',
        'carvana-all.2': 'second',
      },
    )
