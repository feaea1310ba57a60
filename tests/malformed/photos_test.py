"""Photos that are none, not whole, or would fill any memory."""

import os
import struct
import zlib

from absl.testing import absltest
from PIL import Image

from tests.helpers import photo_files
from tests.malformed import command
from tests.malformed.case import (
  Case,
  CaseTest,
  encoded,
  gradient,
  named,
  workdir,
  write,
)


def chunk(kind, data):
  """A chunk of a PNG."""
  sum_ = struct.pack('>I', zlib.crc32(kind + data))
  return struct.pack('>I', len(data)) + kind + data + sum_


def png(width, height, *chunks, bits=8, colours=0):
  """A PNG with a header of this size, whatever comes then."""
  header = struct.pack('>IIBBBBB', width, height, bits, colours, 0, 0, 0)
  body = chunk(b'IHDR', header) + b''.join(chunks)
  return b'\x89PNG\r\n\x1a\n' + body + chunk(b'IEND', b'')


def black_png(width, height):
  """A whole PNG, black, of one bit a pixel."""
  packer = zlib.compressobj(9)
  row = bytes(1 + -(-width // 8))
  rows = b''.join(packer.compress(row) for _ in range(height))
  return png(width, height, chunk(b'IDAT', rows + packer.flush()), bits=1)


def large_jpg(width, height):
  """A JPG of a few bytes whose header tells this size."""
  data = bytearray(encoded(Image.new('RGB', (16, 16)), 'JPEG'))
  at = data.index(b'\xff\xc0') + 5
  data[at : at + 4] = struct.pack('>HH', height, width)
  return bytes(data)


def large_webp(side):
  """A WebP of a few bytes whose header tells this size."""
  data = bytearray(encoded(Image.new('RGBA', (16, 16)), 'WEBP', exif=b'Exif'))
  at = data.index(b'VP8X') + 12
  data[at : at + 6] = 2 * (side - 1).to_bytes(3, 'little')
  return bytes(data)


def damaged_png():
  data = bytearray(encoded(gradient(), 'PNG'))
  data[len(data) // 2] ^= 1
  return bytes(data)


def text_bomb():
  """A PNG whose comment unpacks to 64 MB."""
  packed = zlib.compress(bytes(2**26), 9)
  return png(16, 16, chunk(b'zTXt', b'Comment\0\0' + packed))


JPG, PNG, WEBP, TIFF, BMP, AVIF = (
  encoded(gradient(), kind)
  for kind in ('JPEG', 'PNG', 'WEBP', 'TIFF', 'BMP', 'AVIF')
)
NO_IMAGE = ('is no JPG, PNG, WebP, TIFF', 'replace or remove it')
DAMAGED = ('is damaged', 'replace or remove it')
BOMB = ('has more than 200 megapixels', 'replace or remove it')

# Name of the file, its bytes, what is said of it.
PHOTOS = {
  'empty_jpg': ('empty.jpg', b'', NO_IMAGE),
  'empty_png': ('empty.png', b'', NO_IMAGE),
  'half_jpg': ('half.jpg', JPG[: len(JPG) // 2], DAMAGED),
  'jpg_without_its_end': ('end.jpg', JPG[:-3], DAMAGED),
  'jpg_of_a_header': ('header.jpg', JPG[:100], DAMAGED),
  'half_png': ('half.png', PNG[: len(PNG) // 2], DAMAGED),
  'png_of_zeros_from_its_middle': (
    'zeros.png', PNG[: len(PNG) // 2].ljust(len(PNG), b'\0'), DAMAGED,
  ),
  'png_with_a_wrong_bit': ('bit.png', damaged_png(), DAMAGED),
  'half_webp': ('half.webp', WEBP[: len(WEBP) // 2], DAMAGED),
  'web_page': ('page.jpg', b'<html>Not found</html>', NO_IMAGE),
  'gif_named_jpg': ('gif.jpg', encoded(gradient(), 'GIF'), NO_IMAGE),
  'tiff_of_floats_named_png': (
    'tiff.png', encoded(Image.new('F', (16, 16), float('nan')), 'TIFF'),
    ('has numbers of 32 bits', 'replace or remove it'),
  ),
  'half_tiff': ('half_tiff.jpg', TIFF[: len(TIFF) // 2], DAMAGED),
  'half_bmp': ('half_bmp.jpg', BMP[: len(BMP) // 2], DAMAGED),
  'half_avif': ('half_avif.jpg', AVIF[: len(AVIF) // 2], DAMAGED),
  'png_of_no_pixels': ('none.png', png(0, 16), NO_IMAGE),
  'png_of_a_header': ('header.png', png(16, 16), DAMAGED),
  'png_bomb': ('bomb.png', black_png(30_000, 30_000), BOMB),
  'png_of_a_line': (
    'line.png', png(1, 49_000_000),
    ('has more than 65500 pixels a side', 'replace or remove it'),
  ),
  'png_that_Pillow_would_warn_of': ('warn.png', png(17_000, 17_000), BOMB),
  'jpg_bomb': ('bomb.jpg', large_jpg(30_000, 30_000), BOMB),
  'webp_bomb': ('bomb.webp', large_webp(16_000), DAMAGED),
  'png_with_a_comment_bomb': ('text.png', text_bomb(), DAMAGED),
}  # fmt: skip


def photo_in_folder(name, data):
  """A photo that is of no use, after a sound one."""

  def make(root):
    write(root, 'photos/a.png', PNG)
    write(root, f'photos/{name}', data)

  return make


def photo_alone(name, data):
  return lambda root: write(root, name, data)


STRICT = [
  Case(
    f'strict_predict_{title}',
    photo_in_folder(file, data),
    'predict --workdir={run} --input=photos --output=masks --strict',
    (f'photos/{file} ', *words),
  )
  for title, (file, data, words) in PHOTOS.items()
]
SUBMITTED = [
  Case(
    f'strict_submit_{title}',
    photo_in_folder(PHOTOS[title][0], PHOTOS[title][1]),
    'submit --workdir={run} --input=photos --output=s.csv --size=64x96'
    ' --strict',
    (f'photos/{PHOTOS[title][0]} ', *PHOTOS[title][2]),
  )
  for title in ('empty_jpg', 'half_jpg', 'png_bomb')
]
ALONE = [
  Case(
    f'predict_nothing_but_{title}',
    photo_alone(*PHOTOS[title][:2]),
    f'predict --workdir={{run}} --input={PHOTOS[title][0]} --output=masks',
    (f'{PHOTOS[title][0]} ', *PHOTOS[title][2]),
  )
  for title in ('empty_png', 'half_webp', 'jpg_bomb')
]
DRAWN = [
  Case(
    f'features_{title}',
    photo_alone(*PHOTOS[title][:2]),
    f'features --workdir={{run}} --image={PHOTOS[title][0]} --output=drawn',
    (f'{PHOTOS[title][0]} ', *PHOTOS[title][2]),
  )
  for title in ('empty_jpg', 'half_png', 'gif_named_jpg', 'png_bomb')
]
BACKGROUNDS = [
  Case(
    f'background_{title}',
    photo_in_folder(*PHOTOS[title][:2]),
    'predict --workdir={run} --input=photos/a.png --output=cars'
    f' --background=photos/{PHOTOS[title][0]}',
    ('--background', f'photos/{PHOTOS[title][0]} ', PHOTOS[title][2][0],
     PHOTOS[title][2][1]),
  )
  for title in ('empty_jpg', 'half_jpg', 'web_page', 'png_bomb')
]  # fmt: skip


def huge_file(root):
  """A photo of a hundred GiB, all of them a hole."""
  path = write(root, 'hole.jpg', JPG)
  os.truncate(path, 100 * 2**30)


def several_damaged(root):
  for name in ('a.jpg', 'b.jpg', 'c.png'):
    write(root, f'photos/{name}', b'no photo')


def two_names(root):
  write(root, 'photos/a.png', PNG)
  write(root, 'photos/a.jpg', JPG)


def photos_with_a_link(root):
  write(root, 'photos/a.png', PNG)
  write(root, 'photos/inner/a.png', PNG)
  (root / 'link').symlink_to('photos')


OTHERS = [
  *(
    Case(
      f'strict_{verb}_wrong_bytes',
      photo_in_folder('garbled.jpg', photo_files.garbled(JPG)),
      f'{verb} --workdir={{run}} --input=photos --output={output} --strict',
      ('photos/garbled.jpg may look wrong in parts (Corrupt JPEG', 'replace'),
    )
    for verb, output in (('predict', 'o'), ('submit', 's.csv --size=64x96'))
  ),
  Case(
    'file_of_100_GiB',
    huge_file,
    'predict --workdir={run} --input=hole.jpg --output=masks',
    ('hole.jpg cannot be read', '100 GiB', 'replace or remove it'),
  ),
  Case(
    'background_of_100_GiB',
    huge_file,
    'predict --workdir={run} --input=hole.jpg --output=masks'
    ' --background=hole.jpg',
    ('--background', 'hole.jpg', '100 GiB', 'replace or remove it'),
  ),
  Case(
    'features_of_100_GiB',
    huge_file,
    'features --workdir={run} --image=hole.jpg --output=drawn',
    ('hole.jpg cannot be read', '100 GiB', 'replace or remove it'),
  ),
  Case(
    'all_of_several',
    several_damaged,
    'predict --workdir={run} --input=photos --output=masks',
    ('none of the 3 photos', 'photos/a.jpg', *NO_IMAGE),
  ),
  Case(
    'all_rows_of_several',
    several_damaged,
    'submit --workdir={run} --input=photos --output=s.csv',
    ('none of the 3 photos', 'photos/a.jpg', *NO_IMAGE),
  ),
  Case(
    'all_of_another_size',
    lambda root: write(root, 'photos/a.png', PNG),
    'submit --workdir={run} --input=photos --output=s.csv',
    ('photos/a.png is 64x96, not 1280x1918', 'replace it'),
  ),
  Case(
    'two_of_one_name',
    two_names,
    'predict --workdir={run} --input=photos --output=masks',
    ('a.jpg', 'a.png', 'have one name', 'rename one'),
  ),
  Case(
    'line_break_in_a_name',
    lambda root: write(root, 'photos/a\nb.png', PNG),
    'predict --workdir={run} --input=photos --output=masks',
    (r'a\nb.png', 'unprintable letters', 'rename it'),
  ),
  Case(
    'name_that_is_no_utf_8',
    lambda root: write(root, os.fsdecode(b'photos/\xff.png'), PNG),
    'predict --workdir={run} --input=photos --output=masks',
    (r'\udcff.png', 'unprintable letters', 'rename it'),
  ),
  Case(
    'name_of_250_letters',
    lambda root: write(root, f'photos/{"x" * 246}.png', PNG),
    'predict --workdir={run} --input=photos --output=masks',
    ('x.png', 'more than 200 bytes', 'shorten it'),
  ),
  Case(
    'comma_in_a_row',
    lambda root: write(root, 'photos/a,b.png', PNG),
    'submit --workdir={run} --input=photos --output=s.csv',
    ("'a,b.jpg'", 'a comma', 'rename that photo'),
  ),
  Case(
    'no_photo_at_all',
    lambda root: write(root, 'photos/notes.txt', 'none'),
    'predict --workdir={run} --input=photos --output=masks',
    ('photos holds no photo', 'give a folder'),
  ),
  Case(
    'photo_that_is_a_folder',
    lambda root: (root / 'photos' / 'a.jpg').mkdir(parents=True),
    'predict --workdir={run} --input=photos --output=masks',
    ('photos holds no photo', 'give a folder'),
  ),
  Case(
    'photo_that_is_a_link_to_nowhere',
    lambda root: (root / 'a.jpg').symlink_to('nowhere.jpg'),
    'predict --workdir={run} --input=a.jpg --output=masks',
    ('a.jpg is a link to nowhere', 'give another --input'),
  ),
  Case(
    'photo_that_is_a_pipe',
    lambda root: os.mkfifo(root / 'a.jpg'),
    'predict --workdir={run} --input=a.jpg --output=masks',
    ('a.jpg is neither a file nor a folder', 'give another --input'),
  ),
  Case(
    'features_of_a_folder',
    lambda root: write(root, 'photos/a.png', PNG),
    'features --workdir={run} --image=photos --output=drawn',
    ('photos is no file', 'give --image one photo'),
  ),
  Case(
    'missing_photos',
    lambda root: write(root, 'a.png', PNG),
    'predict --workdir={run} --input=photos --output=masks',
    ('photos does not exist', 'check that path'),
  ),
  Case(
    'url_of_photos',
    lambda root: write(root, 'a.png', PNG),
    'submit --check=a.png --input=https://example.org/photos',
    ('https://example.org/photos is a URL', 'give a path on this machine'),
  ),
  Case(
    'url_of_a_run',
    lambda root: write(root, 'a.png', PNG),
    'predict --workdir=gs://runs/a --input=a.png --output=masks',
    ('gs://runs/a is a URL', 'give a path on this machine'),
  ),
  Case(
    'masks_into_nothing',
    lambda root: write(root, 'a.png', PNG),
    'predict --workdir={run} --input=a.png --output=',
    ('a path is empty', 'give each flag'),
  ),
  Case(
    'link_in_a_circle',
    lambda root: (root / 'a.jpg').symlink_to('a.jpg'),
    'predict --workdir={run} --input=. --output=masks',
    ('a.jpg cannot be read', 'symbolic links', 'replace or remove it'),
  ),
  Case(
    'masks_among_the_photos_by_a_link',
    photos_with_a_link,
    'predict --workdir={run} --input=photos --output=link',
    ('link holds the photos', 'choose another --output'),
  ),
  Case(
    'masks_among_the_photos_of_folders',
    photos_with_a_link,
    'predict --workdir={run} --input=photos --recursive --output=link',
    ('link holds the photos', 'choose another --output'),
  ),
  Case(
    'masks_among_the_photos',
    lambda root: write(root, 'photos/a.png', PNG),
    'predict --workdir={run} --input=photos --output=photos',
    ('photos holds the photos', 'choose another --output'),
  ),
]
CASES = [*STRICT, *SUBMITTED, *ALONE, *DRAWN, *BACKGROUNDS, *OTHERS]


class PhotosTest(CaseTest):
  @named(CASES)
  def test_refused(self, case):
    self.assert_refused(case)

  def test_damaged_photos_are_listed_unless_strict(self):
    write(self.root, 'photos/a.png', PNG)
    bad = [file for file, *_ in PHOTOS.values()]
    for file, data, _ in PHOTOS.values():
      write(self.root, f'photos/{file}', data)
    for path in self.root.glob('photos/*'):  # two files may have one name
      path.rename(path.with_name(f'{path.name.replace(".", "_")}{path.suffix}'))
    result = self.run_command(
      'predict --workdir={run} --input=photos --output=masks'
    )
    self.assertEqual((result.code, result.errors), (1, ''))
    masks = [path.name for path in self.root.glob('masks/*_mask.png')]
    self.assertEqual(masks, ['a_png_mask.png'])
    lines = (self.root / 'masks' / 'failed.csv').read_text().splitlines()
    self.assertLen(lines, 1 + len(bad))

  def test_an_output_below_the_photos(self):
    write(self.root, 'photos/x/a.png', PNG)
    write(self.root, 'photos/y/a.png', PNG)
    (self.root / 'photos/y/b.png').symlink_to('b.png')  # in a circle
    write(self.root, 'photos/c.gif', b'')
    for _ in range(2):
      result = self.run_command(
        'predict --workdir={run} --input=photos --recursive'
        ' --output=photos/out --cutout=png'
      )
      self.assertEqual((result.code, result.errors), (1, ''))
      self.assertIn('photos: 1 left out: c.gif (save', result.output)
      self.assertIn('2 masks are in', result.output)
    out = self.root / 'photos/out'
    self.assertEqual(
      sorted(str(path.relative_to(out)) for path in out.rglob('*.png')),
      ['x/a_cutout.png', 'x/a_mask.png', 'y/a_cutout.png', 'y/a_mask.png'],
    )
    failed = (out / 'failed.csv').read_text().splitlines()
    self.assertLen(failed, 2)
    self.assertStartsWith(failed[1], 'photos/y/b.png,')

  def test_what_looks_odd_and_is_right_has_a_mask(self):
    for name, data in {
      'cmyk.jpg': encoded(gradient().convert('CMYK'), 'JPEG'),
      'one pixel.png': encoded(Image.new('RGB', (1, 1)), 'PNG'),
      'line.png': encoded(Image.new('L', (3000, 1)), 'PNG'),
      'grey.jpg': encoded(gradient().convert('L'), 'JPEG'),
      'clear.webp': encoded(gradient().convert('RGBA'), 'WEBP'),
      '16 bits.png': encoded(Image.new('I;16', (9, 7)), 'PNG'),
      '車 и ü ’.png': PNG,
      '-a.png': PNG,
      'UPPER.PNG': PNG,
    }.items():
      write(self.root, f'my photos/{name}', data)
    result = command.run(
      self.root, 'predict', f'--workdir={workdir()}', '--input=my photos',
      '--output=my masks',
    )  # fmt: skip
    self.assertEqual((result.code, result.errors), (0, ''))
    sizes = {}
    for path in (self.root / 'my masks').glob('*_mask.png'):
      with Image.open(path) as mask:
        self.assertEqual(mask.mode, '1')
        sizes[path.name] = mask.size
    self.assertLen(sizes, 9)
    self.assertEqual(sizes['one pixel_mask.png'], (1, 1))
    self.assertEqual(sizes['line_mask.png'], (3000, 1))
    self.assertEqual(sizes['車 и ü ’_mask.png'], (96, 64))


if __name__ == '__main__':
  absltest.main()
