"""Config files and fields of no use, for main and summary."""

from absl.testing import absltest

from tests.malformed.case import Case, CaseTest, named, nothing, write

FILE = ('config.py is of no use', 'give a Python file', 'configs/studio.py')
FIELDS = ('configs/default.py',)


def file(name, content, *words):
  """A config file, for main."""
  return Case(
    f'file_{name}',
    lambda root: write(root, 'config.py', content),
    'main --config=config.py --workdir=run --config.data.data_dir=data',
    words,
  )


def field(flag, *words, base='debug'):
  """A field on the command line, for main."""
  letters = ''.join(x if x.isalnum() else '_' for x in flag[:40])
  return Case(
    f'field_{letters}',
    nothing,
    f'main --config={{configs}}/{base}.py --workdir=run'
    f' --config.data.data_dir=data --config.{flag}',
    words,
  )


def changed(line):
  """A config file that goes on from configs/debug.py."""
  return (
    'from ml_collections import ConfigDict\n\n'
    'from carvana_jax.configs import debug\n\n'
    f'def get_config():\n  config = debug.get_config()\n  {line}\n'
    '  return config\n'
  )


FILES = [
  Case('file_missing', nothing, 'main --config=none.py',
       ('none.py', 'no such file', FILE[1])),
  Case('file_is_a_folder', nothing, 'main --config={configs}',
       ('configs', 'Is a directory', FILE[1])),
  Case('file_name_missing', nothing, 'main --config=', ('no such file',
       FILE[1])),
  Case('no_file', nothing, 'main --workdir=run',
       ('--config is missing', 'configs/studio.py')),
  Case('file_for_summary', lambda root: write(root, 'config.py', 'x ='),
       'summary --config=config.py', ('invalid syntax', *FILE)),
  Case('file_missing_in_the_package', nothing, 'main --config=configs/none.py',
       ('configs/none.py', 'no such file', FILE[1])),
  Case('file_before_the_one_of_the_package',
       lambda root: write(root, 'configs/debug.py', 'x ='),
       'summary --config=configs/debug.py',
       ('--config=configs/debug.py', 'invalid syntax', FILE[1])),
  file('empty', '', 'get_config', *FILE),
  file('of_json', '{"train": {"epochs": true}}', "name 'true'", *FILE),
  file('of_yaml', 'train:\n  epochs: 3\n', 'invalid syntax', *FILE),
  file('of_zeros', bytes(100), 'null bytes', *FILE),
  file('of_latin_1', 'x = "ä"'.encode('latin-1'), 'utf-8', *FILE),
  file('that_is_a_photo', b'\xff\xd8\xff\xe0\0\x10JFIF\0', *FILE),
  file('that_imports_nothing', 'import nonsense_', "'nonsense_'", *FILE),
  file('that_raises', 'def get_config():\n  raise ValueError("my own")\n',
       'ValueError: my own', *FILE),
  file('that_divides_by_zero', 'x = 1 / 0', 'ZeroDivisionError', *FILE),
  file('that_opens_nothing', 'open("nothing.txt")', 'nothing.txt', *FILE),
  file('with_a_typing_error', changed('config.trian.epochs = 3'),
       'trian', 'train', *FILE),
  file('that_wants_a_word', 'def get_config(word):\n  return None\n',
       "'word'", *FILE),
  file('without_a_config', 'def get_config():\n  pass\n', 'NoneType', *FILE),
  file('of_a_number', 'def get_config():\n  return 5\n', 'returns a int',
       *FILE),
  file('of_a_dict', 'def get_config():\n  return {}\n', 'returns a dict',
       *FILE),
  file('of_an_empty_config', 'from ml_collections import ConfigDict\n\n'
       'def get_config():\n  return ConfigDict()\n', 'no field data', *FIELDS),
  file('without_a_section', changed('del config.eval'),
       'config.eval is missing', *FIELDS),
  file('without_a_field', changed('del config.train.epochs'),
       'config.train.epochs is missing', *FIELDS),
  file('with_a_field_too_many', changed('config.train.epohcs = 3'),
       'config.train.epohcs is no field', *FIELDS),
  file('with_a_section_too_many', changed('config.trian = ConfigDict()'),
       'config.trian is no field', *FIELDS),
  file('with_a_number_for_a_section', changed('del config.train; '
       'config.train = 5'), 'config.train=5', *FIELDS),
  file('with_text_for_a_number', changed('config.update(train={"epochs": '
       '"3"})') , 'epochs', *FILE),
  file('with_a_new_text_for_a_number', changed('del config.train.epochs; '
       'config.train.epochs = "3"'), "config.train.epochs='3'",
       'a whole number'),
  file('with_infinity', changed('config.train.max_minutes = float("inf")'),
       'config.train.max_minutes=inf', 'a finite number'),
  file('with_another_network_field', changed('config.model.depth = 3'),
       'config.model.depth is no field', 'choose from levels'),
  file('without_a_network_name', changed('del config.model.name'),
       'config.model.name=None is unknown', 'choose from unet'),
  file('without_widths', changed('config.model = ConfigDict({"name": "cnn"})'),
       'config.model.widths is missing', 'the configs of configs/'),
]  # fmt: skip
KINDS = [
  field('train.batch_size=16.5', 'config.train.batch_size=16.5', *FIELDS),
  field('train.batch_size=x', 'config.train.batch_size=x', *FIELDS),
  field('train.batch_size=True', 'config.train.batch_size=True', *FIELDS),
  field('train.batch_size=(16,)', 'config.train.batch_size=(16,)', *FIELDS),
  field('train.batch_size=', 'config.train.batch_size=', *FIELDS),
  field('train.epochs=1e3', 'config.train.epochs=1e3', *FIELDS),
  field('data.multiview=maybe', 'config.data.multiview=maybe', *FIELDS),
  field('data.multiview=2', 'config.data.multiview=2', *FIELDS),
  field('optimizer.learning_rate=fast', 'learning_rate=fast', *FIELDS),
  field('optimizer.learning_rate=1,5', 'learning_rate=1,5', *FIELDS),
  field(
    'model.dropout_levels=x',
    "config.model.dropout_levels=('x',)",
    'whole numbers',
  ),
  field(
    'model.dropout_levels=1.5',
    'config.model.dropout_levels=(1.5,)',
    'whole numbers',
  ),
  field(
    'model.dropout_levels=(True,)', 'dropout_levels=(True,)', 'whole numbers'
  ),
  field(
    'model.dropout_levels=((1,2),)', 'dropout_levels=((1, 2),)', 'whole numbers'
  ),
  field(
    'model.widths=("a","b")',
    "config.model.widths=('a', 'b')",
    'whole numbers',
    base='cnn256',
  ),
  field('train=5', 'config.train=5', *FIELDS),
  field('train={}', 'config.train.accumulate is missing', *FIELDS),
  field('train.epochs.more=1', *FIELDS),
  field('trian.epochs=1', "'trian'; did you mean 'train'?", *FIELDS),
]
RANGES = [
  field('optimizer.learning_rate=nan', 'learning_rate=nan', 'a finite number'),
  field('optimizer.learning_rate=inf', 'learning_rate=inf', 'a finite number'),
  field('optimizer.learning_rate=1e999', 'learning_rate=inf', 'finite'),
  field('optimizer.learning_rate=-1', 'learning_rate=-1', 'above 0'),
  field('optimizer.weight_decay=nan', 'weight_decay=nan', 'a finite number'),
  field('optimizer.weight_decay=-1', 'weight_decay=-1', 'at least 0'),
  field('optimizer.clip_norm=inf', 'clip_norm=inf', 'a finite number'),
  field('augment.scale=nan', 'augment.scale=nan', 'a finite number'),
  field('augment.rotation=inf', 'augment.rotation=inf', 'a finite number'),
  field('augment.hue=-0.5', 'augment.hue=-0.5', 'in 0..1'),
  field('eval.threshold=nan', 'eval.threshold=nan', 'a finite number'),
  field('eval.threshold=0', 'eval.threshold=0', 'between 0 and 1'),
  field('eval.smooth=inf', 'eval.smooth=inf', 'a finite number'),
  field('train.average_decay=nan', 'average_decay=nan', 'a finite number'),
  field('train.max_minutes=nan', 'max_minutes=nan', 'a finite number'),
  field('train.max_minutes=-1', 'max_minutes=-1', 'at least 0'),
  field('train.epochs=0', 'config.train.epochs=0', 'at most 100000'),
  field('train.epochs=1000000000000', 'epochs=1000000000000', 'at most 100000'),
  field('train.batch_size=-2', 'batch_size=-2', 'choose a multiple'),
  field('train.batch_size=1000000000', 'batch_size=1000000000', 'up to 65536'),
  field('eval.batch_size=0', 'config.eval.batch_size=0', 'from 1 to 65536'),
  field('seed=-1', 'config.seed=-1', 'at least 0'),
  field('seed=99999999999999999999', 'config.seed=9999', 'below 2**32'),
  field('data.size=0x0', "'0x0'", 'use for example 128x192'),
  field('data.size=-64x96', "'-64x96'", 'use for example 128x192'),
  field('data.size=64x96x3', "'64x96x3'", 'use for example 128x192'),
  field('data.size=6٤x96', "'6٤x96'", 'use for example 128x192'),
  field('data.size=' + '9' * 5000 + 'x96', 'use for example 128x192'),
  field('data.size=99999x99999', '=99999x99999', 'at most 33 million'),
  field('data.size=8x96', '=8x96 must have at least 16 pixels'),
  field('data.fit=crop', 'config.data.fit=crop', 'stretch, pad'),
  field('data.fit=pad', 'config.data.fit=pad', 'set config.data.fit=stretch'),
  field('data.dataset=folder', 'dataset=folder needs', 'manual_dir=FOLDER'),
  field('data.object_values=1', 'object_values=1', 'dataset=folder, or leave'),
  field('data.full_size=nan', "'nan'", 'use for example 128x192'),
  field('data.dataset=', "config.data.dataset=''", 'choose from'),
  field('model.name=', "config.model.name=''", 'choose from'),
  field('model.levels=0', 'config.model.levels=0', 'at least 1'),
  field('model.levels=50', 'config.model.levels=50', 'at most 12'),
  field('model.first_width=0', 'first_width=0', 'at least 1'),
  field('model.first_width=1000000', 'first_width=1000000', 'at most 4096'),
  field('model.encoder_convs=1000', 'encoder_convs=1000', 'at most 64'),
  field('model.first_width=4096', 'makes 16384 channels', 'choose fewer'),
  field('model.dropout=nan', 'config.model.dropout=nan', 'a finite number'),
  field('model.dropout=1', 'config.model.dropout=1', 'without 1'),
  field('model.dropout_levels=(-1,)', 'level -1', 'levels are 0 to 2'),
  field(
    'model.kernels=(3,3,-3)', 'kernels=(3, 3, -3)', 'at least 1', base='cnn256'
  ),
  field(
    'model.kernels=(3,3,9999)',
    'kernels=(3, 3, 9999)',
    'at most 255',
    base='cnn256',
  ),
]
SUMMARIES = [
  Case('summary_of_levels', nothing, 'summary --config={configs}/debug.py'
       ' --config.model.levels=60', ('config.model.levels=60', 'at most 12')),
  Case('summary_of_a_size', nothing, 'summary --config={configs}/debug.py'
       ' --config.data.size=0x0', ("'0x0'", 'use for example 128x192')),
  Case('summary_of_a_number', nothing, 'summary --config={configs}/debug.py'
       ' --config.model.dropout=nan', ('dropout=nan', 'a finite number')),
  Case('summary_picture_of_another_kind', nothing,
       'summary --config={configs}/debug.py --picture=a.jpg',
       ('--picture=a.jpg', 'must end in .png or .svg')),
  Case('summary_picture_in_no_folder', nothing,
       'summary --config={configs}/debug.py --picture=none/a.png',
       ('none does not exist', 'make it first')),
  Case('summary_picture_is_there', lambda root: write(root, 'a.png', b''),
       'summary --config={configs}/debug.py --picture=a.png',
       ('a.png exists', 'choose another name')),
]  # fmt: skip
CASES = [*FILES, *KINDS, *RANGES, *SUMMARIES]


class ConfigsTest(CaseTest):
  @named(CASES)
  def test_refused(self, case):
    self.assert_refused(case)


if __name__ == '__main__':
  absltest.main()
