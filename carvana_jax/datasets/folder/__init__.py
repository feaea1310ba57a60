"""Users' own photos and masks, in any layout, as a TFDS data set."""
