"""What an evaluation of the validation split says about others."""

import json
import pathlib
import tempfile

import chex

from carvana_jax.inference import tuning
from configs import default


class TuningTest(chex.TestCase):
  def test_is_found_only_for_the_same_network_and_images(self):
    root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    config = default.get_config().eval
    here = {'step': 7, 'flip': False}
    self.assertIsNone(tuning.settings(root, config, here))
    best = {'best_threshold': 0.4, 'best_cleaning': 'largest'}
    (root / 'summary.json').write_text(json.dumps(here | best))
    found = tuning.settings(root, config, here)
    self.assertEqual(found.threshold, 0.4)
    self.assertEqual((found.fill_holes, found.keep_largest), (False, True))
    self.assertEqual(found.batch_size, config.batch_size)
    # The config itself is as it was.
    self.assertEqual((config.threshold, config.keep_largest), (0.5, False))
    for other in ({'step': 8}, {'flip': True}):
      self.assertIsNone(tuning.settings(root, config, here | other))
