"""The original JPGs and GIFs at a network's size, as others read them."""

import cv2
import numpy as np
from PIL import Image


def photo(path, height, width):
  """uint8 [height, width, 3], averaged over areas."""
  pixels = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
  return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)


def mask(path, height, width):
  """uint8 [height, width], 0..255; OpenCV reads no GIF in most versions."""
  shape = np.array(Image.open(path).convert('L'))
  return cv2.resize(shape, (width, height), interpolation=cv2.INTER_AREA)
