"""Names and sizes that flags, configs and files of several rooms share."""

# The size of the challenge's photos.
ORIGINAL_SIZE = '1280x1918'
# In place of a size: each photo at its own.
OWN_SIZE = 'original'
# The data sets, and the size in which masks of each are scored, unless a config
# says so.
FULL_SIZES = {
  'carvana': ORIGINAL_SIZE,
  'studio': '256x384',
  'folder': OWN_SIZE,
}
# A composite's shadow, see `shadow`.
SHADOWS = ('own', 'synthetic', 'none')
# What the files that are made of a photo add to its name.
MASK_ENDING = '_mask.png'
PROBABILITY_ENDING = '_probability.png'
CUTOUT_ENDINGS = {'png': '_cutout.png', 'webp': '_cutout.webp'}
COMPOSITE_ENDING = '_composite.jpg'


def is_own(dataset: str) -> bool:
  """Returns whether a data set is of users' own photos.

  Args:
    dataset: its name, or what TFDS calls it with size and version.
  """
  return dataset.partition('/')[0] == 'folder'


def object_word(dataset: str) -> str:
  """Returns what messages call that which is cut out, see `is_own`."""
  return 'object' if is_own(dataset) else 'car'


def group_word(dataset: str) -> str:
  """Returns what messages call the photos of one object, see `is_own`."""
  return 'group' if is_own(dataset) else 'car'


def size_text(size: str) -> str:
  """Returns a size in words: HEIGHTxWIDTH as it is, or that of each photo."""
  return "each photo's own size" if size == OWN_SIZE else size
