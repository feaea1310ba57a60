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
