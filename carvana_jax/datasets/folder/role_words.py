"""What the words in names of folders and files say of what is in them."""

import functools
import re
from collections.abc import Iterator
from typing import NamedTuple

PHOTO, MASK = 'photo', 'mask'
SECOND = 'second mask'  # of no use where there are others
OTHER = 'other'  # neither photos nor masks

_PHOTO_WORDS = (
  'image', 'images', 'img', 'imgs', 'im', 'ims', 'photo', 'photos', 'picture',
  'pictures', 'pic', 'pics', 'jpg', 'jpgs', 'jpeg', 'jpegs', 'rgb', 'input',
  'inputs', 'original', 'originals', 'source', 'src', 'sat', 'frame', 'frames',
  'unlabeled', 'unlabelled', 'foto', 'fotos', 'bild', 'bilder',
)  # fmt: skip
_MASK_WORDS = (
  'mask', 'masks', 'gt', 'gts', 'groundtruth', 'groundtruths', 'truth', 'label',
  'labels', 'matte', 'mattes', 'alpha', 'alphas', 'seg', 'segs', 'segmentation',
  'segmentations', 'segmentationclass', 'annotation', 'annotations', 'annot',
  'annots', 'ann', 'anns', 'target', 'targets', 'silhouette', 'silhouettes',
  'maske', 'masken', 'masque', 'masques', 'mascara', 'mascaras',
)  # fmt: skip
_SECOND_WORDS = (
  'object', 'objects', 'instance', 'instances', 'human', 'trimap', 'trimaps',
)  # fmt: skip
_OTHER_WORDS = (
  'visualization', 'visualizations', 'visualisation', 'visualisations', 'vis',
  'viz', 'overlay', 'overlays', 'preview', 'previews', 'thumb', 'thumbs',
  'thumbnail', 'thumbnails', 'edge', 'edges', 'contour', 'contours', 'depth',
  'masked', 'cutout', 'cutouts', 'composite', 'composites', 'probability',
)  # fmt: skip
# Of no meaning where they stand beside a word for photos or masks.
_FILLING = ('ground', 'class', 'png', 'machine', 'binary', 'set', 'dataset')

_SPLIT_WORDS = {
  **dict.fromkeys(('train', 'training', 'trn', 'tr'), 'train'),
  **dict.fromkeys(
    ('val', 'valid', 'validation', 'validate', 'dev', 'va'), 'validation'
  ),
  **dict.fromkeys(('test', 'testing', 'tst', 'ts', 'te'), 'test'),
}
_ROLES = {
  **dict.fromkeys(_PHOTO_WORDS, PHOTO),
  **dict.fromkeys(_MASK_WORDS, MASK),
}

_CAMEL = re.compile(r'(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])')
_WORD = re.compile(r'[^\W\d_]+|\d+')
_JOINED = re.compile(r'(train|test|valid|val)([a-z]+)')

_MASK_PATTERN = '|'.join(sorted(_MASK_WORDS, key=len, reverse=True))
_ROLE_PATTERN = '|'.join(sorted(_ROLES, key=len, reverse=True))
_AFTER = re.compile(rf'(.+)[\W_]+({_MASK_PATTERN})[)\]}}]?', re.IGNORECASE)
_CAMEL_AFTER = re.compile(r'(.+[a-z0-9])(Masks?|Matte|Seg|Gt|GT|Alpha|Label)')
_BEFORE = re.compile(rf'({_MASK_PATTERN})[\W_]+(.+)', re.IGNORECASE)
_WITHIN = re.compile(
  rf'(?:^|[\s_.-]+)({_ROLE_PATTERN})(?=$|[\W_\d])[\s_.-]*', re.IGNORECASE
)
_MASK_WORD = re.compile(
  rf'(?<![^\W\d_])({_MASK_PATTERN})(?![^\W\d_])', re.IGNORECASE
)
_NUMBERED = re.compile(
  rf'(.+?)[\s_.-]+(?:{_MASK_PATTERN})[\s_.-]*\d+', re.IGNORECASE
)
_SEPARATORS = ' _-.([{'


class Meaning(NamedTuple):
  """What the names of a file's folders say.

  Attributes:
    role: PHOTO, MASK, SECOND, OTHER, or '' where no word tells.
    split: train, validation, test, or '' where no word tells.
    rest: the folders' names without the words that told.
  """

  role: str
  split: str
  rest: tuple[str, ...]


@functools.cache
def of_folders(folders: tuple[str, ...]) -> Meaning:
  """Returns what the names say; the innermost one that says anything counts."""
  role = split = ''
  rest = []
  for name in folders:
    inner = of_name(name)
    role, split = inner.role or role, inner.split or split
    rest += inner.rest
  return Meaning(role, split, tuple(rest))


@functools.cache
def of_name(name: str) -> Meaning:
  """Returns what the words of a folder's name say."""
  roles, splits, rest, filling = set(), [], [], []
  for word in _words(name):
    if word in _ROLES:
      roles.add(_ROLES[word])
    elif word in _SECOND_WORDS:
      roles.add(SECOND)
      filling.append(word)
    elif word in _OTHER_WORDS:
      roles.add(OTHER)
    elif word in _SPLIT_WORDS:
      splits.append(_SPLIT_WORDS[word])
    else:
      (filling if word in _FILLING else rest).append(word)
  if splits:  # as in train_hq
    rest = [word for word in rest if word != 'hq']
  role = ''
  if OTHER in roles:
    role = OTHER
  elif SECOND in roles and (MASK in roles or 'trimap' in name.lower()):
    role = SECOND
  elif MASK in roles:
    role = MASK
  elif PHOTO in roles:
    role = PHOTO
  if not role:
    rest += filling
  return Meaning(role, splits[-1] if splits else '', tuple(rest))


def split(text: str) -> str | None:
  """Returns train, validation or test; None where the word is another."""
  return _SPLIT_WORDS.get(text.strip().lower())


def mask_cores(stem: str) -> Iterator[str]:
  """Yields what a photo may be called, by the name of its mask.

  Args:
    stem: the mask's name without its ending, such as `a_mask` or `mask-a`.

  Yields:
    Names without words for masks, the likeliest first.
  """
  for pattern, group in ((_AFTER, 1), (_CAMEL_AFTER, 1), (_BEFORE, 2)):
    core = stem
    while match := pattern.fullmatch(core):
      core = match[group]
      yield core
      if core != core.rstrip(_SEPARATORS):
        core = core.rstrip(_SEPARATORS)
        yield core
  if (inner := _core(stem)) != stem:
    yield inner
  if match := _NUMBERED.fullmatch(stem):
    yield match[1]


def is_mask_name(stem: str) -> bool:
  """Returns whether a word for masks is in a file's name."""
  return _MASK_WORD.search(_CAMEL.sub(' ', stem)) is not None


def photo_cores(stem: str) -> Iterator[str]:
  """Yields what a photo may be called without words for photos.

  Args:
    stem: its name without the ending, such as `image_1`.
  """
  if (inner := _core(stem)) != stem:
    yield inner


def _core(stem: str) -> str:
  """Returns a name without any words for photos and masks in it."""
  return _WITHIN.sub('_', stem).strip('_')


def _words(name: str) -> Iterator[str]:
  for word in _WORD.findall(_CAMEL.sub(' ', name)):
    word = word.lower()
    joined = _JOINED.fullmatch(word)
    if joined and word not in _SPLIT_WORDS and joined[2] in _ROLES:
      yield from joined.groups()
    else:
      yield word
