"""Files of networks, and what lies beside them, that can't be used."""

import json
import shutil

import numpy as np
import safetensors.numpy
from absl.testing import absltest

from tests.helpers import network_files
from tests.malformed.case import (
  Case,
  CaseTest,
  encoded,
  gradient,
  listing,
  named,
  nothing,
  workdir,
  write,
  zipped,
)

PREDICT = 'predict --workdir=net.safetensors --input=a.png --output=masks'
EXPORT = 'python -m carvana_jax.export'
KERNEL, BIAS = 'params/down0_conv0/kernel', 'params/logits/bias'


def whole():
  """The folder of a file that can be used, with its two networks."""
  folder = workdir().parent / 'network'
  if not folder.exists():
    folder.mkdir()
    write(folder, 'a.png', encoded(gradient(), 'PNG'))
    network_files.write(
      folder / 'net.safetensors',
      network_files.run_of(network_files.config_of()),
      network_files.run_of(network_files.config_of('coarse'), seed=1),
    )
  return folder


def file_with(spoil):
  """Files that were whole before `spoil(path of net.safetensors)`."""

  def make(root):
    shutil.copytree(whole(), root, dirs_exist_ok=True)
    spoil(root / 'net.safetensors')

  return make


def bytes_of(change):
  return file_with(lambda path: path.write_bytes(change(path.read_bytes())))


def arrays(change):
  """The arrays are others once `change(arrays by name)` is done."""

  def spoil(path):
    there = safetensors.numpy.load_file(path)
    change(there)
    path.write_bytes(safetensors.numpy.save(there))

  return file_with(spoil)


def beside(text):
  return file_with(lambda path: path.with_suffix('.json').write_text(text))


def entries(change):
  """The entries are others once `change(entries)` is done."""

  def spoil(path):
    facts = json.loads(path.with_suffix('.json').read_text())
    change(facts)
    path.with_suffix('.json').write_text(json.dumps(facts))

  return file_with(spoil)


def nan(there):
  there[KERNEL][0] = np.nan


def swap(path):
  """Another network's weights, of the same shapes."""
  other = network_files.run_of(network_files.config_of(), seed=2)
  network_files.write(path.with_name('other.safetensors'), other)
  path.with_name('other.safetensors').rename(path)
  path.with_name('other.json').unlink()


# Name, what is made, words.
NETWORKS = (
  ('missing', lambda root: write(root, 'a.png', encoded(gradient(), 'PNG')),
   'net.safetensors does not exist', EXPORT),
  ('without_facts', file_with(lambda x: x.with_suffix('.json').unlink()),
   'net.json is missing', 'bring it there'),
  ('empty', bytes_of(lambda _: b''), 'net.safetensors is damaged', EXPORT),
  ('page', bytes_of(lambda _: b'<html>' * 99), 'net.safetensors is damaged',
   EXPORT),
  ('zip', bytes_of(lambda _: zipped({'a': b''})), 'net.safetensors is damaged',
   EXPORT),
  ('pickle', bytes_of(lambda _: b'\x80\x04cos\nsystem\n(Vid\ntR.' * 9),
   'net.safetensors is damaged', EXPORT),
  ('cut', bytes_of(lambda data: data[:-9]), 'net.safetensors is damaged',
   EXPORT),
  ('half', bytes_of(lambda data: data[: len(data) // 2]),
   'net.safetensors is damaged', EXPORT),
  ('with_more_bytes', bytes_of(lambda data: data + b'more'),
   'net.safetensors is damaged', EXPORT),
  ('of_a_huge_header', bytes_of(lambda data: b'\xff' * 8 + data[8:]),
   'net.safetensors is damaged', EXPORT),
  ('wrong_bit', bytes_of(lambda data: data[:-1] + bytes([data[-1] ^ 1])),
   'net.safetensors holds another network than net.json', EXPORT),
  ('of_others', file_with(swap),
   'net.safetensors holds another network than net.json', EXPORT),
  ('without_an_array', arrays(lambda x: x.pop(KERNEL)),
   f'{KERNEL} (none there, F32 [3, 3, 3, 4] wanted)', EXPORT),
  ('with_an_array_more', arrays(lambda x: x.update(more=np.ones(3))),
   'more (F64 [3] there, none wanted)', EXPORT),
  ('of_another_shape', arrays(lambda x: x.update({BIAS: np.ones((2, 1), 'f')})),
   f'{BIAS} (F32 [2, 1] there, F32 [1] wanted)', EXPORT),
  ('of_whole_numbers', arrays(lambda x: x.update({BIAS: np.ones(1, 'i4')})),
   f'{BIAS} (I32 [1] there, F32 [1] wanted)', EXPORT),
  ('of_no_array', arrays(dict.clear), 'F32 [4] wanted', 'more; copy both files',
   EXPORT),
  ('nan', arrays(nan), f'has values in {KERNEL} that are NaN', EXPORT),
  ('json_of_nothing', beside(''), 'net.json is damaged', 'remove it'),
  ('json_cut', beside('{"format": "carvana_jax 1"'), 'net.json is damaged',
   'remove it'),
  ('json_of_a_list', beside('[]'), 'net.json is damaged', 'remove it'),
  ('other_format', entries(lambda x: x.update(format='carvana_jax 2')),
   "net.json is not of the format 'carvana_jax 1'", EXPORT),
  ('other_program', beside('{"model_type": "u2net"}'),
   "net.json is not of the format 'carvana_jax 1'", EXPORT),
  *((f'{name}_{value!r:.20}', entries(lambda x, y=name, z=value: x.update(
       {y: z})), f'net.json does not tell the right {name}', EXPORT)
    for name, value in (
      ('config', None), ('config', []), ('step', '7'), ('step', True),
      ('data', 3), ('network', None), ('init', {'seen': [3]}),
      ('init', {'seen': [['a', [1], 3]]}), ('init', 'x'))),
  ('no_step', entries(lambda x: x.pop('step')),
   'net.json does not tell the right step', EXPORT),
  ('second_of_text', entries(lambda x: x.update(fine='x')),
   'net.json does not tell the right', EXPORT),
  ('no_model', entries(lambda x: x['config'].pop('model')),
   'net.json: config.model is missing'),
  ('a_field_more', entries(lambda x: x['config']['eval'].update(more=1)),
   'net.json: config.eval.more is no field'),
  ('other_levels', entries(lambda x: x['config']['model'].update(levels=3)),
   'net.safetensors holds other arrays than net.json', EXPORT),
  ('other_step', entries(lambda x: x.update(step=8)),
   'net.safetensors holds another network than net.json', EXPORT),
)  # fmt: skip
# What commands say of a file that can be used: name, command, words.
USES = (
  ('tuned', f'{PREDICT} --tuned', '--tuned is of no use with', 'leave out'),
  ('graph', f'{PREDICT} --workdir=net.onnx', 'net.onnx is a graph for',
   'give the .safetensors'),
  ('folder', f'{PREDICT} --workdir=.', 'is no run; give the file in it',
   'net.safetensors'),
  ('report', 'report --workdir=net.safetensors',
   'holds a network without its run', 'give the folder of a run'),
  ('refine', 'refine --config={configs}/fine.py --workdir=net.safetensors',
   'holds a network without its run', 'give the folder of a run'),
  ('compare', 'compare net.safetensors {run}',
   'net.safetensors has no evaluations beside it', '--output=FOLDER'),
  ('main', 'main --config={configs}/debug.py --workdir=net.safetensors',
   'net.safetensors is no folder', 'choose another --workdir'),
  ('evaluate_into_a_file', 'evaluate --workdir=net.safetensors --output=a.png',
   'a.png is no folder', 'choose another --output'),
  ('export_onto_itself',
   'export --workdir=net.safetensors --output=net.safetensors',
   'net.safetensors exists', 'choose another --output'),
  ('of_two_networks', f'{PREDICT} --workdir=none.safetensors --fine',
   'none.safetensors does not exist', EXPORT),
  ('init_from', 'main --config={configs}/unet512.py --workdir=run'
   ' --config.train.init_from=net.safetensors',
   'net.safetensors has no kernel of the same name', 'net.json'),
)  # fmt: skip
# One of each command that reads such files.
COMMANDS = (
  'evaluate --workdir=net.safetensors',
  'submit --workdir=net.safetensors --input=a.png --output=s.csv',
  'features --workdir=net.safetensors --image=a.png --output=drawn',
  'export --workdir=net.safetensors --output=a.onnx',
  'main --config={configs}/debug.py --workdir=run'
  ' --config.train.init_from=net.safetensors',
)
CASES = [
  *(Case(name, make, PREDICT, words) for name, make, *words in NETWORKS),
  *(
    Case(name, file_with(lambda path: None), line, words)
    for name, line, *words in USES
  ),
  *(
    Case(
      f'cut_{line.split()[0]}',
      bytes_of(lambda data: data[:-9]),
      line,
      ('net.safetensors is damaged', EXPORT),
    )
    for line in COMMANDS
  ),
  Case(
    'nothing_at_all', nothing, 'evaluate --workdir=net.safetensors',
    ('net.safetensors does not exist', 'give the folder of a run'),
  ),
]  # fmt: skip


class NetworkFilesTest(CaseTest):
  @named(CASES)
  def test_refused(self, case):
    self.assert_refused(case)

  def test_the_sound_ones_are_taken(self):
    shutil.copytree(whole(), self.root, dirs_exist_ok=True)
    before = listing(self.root)
    result = self.run_command(f'{PREDICT} --fine')
    self.assertEqual((result.code, result.errors), (0, ''))
    after = listing(self.root)
    self.assertIn('masks/a_mask.png', after)
    self.assertEqual(
      {name: after[name] for name in after if not name.startswith('masks')},
      before,
    )


if __name__ == '__main__':
  absltest.main()
