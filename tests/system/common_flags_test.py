"""Messages on fields of a config, for commands that have none."""

from absl.testing import absltest, parameterized

from carvana_jax.system import common_flags


class InFlagsTest(parameterized.TestCase):
  @parameterized.parameters(
    ('set config.data.groups=photo', 'set --groups=photo'),
    ('such as --config.data.object_values=1', 'such as --object_values=1'),
    ('data.manual_dir must be it', '--manual_dir must be it'),
    # No flag of these commands.
    ('--config.data.unlabeled=True', '--config.data.unlabeled=True'),
    ('my.data.groups_of', 'my.data.groups_of'),
  )
  def test_fields_are_named_as_flags(self, text, expected):
    self.assertEqual(common_flags.in_flags(text), expected)


if __name__ == '__main__':
  absltest.main()
