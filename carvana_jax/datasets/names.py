"""Names and sizes that flags and configs choose from."""

# The size of the challenge's photos.
ORIGINAL_SIZE = '1280x1918'
# The data sets, and the size in which masks of each are scored, unless a config
# says so.
FULL_SIZES = {'carvana': ORIGINAL_SIZE, 'studio': '256x384'}
# A composite's shadow, see `shadow`.
SHADOWS = ('own', 'synthetic', 'none')
