"""Photos of any size in a graph of ONNX: what `predict` does to them."""

import dataclasses

import numpy as np
from absl.testing import absltest, parameterized
from onnx import TensorProto, helper

from benchmarks import bright_network
from carvana_jax.datasets import fitting
from carvana_jax.exporting import check, onnx_forms
from carvana_jax.exporting.onnx_graph import Graph
from carvana_jax.inference.prediction import Input
from carvana_jax.portable import facts as facts_of_file

SIZE = (32, 48)


def facts_of(fit='stretch'):
  return dataclasses.replace(
    bright_network.FACTS, form='photo', size=SIZE, fit=fit
  )


def reddish():
  """A network whose logits are red's level above 128, by 16."""
  graph = Graph({})
  number = lambda value: graph.constant(value, np.float32)
  x = graph.op('Cast', 'image', to=TensorProto.FLOAT)
  x = graph.op('Gather', x, graph.constant(0), axis=3)
  x = graph.op('Sub', x, number(128))
  graph.op('Div', x, number(16), name='logits')
  graph.op('Sigmoid', 'logits', name='probability')
  info = helper.make_tensor_value_info
  return graph.model(
    [info('image', TensorProto.UINT8, ['batch', *SIZE, 3])],
    [info(x, TensorProto.FLOAT, None) for x in ('probability', 'logits')],
    {},
  )


def predicted(photo, fit='stretch'):
  """The probabilities as `predict` makes them, before they become levels."""
  part = fitting.place(photo.shape[:2], SIZE, fit)
  picture = fitting.reduce(photo, SIZE, part)
  logits = (picture[..., 0].astype(np.float32) - 128) / 16
  enlarged = Input(picture, None, part).enlarge(logits, photo.shape[:2])
  return 1 / (1 + np.exp(-enlarged))


def noise(size):
  return np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)


class FormsTest(parameterized.TestCase):
  # Of which size, fitted how, and how exact: OpenCV rounds halves up, rounds
  # once more where one axis grows, and interpolates with eleven bits.
  @parameterized.parameters(
    ((70, 110), 'stretch', 1e-4),
    ((35, 130), 'stretch', 1e-4),
    (SIZE, 'stretch', 1e-4),
    ((64, 96), 'stretch', 0.02),
    ((20, 30), 'stretch', 0.02),
    ((70, 30), 'stretch', 0.02),
    ((70, 110), 'pad', 1e-4),  # of nearly the same shape
    ((70, 60), 'pad', 1e-4),
    ((50, 170), 'pad', 1e-4),
    ((1, 300), 'pad', 1e-4),
    ((16, 11), 'pad', 0.02),
  )
  def test_a_photo(self, size, fit, exact):
    model = onnx_forms.photo(reddish(), facts_of(fit))
    photo = noise(size)
    (actual,) = check.session_of(model).run(None, {'image': photo})
    self.assertEqual((actual.dtype, actual.shape), (np.float32, size))
    np.testing.assert_allclose(actual, predicted(photo, fit), atol=exact)

  def test_areas_are_averaged(self):
    photo = np.zeros((320, 480, 3), np.uint8)
    photo[::10] = 255  # sampling would see all or nothing
    model = onnx_forms.photo(reddish(), facts_of())
    (actual,) = check.session_of(model).run(None, {'image': photo})
    expected = 1 / (1 + np.exp((128 - 26) / 16))  # 25.5 rounded to even
    np.testing.assert_allclose(actual, expected, rtol=1e-3)

  def test_rembg(self):
    model = onnx_forms.rembg(reddish(), facts_of())
    photo = noise((70, 110))
    # As rembg's session dis_custom normalises: mean 0.5, deviation 1.
    given = (photo / 255 - 0.5).transpose(2, 0, 1)[None].astype(np.float32)
    session = check.session_of(model)
    (actual,) = session.run(None, {session.get_inputs()[0].name: given})
    self.assertEqual(actual.shape, (1, 1, 70, 110))
    np.testing.assert_allclose(actual[0, 0], predicted(photo), atol=1e-4)
    np.testing.assert_array_equal(
      onnx_forms.ask(session, 'rembg', photo), actual[0, 0]
    )

  def test_rembg_sees_a_dark_photo_brightened(self):
    photo = np.full((2048, 512, 3), 51, np.uint8)
    seen = onnx_forms.as_rembg(photo)
    self.assertEqual(seen.shape, (1024, 1024, 3))
    self.assertTrue((seen == 255).all())

  def test_what_the_file_says(self):
    for form in ('photo', 'rembg'):
      model = onnx_forms.of(form, reddish(), facts_of('pad'))
      entries = check.session_of(model).get_modelmeta().custom_metadata_map
      self.assertEqual(facts_of_file.read(entries, 'a.onnx'), facts_of('pad'))


if __name__ == '__main__':
  absltest.main()
