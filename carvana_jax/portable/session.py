"""An exported network, run by ONNX Runtime on CPU cores."""

import os
import pathlib

import numpy as np
import onnxruntime

from carvana_jax.portable import facts
from carvana_jax.system import files
from carvana_jax.system import threads as cores
from carvana_jax.system.errors import UserError

# Of the pictures that a network is asked about at a time: 24 tiles of 128x128
# take a tenth longer than six times four, of which more fits a core's cache.
_PIXELS = 4 * 128 * 128
_SILENT = 4  # ONNX Runtime's level of logs: what it fails at, it raises


class Session:
  """A network of form `network`, see `forms.FORMS`; threads may share it.

  Attributes:
    facts: what its file says of it.
  """

  def __init__(self, session: onnxruntime.InferenceSession, about: facts.Facts):
    """Use `open`."""
    self.facts = about
    self._session = session

  def logits(self, images: np.ndarray) -> np.ndarray:
    """Asks the network.

    Args:
      images: uint8 [N, h, w, C], of the network's size and channels, N > 0.

    Returns:
      float32 [N, h, w]. The mean with the mirrored picture is taken where the
      network's config asks for it.
    """
    height, width = self.facts.size
    count = max(1, _PIXELS // (height * width))
    answers = [
      self._session.run(['logits'], {'image': images[at : at + count]})[0]
      for at in range(0, len(images), count)
    ]
    return np.concatenate(answers) if len(answers) > 1 else answers[0]


def open(file: str | os.PathLike, threads: int | None = None) -> Session:
  """Loads an exported network.

  Args:
    file: an .onnx file of `export`, or a .safetensors file, whose .onnx file is
      the one beside it.
    threads: how many cores it may use for a picture; None for all at hand.

  Returns:
    The network.

  Raises:
    UserError: the file is missing, damaged, of another program or form.
  """
  path = graph_of(file)
  options = onnxruntime.SessionOptions()
  options.intra_op_num_threads = threads or cores.core_count()
  options.log_severity_level = _SILENT
  # Threads that wait for work in a loop take cores from whoever has some.
  options.add_session_config_entry('session.intra_op.allow_spinning', '0')
  try:
    session = onnxruntime.InferenceSession(
      path, options, providers=['CPUExecutionProvider']
    )
  except Exception as error:  # its own kinds, which share no other base
    reason = ' '.join(str(error).split())
    raise UserError(
      f'{path} cannot be loaded ({reason}); export it again, with the files '
      'that belong beside it.'
    ) from error
  about = facts.read(session.get_modelmeta().custom_metadata_map, path)
  if about.form != 'network':
    raise UserError(
      f'{path} is of form {about.form}; export it again with --for=network.'
    )
  return Session(session, about)


def graph_of(file: str | os.PathLike) -> pathlib.Path:
  """Returns the .onnx file that a .onnx or .safetensors file stands for.

  Raises:
    UserError: there is none.
  """
  if not isinstance(file, str | os.PathLike):
    raise UserError(
      f'a network is given as a {type(file).__name__}; give the path of a file.'
    )
  path = files.expand(file)
  if path.suffix not in ('.onnx', '.safetensors'):
    raise UserError(
      f'{path} is neither an .onnx nor a .safetensors file; make one with '
      'python -m carvana_jax.export.'
    )
  graph = path.with_suffix('.onnx')
  if not graph.is_file():
    raise UserError(
      f'{graph} is missing; make it with python -m carvana_jax.export.'
    )
  return graph
