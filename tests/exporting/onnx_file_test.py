"""Files of ONNX: written only if they say what JAX says."""

import dataclasses
import pathlib
import tempfile
from unittest import mock

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
from absl.testing import absltest, parameterized
from onnx import numpy_helper

import carvana_jax
from carvana_jax import models
from carvana_jax.configs import debug
from carvana_jax.exporting import kinds, onnx_file, onnx_network, run_facts
from carvana_jax.exporting.options import Options
from carvana_jax.inference import networks, predictor
from carvana_jax.masks import from_logits
from carvana_jax.parallel import devices
from carvana_jax.portable import facts
from carvana_jax.system.errors import UserError
from carvana_jax.training import trained_run


def network_of(channels=3, size='32x48', **changes):
  """A network that was never trained."""
  config = debug.get_config()
  config.data.size = size
  config.model.update(levels=2, first_width=8, **changes)
  config.eval.update(flip=True, threshold=0.3, fill_holes=True)
  model = models.build(config.model)
  shapes = jax.eval_shape(
    lambda: model.init(
      jax.random.key(0), jnp.zeros((1, 8, 8, channels)), train=False
    )
  )
  rng = np.random.default_rng(0)

  def value(leaf):
    return rng.normal(0, 0.3, leaf.shape).astype(np.float32)

  variables = jax.tree.map(value, shapes)
  # So that the threshold, whose logit is -0.85, divides a photo.
  last = variables['params']['logits']
  last['kernel'] *= 20
  last['bias'][:] = 3
  variables['batch_stats'] = jax.tree.map(
    np.ones_like, variables['batch_stats']
  )
  return trained_run.Run(
    config, model, devices.replicate(variables), 7, 'studio/32x48/1.0.1'
  )


def networks_of(run):
  return networks.Networks([run], run.config.eval)


_model = onnx_network.model


def broken(run, arrays, about):
  """As `onnx_network.model`, with the weights of the first layer halved."""
  model = _model(run, arrays, about)
  (kernel,) = (
    x for x in model.graph.initializer if x.name.endswith('down0_conv0/kernel')
  )
  values = numpy_helper.to_array(kernel) / 2
  kernel.CopyFrom(numpy_helper.from_array(values, kernel.name))
  return model


class FilesTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.root = pathlib.Path(
      cls.enterClassContext(tempfile.TemporaryDirectory())
    )
    cls.photos = cls.root / 'photos'
    cls.photos.mkdir()
    for number in range(3):
      pixels = np.full((70, 110, 3), 40, np.uint8)
      pixels[20:50, 20 * number :][:, :50] = 180
      cv2.imwrite(str(cls.photos / f'{number}.png'), pixels)
    cls.nets = networks_of(network_of())

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.path = self.folder / 'a.onnx'

  def write(self, nets=None, **options):
    options = {'photos': str(self.photos), 'precision': 'float32'} | options
    options = Options('fast', **options)
    with mock.patch('builtins.print') as printed:
      kinds.write(nets or self.nets, self.path, options)
    return [call.args[0] for call in printed.call_args_list]

  def session(self):
    return onnxruntime.InferenceSession(self.path)

  def levels(self, nets):
    """The photos with what `predict` makes of each by itself."""
    read = lambda path: cv2.imread(str(path))[..., ::-1].copy()
    given = predictor.inputs(
      [[x] for x in sorted(self.photos.iterdir())], read, nets.data_configs,
      keep_photos=True,
    )  # fmt: skip
    for _, prediction in predictor.predictions(nets.runs, given):
      yield prediction.given.photo, prediction.levels()

  def masks(self):
    """The photos with the masks that `predict` makes of them, uncleaned."""
    for photo, levels in self.levels(self.nets):
      yield photo, levels >= from_logits.level_of(0.3)

  def test_a_photo_at_its_own_size(self):
    lines = self.write(form='photo')
    self.assertRegex(
      lines[0],
      r'^checked on 3 photos: logits differ by at most [1-9]e-0[5-9], masks in '
      r'\d of 23,100 pixels$',
    )
    session, shares = self.session(), []
    about = facts.read(session.get_modelmeta().custom_metadata_map, self.path)
    for photo, mask in self.masks():
      (probability,) = session.run(None, {'image': photo})
      wrong = (probability >= about.threshold) != mask
      self.assertLess(np.count_nonzero(wrong), 3)
      shares.append(mask.mean())
    self.assertBetween(np.mean(shares), 0.05, 0.95)

  def test_what_the_file_says_of_itself(self):
    self.write(form='rembg')
    session = self.session()
    about = facts.read(session.get_modelmeta().custom_metadata_map, self.path)
    self.assertEqual(about.network, self.nets.runs[0].digest())
    self.assertAlmostEqual(about.threshold, 0.3, delta=0.01)
    self.assertEqual(
      dataclasses.replace(about, network='', threshold=0.5, commit=''),
      facts.Facts(
        form='rembg', precision='float32', size=(32, 48), fit='stretch',
        inputs=facts.RGB, flip=True, threshold=0.5, cleaning='holes',
        object='car', network='', run='fast', step=7, commit='',
      ),
    )  # fmt: skip

  def test_a_broken_graph_is_not_written(self):
    with (
      mock.patch.object(onnx_network, 'model', broken),
      self.assertRaisesRegex(UserError, 'disagree .*logits of .*no file'),
    ):
      self.write()
    self.assertEmpty(list(self.folder.iterdir()))

  def test_a_broken_form_is_not_written(self):
    with (
      mock.patch('carvana_jax.exporting.onnx_forms.ask') as ask,
      self.assertRaisesRegex(UserError, 'disagree .*masks of .*no file'),
    ):
      ask.return_value = np.zeros((70, 110), np.float32)
      self.write(form='photo')
    self.assertEmpty(list(self.folder.iterdir()))

  def test_a_form_may_differ_in_some_pixels(self):
    masks = {x.tobytes(): mask for x, mask in self.masks()}

    def asked(wrong):
      def ask(session, form, pixels):
        mask = masks[pixels.tobytes()].copy()
        mask.flat[:wrong] ^= True
        return mask.astype(np.float32)

      return mock.patch('carvana_jax.exporting.onnx_forms.ask', ask)

    with asked(8):  # a Dice of about 0.999
      lines = self.write(form='photo')
    self.assertRegex(lines[0], 'masks in 24 of 23,100 pixels')
    self.path.unlink()
    with asked(9), self.assertRaisesRegex(UserError, r'a Dice of 0\.99'):
      self.write(form='photo')

  @parameterized.parameters('float16', 'int8')
  def test_fewer_bits(self, precision):
    self.write()
    photo = cv2.imread(str(self.photos / '1.png'))
    image = cv2.resize(photo, (48, 32))
    ask = lambda: self.session().run(['logits'], {'image': image[None]})[0]
    expected = ask()
    self.path.unlink()
    lines = self.write(precision=precision)
    self.assertRegex(lines[0], r"^checked on 3 photos: Dice with JAX's .*")
    difference = np.abs(ask() - expected).max()
    self.assertBetween(difference, 1e-7, 0.1 * np.abs(expected).max())
    model = onnx.load(self.path)
    kinds_of = {x.data_type for x in model.graph.initializer if len(x.dims) > 3}
    wanted = getattr(onnx.TensorProto, precision.upper())
    self.assertIn(wanted, kinds_of)

  def test_refusals(self):
    run = self.nets.runs[0]
    config = run.config.copy_and_resolve_references()
    config.data.multiview = True
    of_views = networks_of(dataclasses.replace(run, config=config))
    refused = lambda message: self.assertRaisesRegex(UserError, message)
    with refused('one run, and these are 2'):
      self.write(self.nets._replace(runs=[run, run]))
    with refused('--for=photo .* all views of a car.* choose --for=network'):
      self.write(of_views, form='photo')
    with refused('--for=rembg .* tiles along the border'):
      self.write(networks_of(dataclasses.replace(run, fine=run)), form='rembg')
    with refused('int8 needs photos.* --photos=FOLDER'):
      self.write(precision='int8', photos=None)
    self.assertEmpty(list(self.folder.iterdir()))

  def test_no_photos(self):
    lines = self.write(photos=None)
    self.assertRegex(lines[0], 'no photos are at hand')
    self.assertRegex(lines[1], 'checked on 4 made-up pictures: logits')

  def with_second(self, channels, size):
    fine = network_of(channels, size)
    fine.config.data.update(coarse='coarse', empty_studio=channels == 8)
    return networks_of(dataclasses.replace(self.nets.runs[0], fine=fine))

  @parameterized.parameters(4, 8)
  def test_a_second_network(self, channels):
    nets = self.with_second(channels, '32x32')
    lines = self.write(nets)
    self.assertRegex(lines[1], 'checked on [1-9] tiles of photos: logits')
    second = onnxruntime.InferenceSession(self.folder / 'a-fine.onnx')
    self.assertEqual(second.get_inputs()[0].shape, ['batch', 32, 32, 4])
    entries = second.get_modelmeta().custom_metadata_map
    self.assertEqual(facts.read(entries, 'a-fine.onnx').inputs, facts.TILE)
    # The library says of single photos what `predict` does.
    remover = carvana_jax.Remover(self.path)
    for photo, levels in self.levels(nets):
      np.testing.assert_allclose(remover(photo).levels, levels, atol=1)
    self.path.unlink()
    with self.assertRaisesRegex(UserError, 'a-fine.onnx exists'):
      self.write(nets)
    self.assertFalse(self.path.exists())

  def test_a_second_network_in_int8(self):
    nets = self.with_second(8, '80x16')
    fine = nets.runs[0].fine
    about = run_facts.of(fine, nets, Options('a', precision='int8'))
    # Photos are smaller than its tiles, so it is given noise.
    model = onnx_file.network_of(nets, fine, about, str(self.photos))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    self.assertEqual(session.get_inputs()[0].shape[-1], 4)

  def test_views_of_a_car(self):
    run = network_of(6)
    run.config.data.multiview = True
    lines = self.write(networks_of(run), photos=None)
    self.assertRegex(lines[1], 'checked on 4 made-up pictures: logits')
    entries = self.session().get_modelmeta().custom_metadata_map
    self.assertLen(facts.read(entries, self.path).inputs, 6)


if __name__ == '__main__':
  absltest.main()
