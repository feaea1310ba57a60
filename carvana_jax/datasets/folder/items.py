"""A photo of a user's folder, with all that the folder tells of it."""

from typing import NamedTuple

from carvana_jax.datasets.file_listing import File


class Item(NamedTuple):
  """A photo, and its mask where there is one.

  Attributes:
    name: the path of the photo's file below the folder of all photos, with
      slashes, such as `a.jpg` or `car1/a.jpg`; no two are equal.
    photo: the file; None for a mask without a photo.
    mask: the file; None for a photo without a mask.
    split: train, validation or test, where the folder says so; else None.
    group: the object that is shown, where a table says so; else None.
  """

  name: str
  photo: File | None
  mask: File | None
  split: str | None = None
  group: str | None = None
