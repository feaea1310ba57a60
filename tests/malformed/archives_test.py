"""ZIPs that are damaged, locked, bombs or lead elsewhere."""

import os
import stat
import struct
import zipfile

from absl.testing import absltest

from tests.malformed.case import (
  CAR,
  Case,
  CaseTest,
  encoded,
  full_mask,
  full_photo,
  gradient,
  listing,
  named,
  write,
  zipped,
)

JPG = encoded(gradient(), 'JPEG')
PNG = encoded(gradient(), 'PNG')
ENTRY = b'PK\x01\x02'  # how an entry of the directory starts
PHOTO, MASK = f'{CAR}_01.jpg', f'{CAR}_01_mask.gif'


def of_one(method=zipfile.ZIP_DEFLATED):
  return zipped({'a.jpg': JPG}, method)


def with_entry(data, offset, form, value):
  """Changes a number in the first entry and, as far as it has it, its copy."""
  changed = bytearray(data)
  struct.pack_into(form, changed, data.index(ENTRY) + offset, value)
  return bytes(changed)


def encrypted(data):
  return with_entry(data, 8, '<H', 1)


def of_unknown_compression(data):
  changed = bytearray(with_entry(data, 10, '<H', 97))
  struct.pack_into('<H', changed, 8, 97)
  return bytes(changed)


def of_size(data, size):
  """Tells another size than its member unpacks to."""
  return with_entry(data, 24, '<I', size)


def with_wrong_bit(data):
  changed = bytearray(data)
  changed[data.index(JPG) + len(JPG) // 2] ^= 1
  return bytes(changed)


def of_links():
  stream = zipfile.ZipInfo('a.jpg')
  stream.external_attr = (stat.S_IFLNK | 0o777) << 16
  return zipped({stream: b'/etc/passwd'})


def predict(title, data, *words):
  return Case(
    f'predict_{title}',
    lambda root: write(root, 'photos.zip', data),
    'predict --workdir={run} --input=photos.zip --output=masks',
    ('photos.zip', *words),
  )


AGAIN = 'replace it or give another --input'
REPLACE = 'replace or remove it'
NO_PHOTO = 'holds no photo', 'give a folder'
PHOTOS = [
  predict('empty', b'', 'is no complete ZIP', AGAIN),
  predict('text', b'no zip', 'is no complete ZIP', AGAIN),
  predict('cut', of_one()[:-10], 'is no complete ZIP', AGAIN),
  predict('start', of_one()[:100], 'is no complete ZIP', AGAIN),
  predict('rar', b'Rar!\x1a\x07\x01\0' + bytes(100), 'no complete ZIP', AGAIN),
  predict('of_nothing', zipped({}), *NO_PHOTO),
  predict('of_texts', zipped({'a.txt': b'', 'b.csv': b''}), *NO_PHOTO),
  predict('of_a_zip', zipped({'train.zip': of_one()}), *NO_PHOTO),
  predict('of_links', of_links(), *NO_PHOTO),
  predict('of_folders', zipped({'a.jpg/': b''}), *NO_PHOTO),
  predict('of_litter', zipped({'__MACOSX/a.jpg': JPG}), *NO_PHOTO),
  predict('encrypted', encrypted(of_one()), 'a.jpg is encrypted', 'unpack'),
  predict('of_unknown_compression', of_unknown_compression(of_one()),
          'a.jpg is packed by', 'which Python cannot read', 'unpack the ZIP'),
  predict('that_tells_too_little', of_size(of_one(), 100), 'a.jpg', REPLACE),
  predict('that_tells_4_GiB', of_size(of_one(), 2**32 - 2),
          'a.jpg unpacks to 4 GiB', 'remove it'),
  predict('with_a_wrong_bit', with_wrong_bit(of_one(zipfile.ZIP_STORED)),
          'a.jpg cannot be read', 'CRC', REPLACE),
  predict('bomb', zipped({'a.jpg': bytes(2**26)}), 'a.jpg is no JPG', REPLACE),
  predict('of_a_damaged_photo', zipped({'a.jpg': JPG[:-200]}),
          'a.jpg is damaged', REPLACE),
  predict('of_two_names', zipped({'x/a.jpg': JPG, 'y/a.png': PNG}),
          'x/a.jpg', 'y/a.png', 'rename one'),
  predict('of_two_names_upwards', zipped({'a.jpg': JPG, '../a.jpg': JPG}),
          ':a.jpg', ':../a.jpg', 'rename one'),
  predict('with_a_line_break', zipped({'a\nb.jpg': JPG}), r'a\nb.jpg',
          'rename it'),
  Case('submit_cut', lambda root: write(root, 'test.zip', of_one()[:-10]),
       'submit --workdir={run} --input=test.zip --output=s.csv',
       ('test.zip is no complete ZIP', AGAIN)),
  Case('check_by_cut_zip', lambda root: [
         write(root, 'test.zip', of_one()[:-10]),
         write(root, 's.csv', 'img,rle_mask\n'),
       ], 'submit --check=s.csv --input=test.zip',
       ('test.zip is no complete ZIP', AGAIN)),
  Case('strict_submit_encrypted',
       lambda root: write(root, 'test.zip', encrypted(of_one())),
       'submit --workdir={run} --input=test.zip --output=s.csv --strict',
       ('test.zip:a.jpg is encrypted', 'unpack the ZIP')),
]  # fmt: skip


# The competition's archives.


def manual(**archives):
  """Writes archives, whole ones where nothing else is given."""

  def make(root):
    whole = {
      'train': zipped({f'train/{PHOTO}': full_photo()}),
      'train_masks': zipped({f'train_masks/{MASK}': full_mask()}),
    }
    for name, data in (whole | archives).items():
      if callable(data):
        data = data(whole.get(name))
      if data is not None:
        write(root, f'manual/{name}.zip', data)

  return make


def both(title, make, *words):
  """For training and for the doctor."""
  return [
    Case(f'main_{title}', make, 'main --config={configs}/default.py'
         ' --workdir=run --config.data.data_dir=data'
         ' --config.data.manual_dir=manual', words),
    Case(f'doctor_{title}', make, 'doctor --manual_dir=manual --output=found',
         words),
  ]  # fmt: skip


def main(title, make, *words, flags=''):
  """For training alone: doctor lists what is wrong with single images."""
  case, _ = both(title, make, *words)
  return [case._replace(command=f'{case.command} {flags}')]


def big(data):
  """The one big zip, and no other."""
  return manual(
    train=None, train_masks=None, **{'carvana-image-masking-challenge': data}
  )


DOWNLOAD = 'download it again'
UNPACK = 'unpack the archive with another program'
CARVANA = [
  *both('cut_zip', manual(train=lambda x: x[:-30]), 'train.zip is not a',
        DOWNLOAD),
  *both('empty_zip', manual(train_masks=b''), 'train_masks.zip is not a',
        DOWNLOAD),
  *both('page_for_a_zip', manual(train=b'<html>'), 'train.zip is not a',
        DOWNLOAD),
  *both('zip_of_nothing', manual(train=zipped({})), 'has no photos',
        'get them'),
  *both('zip_of_a_nameless_file',
        manual(train=zipped({'name': b'x'}).replace(b'name', b'\0ame')),
        'has no photos', 'get them'),
  *both('zip_without_masks', manual(train_masks=None), 'has no masks',
        'get them'),
  *both('zip_upwards',
        manual(train=zipped({f'../../{PHOTO}': full_photo()})),
        'has no photos', f'1 file is left out (train.zip:../../{PHOTO})',
        'the path leads out of the archive'),
  *both('zip_of_one_name_twice', manual(train=zipped(
          {f'train/{PHOTO}': full_photo(), f'copy/{PHOTO}': full_photo()})),
        f'train.zip:train/{PHOTO} and train.zip:copy/{PHOTO}', 'remove one'),
  *both('cut_zip_in_the_big_one',
        big(zipped({'train.zip': zipped({PHOTO: full_photo()})[:-30],
                    'train_masks.zip': zipped({MASK: full_mask()})})),
        'challenge.zip:train.zip is not a', DOWNLOAD),
  *both('encrypted_zip_in_the_big_one',
        big(encrypted(zipped({'train.zip': zipped({PHOTO: full_photo()}),
                              'train_masks.zip': zipped({})}))),
        'challenge.zip:train.zip is encrypted', UNPACK),
  *both('zip_of_unknown_compression_in_the_big_one',
        big(of_unknown_compression(
          zipped({'train.zip': zipped({PHOTO: full_photo()}),
                  'train_masks.zip': zipped({})}))),
        'challenge.zip:train.zip is packed by wavpack', UNPACK),
  *both('metadata_zip_encrypted',
        manual(**{'metadata.csv': encrypted(zipped({'metadata.csv': b'id'}))}),
        'metadata.csv.zip:metadata.csv is encrypted', UNPACK),
  *both('metadata_zip_of_unknown_compression', manual(**{'metadata.csv':
          of_unknown_compression(zipped({'metadata.csv': b'id'}))}),
        'metadata.csv.zip:metadata.csv is packed by wavpack', UNPACK),
  *both('metadata_bomb', manual(**{'metadata.csv':
          of_size(zipped({'metadata.csv': b'id'}), 2**32 - 2)}),
        'metadata.csv.zip:metadata.csv has 4.0 GiB', DOWNLOAD),
  *both('encrypted_zip', manual(train=encrypted),
        f'train.zip:train/{PHOTO} is encrypted', UNPACK),
  *both('zip_with_an_encrypted_photo', manual(train=encrypted(zipped(
          {f'train/{PHOTO}': full_photo(), f'train/{CAR}_02.jpg': b''}))),
        f'train.zip:train/{PHOTO} is encrypted', UNPACK),
  *both('zip_of_deflate64', manual(train=lambda x: with_entry(x, 10, '<H', 9)),
        f'train.zip:train/{PHOTO} is packed by deflate64', UNPACK),
  *main('zip_that_tells_too_little', manual(train=lambda x: of_size(x, 1000)),
        f'train.zip:train/{PHOTO}', DOWNLOAD),
  *main('zip_that_tells_4_GiB',
        manual(train=lambda x: of_size(x, 2**32 - 2)),
        f'train.zip:train/{PHOTO} has 4.0 GiB', DOWNLOAD),
  *main('zip_of_links', manual(train=lambda _: link_to(f'train/{PHOTO}')),
        f'train.zip:train/{PHOTO} is not an image', DOWNLOAD),
  *main('cut_test_zip', manual(test=of_one()[:-10]), 'test.zip is not a',
        DOWNLOAD, flags='--config.data.unlabeled=True'),
]  # fmt: skip


def link_to(name):
  info = zipfile.ZipInfo(name)
  info.external_attr = (stat.S_IFLNK | 0o777) << 16
  return zipped({info: b'../../../etc/passwd'})


CASES = [*PHOTOS, *CARVANA]


class ArchivesTest(CaseTest):
  @named(CASES)
  def test_refused(self, case):
    self.assert_refused(case)

  def test_a_full_disk_is_told_before_a_bomb_fills_it(self):
    # 3 MB that say that they unpack to 2 ** 52 bytes.
    inner = zipped({'train.zip': b'x', 'train_masks.zip': b'x'})
    case, _ = both('bomb', big(huge_member(inner)), 'challenge.zip:train.zip',
                   'No space left', 'set TMPDIR')  # fmt: skip
    self.assert_refused(case)

  def test_members_that_lead_elsewhere_write_nothing_there(self):
    members = {
      '../up.jpg': JPG, '/absolute.jpg': JPG, 'C:\\windows.jpg': JPG,
      'a/../../b.jpg': JPG, 'ä ö/ü ’.png': PNG,
    }  # fmt: skip
    folder = self.root / 'inner'
    write(folder, 'photos.zip', zipped(members))
    before = listing(self.root)
    result = self.run_command(
      f'predict --workdir={{run}} --input={folder}/photos.zip'
      f' --output={folder}/masks'
    )
    self.assertEqual((result.code, result.errors), (0, ''))
    new = {
      os.path.relpath(self.root / name, folder)
      for name in listing(self.root).keys() - before.keys()
    }
    masks = ('absolute', 'b', 'up', 'windows', 'ü ’')
    self.assertEqual(
      new,
      {'masks', 'masks/settings.json', 'masks/made_of.jsonl', 'masks/doubt.csv'}
      | {f'masks/{x}_mask.png' for x in masks},
    )
    self.assertFalse(os.path.exists('/absolute_mask.png'))


def huge_member(data):
  """Tells 2 ** 52 bytes of the first member, in the form for large ones."""
  at = data.index(ENTRY)
  sizes = struct.unpack_from('<HH', data, at + 28)
  entry = bytearray(data[at : at + 46 + sizes[0]])
  struct.pack_into('<I', entry, 24, 2**32 - 1)
  extra = struct.pack('<HHQ', 1, 8, 2**52)
  struct.pack_into('<H', entry, 30, len(extra))
  end = bytearray(data[data.rindex(b'PK\x05\x06') :])
  (size,) = struct.unpack_from('<I', end, 12)
  struct.pack_into('<I', end, 12, size + len(extra))
  rest = data[at + 46 + sizes[0] : data.rindex(b'PK\x05\x06')]
  return data[:at] + bytes(entry) + extra + rest + bytes(end)


if __name__ == '__main__':
  absltest.main()
