"""The program that runs networks in browsers: ONNX Runtime Web.

One pinned version comes from the npm registry and is kept in the user's cache
folder. Two members of its archive are read, whose digests are pinned, too.
"""

import base64
import hashlib
import http.client
import io
import os
import pathlib
import tarfile
import urllib.request

from carvana_jax.page.build import Runtime
from carvana_jax.system import files, progress
from carvana_jax.system.errors import UserError

VERSION = '1.30.0'
# MIT; the package itself holds no copy of it.
_LICENCE = pathlib.Path(__file__).with_name('licence.txt')

_PACKAGE = f'onnxruntime-web-{VERSION}.tgz'
_REGISTRY = 'https://registry.npmjs.org'
# SHA-512, as the registry tells it.
_INTEGRITY = (
  'q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1Sig'
  'qR4CXAfKYQ=='
)
_MOST_BYTES = 50_000_000  # of the archive, which has 33 million
_SECONDS = 60  # without a byte
# The files that are read, in the order of `Runtime`, and their SHA-256.
_MEMBERS = {
  'dist/ort.wasm.bundle.min.mjs': (
    '11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90'
  ),
  'dist/ort-wasm-simd-threaded.wasm': (
    '3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2'
  ),
}


def load(given: pathlib.Path | None = None) -> Runtime:
  """Returns the runtime, which is fetched if it is not in the cache folder.

  Args:
    given: the package, its archive or a folder that it was unpacked to, to be
      used instead.

  Raises:
    UserError: it can't be had, or is not what is pinned here.
  """
  if given is None:
    read = _members_of(_cached())
  elif given.is_dir():
    read = lambda name: (given / name).read_bytes()
  else:
    read = _members_of(_archive(given))
  try:
    found = [read(name) for name in _MEMBERS]
  except OSError as error:
    raise UserError(
      f"{error.filename} can't be read: {error.strerror}; {_remedy()}"
    ) from error
  for data, (name, digest) in zip(found, _MEMBERS.items(), strict=True):
    if hashlib.sha256(data).hexdigest() != digest:
      raise UserError(
        f'{name} in {given} is not that of onnxruntime-web {VERSION}; '
        f'{_remedy()}'
      )
  return Runtime(*found, f'ONNX Runtime Web {VERSION}', _LICENCE.read_text())


def _remedy():
  return (
    f'give --runtime the file that npm pack onnxruntime-web@{VERSION} makes.'
  )


def _archive(path):
  try:
    data = path.read_bytes()
  except OSError as error:
    raise UserError(
      f"{path} can't be read: {error.strerror}; {_remedy()}"
    ) from error
  if not _is_pinned(data):
    raise UserError(f'{path} is not {_PACKAGE} as npm has it; {_remedy()}')
  return data


def _is_pinned(data):
  digest = base64.b64encode(hashlib.sha512(data).digest()).decode()
  return digest == _INTEGRITY


def _members_of(data):
  """Returns a function from names to the bytes of an archive's members."""
  with tarfile.open(fileobj=io.BytesIO(data)) as archive:
    found = {
      name: archive.extractfile(f'package/{name}').read() for name in _MEMBERS
    }
  return found.__getitem__


def _cached():
  """Returns the bytes of the archive."""
  caches = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
  path = files.expand(caches) / 'carvana_jax' / _PACKAGE
  try:
    data = path.read_bytes()
    if _is_pinned(data):
      return data
  except OSError:  # most often it is not there
    pass
  data = _fetched()
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, data)
  except OSError as error:
    print(f'{path} could not be kept: {error.strerror}')
  return data


def _fetched():
  # npm's own spelling comes first, as npm passes it on.
  names = 'npm_config_registry', 'NPM_CONFIG_REGISTRY'
  given = (os.environ.get(name) for name in names)
  registry = next(filter(None, given), _REGISTRY)
  url = f'{registry.rstrip("/")}/onnxruntime-web/-/{_PACKAGE}'
  if not url.startswith(('https://', 'http://')):
    raise UserError(f'npm_config_registry={registry} is no URL; correct it.')
  print(f'fetching {url} (33 MB), which runs networks in browsers')
  try:
    data = _download(url)
  except (OSError, ValueError, http.client.HTTPException) as error:
    raise UserError(f"{url} can't be fetched: {error}; {_remedy()}") from error
  if not _is_pinned(data):
    raise UserError(
      f'{url} does not have the bytes that are pinned (SHA-512); {_remedy()}'
    )
  return data


def _download(url):
  data = b''
  with (
    urllib.request.urlopen(url, timeout=_SECONDS) as answer,
    progress.bar(total=33, unit='MB') as bar,
  ):
    while len(data) < _MOST_BYTES and (part := answer.read(10**6)):
      data += part
      bar.update()
  return data
