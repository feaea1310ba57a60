"""Augmentation: image and mask move together, nothing shifts by itself."""

from unittest import mock

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from carvana_jax.configs import default
from carvana_jax.training import augment

SHAPE = (16, 12, 20)
IMAGE = np.random.default_rng(0).uniform(size=(*SHAPE, 3)).astype(np.float32)
MASK = IMAGE[..., 0]  # so that whatever moves one must move the other
PLACES = (
  'flip_left_right', 'flip_up_down', 'rotation', 'scale', 'stretch', 'shift',
)  # fmt: skip
COLOURS = (
  'brightness', 'contrast', 'saturation', 'hue', 'gray', 'repaint',
)  # fmt: skip


def only(**fields):
  """An augmentation with these fields alone."""
  config = default.get_config().augment
  config.flip_left_right = False
  config.update(fields)
  return config


def strength(name):
  return (
    True if name.startswith('flip') else 20.0 if name == 'rotation' else 0.3
  )


def run(config, key=0, image=IMAGE):
  call = jax.jit(lambda keys: augment.augment(keys, image, MASK, config))
  keys = jax.random.split(jax.random.key(key), len(IMAGE))
  return jax.tree.map(np.asarray, call(keys))


class AugmentTest(chex.TestCase):
  def test_stretch(self):
    """As much taller as narrower, so the area of a square stays."""
    square = np.zeros((256, 64, 64, 1), np.float32)
    square[:, 16:48, 16:48] = 1
    keys = jax.random.split(jax.random.key(0), len(square))
    call = jax.jit(
      lambda: augment.augment(
        keys, square.repeat(3, axis=-1), square[..., 0], only(stretch=0.3)
      )
    )
    mask = np.asarray(call()[1])
    # The sums of the middle column and row.
    height, width = mask[:, :, 32].sum(1), mask[:, 32].sum(1)
    np.testing.assert_allclose(height * width, 32 * 32, rtol=0.1)
    share = height / 32
    self.assertBetween(share.min(), 0.66, 0.78)
    self.assertBetween(share.max(), 1.22, 1.34)

  def test_off_changes_nothing(self):
    chex.assert_trees_all_equal(run(only()), (IMAGE, MASK))

  @parameterized.parameters(*PLACES)
  def test_image_and_mask_move_together(self, name):
    image, mask = run(only(**{name: strength(name)}))
    np.testing.assert_allclose(image[..., 0], mask, atol=1e-5)
    changed = np.any(mask != MASK, axis=(1, 2))
    self.assertGreater(changed.sum(), 2)

  @parameterized.parameters(*COLOURS)
  def test_colours_leave_the_mask(self, name):
    image, mask = run(only(**{name: strength(name)}))
    chex.assert_trees_all_equal(mask, MASK)
    self.assertGreater(np.abs(image - IMAGE).max(), 0.01)
    self.assertBetween(image.min(), 0, 1)
    self.assertBetween(image.max(), 0, 1)

  def test_repainting_leaves_what_is_no_car(self):
    mask = np.round(MASK)
    keys = jax.random.split(jax.random.key(0), len(MASK))
    image, _ = augment.augment(keys, IMAGE, mask, only(repaint=1.0))
    np.testing.assert_array_equal(image[mask == 0], IMAGE[mask == 0])
    # The same curve for all pixels of a car, another one for each car.
    changes = set()
    for one, before, car in zip(image, IMAGE, mask == 1, strict=True):
      values, sources = np.asarray(one)[car][:, 0], before[car][:, 0]
      self.assertTrue(np.all(np.diff(values[np.argsort(sources)]) >= 0))
      changes.add(round(float((values - sources).mean()), 4))
    self.assertLen(changes, len(MASK))

  def test_repainting_at_the_border_goes_by_the_share_of_car(self):
    half = np.full_like(MASK, 0.5)
    keys = jax.random.split(jax.random.key(0), len(MASK))
    change = lambda mask: (
      augment.augment(keys, IMAGE, mask, only(repaint=1.0))[0] - IMAGE
    )
    chex.assert_trees_all_close(
      change(half), change(np.ones_like(MASK)) / 2, atol=1e-6
    )

  def test_more_channels_move_along_but_keep_their_values(self):
    config = only(flip_left_right=True, brightness=0.3)
    six = np.concatenate([IMAGE, IMAGE], axis=-1)
    keys = jax.random.split(jax.random.key(0), len(MASK))
    image, mask = augment.augment(keys, six, MASK, config)
    chex.assert_shape(image, six.shape)
    chex.assert_trees_all_close(image[..., 3], mask)
    self.assertTrue(np.any(mask != MASK))
    self.assertTrue(np.any(image[..., :3] != image[..., 3:]))

  def test_repainting_changes_the_difference_from_the_studio_as_much(self):
    studio = IMAGE[:, ::-1]
    views = np.zeros((*SHAPE, 1), np.float32)
    views[:, 4:] = 0.2
    difference = np.clip((IMAGE - studio) / 2 + 0.5, 1 / 255, 1)
    difference = np.where(views > 0, difference, 0)
    eight = np.concatenate([IMAGE, MASK[..., None], difference, views], -1)
    mask = np.ones_like(MASK)
    mask[:, :, 10:] = 0
    keys = jax.random.split(jax.random.key(0), len(eight))
    image, _ = augment.augment(keys, eight, mask, only(repaint=1.0))
    change = np.asarray(image - eight)
    self.assertGreater(np.abs(change[:, :, :10, :3]).max(), 0.2)
    self.assertFalse(change[:, :, 10:].any())
    self.assertFalse(change[:, :4, :, 3:].any())
    self.assertFalse(change[..., [3, 7]].any())
    expected = np.clip(eight[..., 4:7] + change[..., :3], 1 / 255, 1)
    np.testing.assert_allclose(
      image[:, 4:, ..., 4:7], expected[:, 4:], atol=1e-6
    )

  def test_the_studio_is_hidden_from_whole_examples(self):
    small = np.ones((200, 1, 2, 8), np.float32)
    eight = small * np.linspace(0.1, 0.9, 8, dtype=np.float32)
    keys = jax.random.split(jax.random.key(0), len(eight))
    image, _ = augment.augment(
      keys, eight, eight[..., 0], only(hide_studio=0.3)
    )
    image = np.asarray(image)
    np.testing.assert_array_equal(image[..., :4], eight[..., :4])
    shown = image[..., 4:].any((1, 2, 3))
    np.testing.assert_array_equal(image[shown, ..., 4:], eight[shown, ..., 4:])
    self.assertBetween(shown.sum(), 120, 160)

  def test_brightness_is_added_as_it_is_where_nothing_is_clipped(self):
    white = np.ones_like(IMAGE)
    config = only(brightness=0.1)
    self.assertEqual(run(config, image=white)[0].max(), 1)
    config.clip = False
    image, _ = run(config, image=white)
    self.assertGreater(image.max(), 1.05)
    # One number for all pixels and channels of an image.
    added = image - white
    chex.assert_trees_all_close(
      added, np.broadcast_to(added[:, :1, :1, :1], added.shape), atol=1e-6
    )

  @parameterized.parameters(*PLACES, *COLOURS)
  def test_keys_reproduce_and_examples_differ(self, name):
    config = only(**{name: strength(name)})
    chex.assert_trees_all_equal(run(config), run(config))
    first, second = run(config)[0], run(config, key=1)[0]
    self.assertGreater(np.abs(first - second).max(), 0.01)
    # Flips and gray are yes or no; all else differs from image to image.
    change = np.abs(first - IMAGE).mean((1, 2, 3))
    self.assertGreater(len(np.unique(change.round(6))), 1)

  @parameterized.parameters(
    ('flip_left_right', (slice(None), slice(None, None, -1))),
    ('flip_up_down', (slice(None, None, -1),)),
  )
  def test_half_of_the_examples_are_flipped(self, name, reverse):
    image, mask = run(only(**{name: True}))
    flipped = 0
    for i in range(SHAPE[0]):
      if np.array_equal(mask[i], MASK[i]):
        continue
      flipped += 1
      np.testing.assert_array_equal(image[i], IMAGE[i][reverse])
    self.assertBetween(flipped, 3, 13)


class WarpTest(chex.TestCase):
  def warp(
    self, angle=0.0, scales=(1.0, 1.0), shift=(0.0, 0.0), image=IMAGE[0]
  ):
    moved = augment.warp(image, angle, jnp.array(scales), jnp.array(shift))
    return np.asarray(moved)

  def test_identity_shifts_nothing(self):
    np.testing.assert_allclose(self.warp(), IMAGE[0], atol=1e-5)

  def test_half_a_turn_is_both_flips(self):
    np.testing.assert_allclose(
      self.warp(np.pi), IMAGE[0][::-1, ::-1], atol=1e-4
    )

  def test_a_quarter_turn_is_counter_clockwise(self):
    square = IMAGE[0][:, :12]
    np.testing.assert_allclose(
      self.warp(np.pi / 2, image=square), np.rot90(square), atol=1e-4
    )

  def test_shift_by_whole_pixels_mirrors_the_edge(self):
    shifted = self.warp(shift=(2 / 12, -3 / 20))  # 2 down, 3 left
    np.testing.assert_allclose(shifted[2:, :-3], IMAGE[0][:-2, 3:], atol=1e-4)
    np.testing.assert_allclose(shifted[1, :-3], IMAGE[0][0, 3:], atol=1e-4)
    np.testing.assert_allclose(shifted[0, :-3], IMAGE[0][1, 3:], atol=1e-4)

  def test_scale_keeps_the_centre(self):
    ramp = np.linspace(-1, 1, 21)[None, :, None] * np.ones((21, 1, 1))
    larger = self.warp(scales=(1.0, 2.0), image=ramp.astype(np.float32))
    np.testing.assert_allclose(larger, ramp / 2, atol=1e-5)
    taller = self.warp(scales=(2.0, 1.0), image=ramp.astype(np.float32))
    np.testing.assert_allclose(taller, ramp, atol=1e-5)


class WarpUprightTest(parameterized.TestCase):
  @parameterized.parameters(
    ((1.0, 1.0), (0.0, 0.0)),
    ((1.1, 0.9), (0.05, -0.05)),
    ((1.9, 0.1), (0.3, -0.7)),
    ((0.1, 1.0), (1.0, -1.0)),
  )
  def test_is_warp_without_rotation(self, scales, shift):
    for shape in ((12, 20), (7, 13), (1, 3)):
      image = IMAGE[0, : shape[0], : shape[1]]
      args = image, jnp.array(scales), jnp.array(shift)
      moved = augment.warp_upright(*args)
      expected = augment.warp(args[0], 0.0, *args[1:])
      np.testing.assert_allclose(moved, expected, atol=1e-5)

  @parameterized.parameters(
    ('cpu', 0.0, True), ('gpu', 0.0, False), ('gpu', 5.0, True)
  )
  def test_accelerators_gather_pixels_only_to_rotate(
    self, backend, rotation, gathers
  ):
    config = only(scale=0.1, rotation=rotation)
    keys = jax.random.split(jax.random.key(0), len(IMAGE))
    with mock.patch.object(jax, 'default_backend', lambda: backend):
      program = jax.make_jaxpr(
        lambda keys: augment.augment(keys, IMAGE, MASK, config)
      )(keys)
    self.assertEqual(' gather[' in str(program), gathers)
