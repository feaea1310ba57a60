"""The browser's runtime: from a registry, a file or a folder, or not at all."""

import base64
import hashlib
import http.server
import io
import os
import pathlib
import tarfile
import tempfile
import threading
from unittest import mock

from absl.testing import absltest

from carvana_jax.page import runtime
from carvana_jax.system.errors import UserError

SCRIPT, BINARY = b'export default 1;', b'\0asm'


def archive(**others):
  """A package, and files that nobody asked for."""
  members = {
    '../evil': b'evil',
    'package/dist/ort.wasm.bundle.min.mjs': SCRIPT,
    'package/dist/ort-wasm-simd-threaded.wasm': BINARY,
  } | others
  stream = io.BytesIO()
  with tarfile.open(fileobj=stream, mode='w:gz') as file:
    for name, data in members.items():
      info = tarfile.TarInfo(name)
      info.size = len(data)
      file.addfile(info, io.BytesIO(data))
  return stream.getvalue()


class Registry(http.server.BaseHTTPRequestHandler):
  """A registry that has one file, and counts who asks for it."""

  content = b''
  asked = 0

  def do_GET(self):
    Registry.asked += 1
    is_there = self.path == '/npm/onnxruntime-web/-/onnxruntime-web-1.30.0.tgz'
    self.send_response(200 if is_there else 404)
    self.end_headers()
    if is_there:
      self.wfile.write(Registry.content)

  def log_message(self, *_):
    pass


class RuntimeTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Registry)
    threading.Thread(target=cls.server.serve_forever, daemon=True).start()
    cls.addClassCleanup(cls.server.server_close)
    cls.addClassCleanup(cls.server.shutdown)

  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = pathlib.Path(folder.name)
    Registry.content, Registry.asked = archive(), 0
    sha256 = lambda data: hashlib.sha256(data).hexdigest()
    integrity = hashlib.sha512(Registry.content).digest()
    for name, value in (
      ('_INTEGRITY', base64.b64encode(integrity).decode()),
      ('_MEMBERS', dict(zip(
        runtime._MEMBERS, (sha256(SCRIPT), sha256(BINARY)), strict=True
      ))),
    ):  # fmt: skip
      patch = mock.patch.object(runtime, name, value)
      patch.start()
      self.addCleanup(patch.stop)
    self.use('/npm/')

  def use(self, path, port=None):
    port = port or self.server.server_port
    patch = mock.patch.dict(os.environ, {
      'npm_config_registry': f'http://127.0.0.1:{port}{path}',
      'XDG_CACHE_HOME': str(self.folder / 'cache'),
    })  # fmt: skip
    patch.start()
    self.addCleanup(patch.stop)

  def refused(self, words, given=None):
    with self.assertRaisesRegex(UserError, words) as caught:
      runtime.load(given)
    self.assertNotIn('\n', str(caught.exception))
    self.assertIn('npm pack onnxruntime-web@1.30.0', str(caught.exception))

  def test_it_is_fetched_once(self):
    with mock.patch('builtins.print') as printed:
      for _ in range(2):
        self.assertEqual(runtime.load()[:2], (SCRIPT, BINARY))
    self.assertEqual(Registry.asked, 1)
    (line,) = [call.args[0] for call in printed.call_args_list]
    self.assertRegex(
      line, r'^fetching http://127.0.0.1:\d+/npm/onnxruntime-web'
    )
    self.assertEqual(list(self.folder.rglob('evil')), [])
    (kept,) = self.folder.glob('cache/*/*')
    kept.write_bytes(b'damaged')
    with mock.patch('builtins.print'):
      self.assertEqual(runtime.load()[:2], (SCRIPT, BINARY))
    self.assertEqual(Registry.asked, 2)

  @mock.patch('builtins.print')
  def test_a_registry_without_it(self, _):
    self.use('/elsewhere')
    self.refused("tgz can't be fetched: HTTP Error 404")
    self.use('/npm', port=9)  # where nobody listens
    self.refused("tgz can't be fetched: ")
    self.use('/npm')
    Registry.content = archive(more=b'x')
    self.refused('does not have the bytes that are pinned')
    self.assertEmpty(list(self.folder.rglob('*.tgz')))

  def test_a_file_or_a_folder(self):
    file = self.folder / 'own.tgz'
    file.write_bytes(Registry.content)
    self.assertEqual(runtime.load(file)[:2], (SCRIPT, BINARY))
    (self.folder / 'dist').mkdir()
    for name, data in zip(runtime._MEMBERS, (SCRIPT, BINARY), strict=True):
      (self.folder / name).write_bytes(data)
    found = runtime.load(self.folder)
    self.assertEqual(found[:3], (SCRIPT, BINARY, 'ONNX Runtime Web 1.30.0'))
    self.assertIn('Copyright (c) Microsoft Corporation', found.licence)
    self.assertEqual(Registry.asked, 0)
    (self.folder / name).write_bytes(b'other')
    self.refused(f'{name} in .* is not that of onnxruntime-web', self.folder)
    (self.folder / name).unlink()
    self.refused(f"{name} can't be read", self.folder)
    file.write_bytes(archive(more=b'x'))
    self.refused('own.tgz is not onnxruntime-web-1.30.0.tgz as npm', file)
    self.refused("none.tgz can't be read", self.folder / 'none.tgz')


if __name__ == '__main__':
  absltest.main()
