"""The rules of what would come next, on made-up evaluations."""

import chex
from absl.testing import parameterized

from carvana_jax.configs import debug
from carvana_jax.evaluation import results
from carvana_jax.reporting import next_steps

_BANDS = (('0', '2'), ('2', '4'), ('4', '8'), ('8', '16'), ('16', '32'),
          ('32', '64'), ('64', ''))  # fmt: skip


def evaluation(gains=(0.01, 0.01, 0, 0, 0, 0, 0), far=(), groups=(), **summary):
  """An evaluation of a mean Dice of 0.96.

  Args:
    gains: Dice to gain in the bands.
    far: wrong pixels far from the border of the images, two a car.
    groups: (by, group, cars, mean Dice).
    summary: other values of its summary.
  """
  errors = [
    {'over': over, 'up_to': up_to, 'missed': '30', 'added': '10',
     'share': '0.1', 'dice_gain': str(gain)}
    for (over, up_to), gain in zip(_BANDS, gains, strict=True)
  ]  # fmt: skip
  images = [
    {'car_id': f'car{index // 2}', 'colour': 'red', 'make': 'Kia',
     'model': 'Soul', 'wrong_far': str(count)}
    for index, count in enumerate(far)
  ]  # fmt: skip
  names = ('by', 'group', 'cars', 'dice_mean')
  whole = {
    'split': 'test', 'step': 90, 'origin': 'here', 'dice_mean': 0.96,
    'ceiling_soft_mean': 0.99, 'size': '128x192', 'network_size': '32x48',
    'flip': True, 'tuned_dice_mean': 0.96,
  }  # fmt: skip
  return results.Evaluation(
    'studio-test',
    whole | summary,
    images,
    [dict(zip(names, map(str, group), strict=True)) for group in groups],
    errors,
  )


def said(found, others=(), metrics=(), data=None, **augment):
  config = debug.get_config()
  config.augment.update(augment)
  config.data.update(data or {})
  sentences = next_steps.sentences(found, others, metrics, config)
  return '\n'.join(sentences).replace('\N{NO-BREAK SPACE}', ' ')


class SentencesTest(chex.TestCase):
  def test_nothing_without_counted_errors(self):
    found = evaluation()._replace(errors=[])
    self.assertEqual(said(found), '')

  def test_perfect_masks(self):
    self.assertIn('Every mask is perfect', said(evaluation(dice_mean=1.0)))

  def test_where_dice_is_lost(self):
    text = said(evaluation((0.01, 0.002, 0.003, 0.004, 0.005, 0.006, 0.007)))
    self.assertIn(
      'Dice lacks 0.04000 of 1. With all pixels right within 4 pixels of the '
      'border it would gain 0.01200, between 4 and 16 pixels 0.00700, beyond '
      '0.01800.',
      text,
    )

  @parameterized.parameters('32x48', '64x96')
  def test_a_second_network_comes_first(self, network_size):
    found = {'ceiling_soft_mean': 0.981, 'network_size': network_size}
    text = said(evaluation(**found))
    self.assertIn('Next: a second network along the border (carvana', text)
    text = said(evaluation(**found, fine_step=7))
    self.assertIn('with a second network along it. Next: longer', text)
    self.assertNotIn('refine', text)

  def test_views_that_are_compared_can_have_no_second_one(self):
    text = said(evaluation(ceiling_soft_mean=0.981), data={'multiview': True})
    self.assertIn('Next: a larger network', text)
    self.assertNotIn('refine', text)

  @parameterized.parameters(
    (
      0.976,
      'the size explains 60 % of what is lacking. Next: a second network along '
      'the border (carvana_jax.refine), then a larger config.',
    ),
    (0.981, '100 % of the loss is within 4 pixels of the border, though'),
  )
  def test_the_size_is_the_limit_or_the_border(self, ceiling, words):
    text = said(evaluation(ceiling_soft_mean=ceiling))
    self.assertIn(words, text)
    self.assertIn(f'perfect masks of 32x48 would have {ceiling:.5f}', text)

  def test_near_is_less_than_a_pixel_of_the_network(self):
    gains = (0.012, 0, 0, 0.008, 0, 0, 0)
    text = said(evaluation(gains, size='144x216', network_size='32x48'))
    self.assertIn(
      '60 % of the loss is within 4 pixels of the border, and a pixel of the '
      'network is 4.5 of them wide. Next: a second network along the border '
      '(carvana_jax.refine), then a larger config.data.size',
      text,
    )

  def test_the_size_is_not_what_matters(self):
    text = said(evaluation((0.01, 0, 0.02, 0, 0, 0, 0)))
    self.assertIn('would not help much', text)
    self.assertIn('the size explains 25 % of what is lacking', text)

  def test_far_errors_of_one_car(self):
    far = (900, 700, *[10] * 28)
    text = said(evaluation((0.01, 0, 0, 0, 0.01, 0, 0), far))
    self.assertIn('50 % of the loss is beyond 16 pixels', text)
    self.assertIn('75 % of those pixels are missed car', text)
    # 1880 in all, so the first two are needed for half of them.
    self.assertIn('Half of them are in 2 of 30 images, and 85 % in those of '
                  'one car (car0, red Kia Soul)', text)  # fmt: skip
    self.assertIn('changes of colour (config.augment, where all are off)', text)

  def test_colours_that_are_changed_already(self):
    found = evaluation((0.01, 0, 0, 0, 0.01, 0, 0), (900, *[10] * 29))
    self.assertIn('stronger changes of colour (config.augment).',
                  said(found, hue=0.1))  # fmt: skip

  def test_far_errors_everywhere(self):
    text = said(evaluation((0.01, 0, 0, 0, 0.01, 0, 0), [100] * 30))
    self.assertIn('half of them are in 15 of 30 images', text)
    self.assertIn('average several networks', text)

  def test_far_errors_that_cost_little(self):
    text = said(evaluation((0.01, 0.01, 0, 0, 0.009, 0, 0), [100] * 30))
    self.assertNotIn('beyond 16 pixels, where', text)

  def test_tuning(self):
    gains = lambda value: said(evaluation(tuned_dice_mean=value))
    self.assertIn('+0.00100 Dice; use --tuned.', gains(0.961))
    self.assertIn('+0.00010 Dice; not worth it here.', gains(0.9601))
    self.assertIn('-0.00100 Dice; not worth it here.', gains(0.959))
    self.assertIn('Threshold and cleaning are untried', gains(None))
    validation = evaluation(tuned_dice_mean=None, split='validation')
    self.assertNotIn('Threshold', said(validation))

  def test_flips(self):
    found = evaluation(flip=False)
    self.assertIn('evaluate with --flip', said(found))
    better = evaluation(dice_mean=0.962)
    self.assertIn('+0.00200 Dice; set config.eval.flip in the next run.',
                  said(found, [found, better]))  # fmt: skip
    for other in ('network', 'step', 'origin', 'split', 'fine_step'):
      self.assertIn('untried', said(found, [evaluation(**{other: 'other'})]))
    self.assertNotIn('mirrored', said(evaluation(flip=True)))

  def test_flips_of_an_older_version(self):
    origin = 'carvana-0123abcd-4567cdef/x'
    found = evaluation(flip=False, origin=origin)
    for other, words in (('d', 'in the next run'), ('e', 'with --flip')):
      before = evaluation(dice_mean=0.962, origin=f'carvana-0123abc{other}/x')
      self.assertIn(words, said(found, [before], data={'data_dir': '/none'}))

  @parameterized.parameters(
    (0.12, 'Overfitting: the loss is 0.0800 on the training cars and 0.1200 on '
           'those of validation, 1.50 times as much'),
    (0.099, 'No overfitting'),
  )  # fmt: skip
  def test_overfitting(self, validation, words):
    scored = {'step': 90, 'train/loss': 0.08, 'validation/loss': validation}
    other = {'step': 99, 'train/loss': 0.01, 'validation/loss': 0.09}
    self.assertIn(words, said(evaluation(), metrics=[scored, other]))

  def test_overfitting_is_not_told_without_the_losses(self):
    self.assertNotIn('verfitting', said(evaluation(), metrics=[{'step': 90}]))

  def test_the_first_networks_losses_say_nothing_of_both(self):
    rows = [{'step': 90, 'train/loss': 0.08, 'validation/loss': 0.12}]
    self.assertIn('verfitting', said(evaluation(), metrics=rows))
    self.assertNotIn('verfitting', said(evaluation(fine_step=7), metrics=rows))

  def test_weak_groups(self):
    groups = (
      ('view', 9, 6, 0.95), ('view', 3, 6, 0.97),
      ('colour', 'red', 1, 0.951), ('colour', 'blue', 5, 0.963),
      ('body', 'tall', 1, 0.94), ('body', 'low', 5, 0.965),
      ('make', 'Kia', 1, 0.5), ('make', 'Ford', 5, 0.99),
    )  # fmt: skip
    self.assertIn(
      'Weakest: view 9, 0.01000 below the mean (6 cars); body tall, 0.02000 '
      'below the mean (1 car).',
      said(evaluation(groups=groups)),
    )

  def test_the_only_group_is_no_weak_one(self):
    self.assertNotIn(
      'Weakest', said(evaluation(groups=[('colour', 'red', 6, 0.9)]))
    )
