"""The command itself, over sockets: odd requests, slow clients, its end."""

import collections
import contextlib
import io
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import numpy as np
from absl.testing import absltest, parameterized
from PIL import Image

from benchmarks import bright_network, malformed_bodies, serving
from carvana_jax.serving import server
from carvana_jax.system.errors import UserError
from tests.helpers.commands import ROOT

_SECONDS = 1.5  # of --timeout


def jpg(height, width):
  photo = np.zeros((height, width, 3), np.uint8)
  photo[height // 4 :, width // 4 : width // 2] = 250
  stream = io.BytesIO()
  Image.fromarray(photo).save(stream, 'JPEG')
  return stream.getvalue()


def started(network, *more):
  """Starts the command, and returns it with its port."""
  process = subprocess.Popen(
    [
      sys.executable, '-m', 'carvana_jax.serve', f'--workdir={network}',
      '--port=0', '--workers=1', '--queue=9', f'--timeout={_SECONDS}', *more,
    ],
    cwd=ROOT,
    env=os.environ | {'PYTHONUNBUFFERED': '1'},
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )  # fmt: skip
  said = process.stdout.readline()
  port = re.search(r':(\d+) ', said)
  assert port, f'{said}{process.communicate()[1]}'
  return process, int(port[1])


def wait_for_inside(port, count):
  """Waits until so many photos are under way; returns all figures."""
  url = f'http://127.0.0.1:{port}/metrics'
  line = b'\ncarvana_photos_inside %d.0\n' % count
  latest = time.monotonic() + 20
  while True:
    with urllib.request.urlopen(url) as answer:
      text = answer.read()
    if line in text:
      return text
    assert time.monotonic() < latest, text
    time.sleep(0.01)


class ServerTest(parameterized.TestCase):
  """One server for all tests, whose end is the last of them."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = cls.enterClassContext(tempfile.TemporaryDirectory())
    network = pathlib.Path(folder) / 'bright.onnx'
    bright_network.write(network)
    cls.process, cls.port = started(network)

  @classmethod
  def tearDownClass(cls):
    super().tearDownClass()
    cls.process.terminate()
    _, errors = cls.process.communicate(timeout=20)
    assert (cls.process.returncode, errors) == (0, ''), errors

  def connected(self):
    connection = socket.create_connection(('127.0.0.1', self.port), 10)
    self.addCleanup(connection.close)
    return connection

  def said(self, *parts):
    """Sends bytes as they are, and returns all that the server says."""
    connection = self.connected()
    with contextlib.suppress(ConnectionError):
      for part in parts:
        connection.sendall(part)
    answer = b''
    with contextlib.suppress(ConnectionError):
      while part := connection.recv(1 << 16):
        answer += part
    return answer

  def post(self, data):
    url = f'http://127.0.0.1:{self.port}/mask'
    with urllib.request.urlopen(urllib.request.Request(url, data)) as answer:
      return np.asarray(Image.open(io.BytesIO(answer.read())))

  def test_a_photo(self):
    mask = self.post(jpg(80, 120))
    self.assertEqual(mask.shape, (80, 120))
    self.assertTrue(mask[60, 45])
    self.assertFalse(mask[:10].any() or mask[:, 80:].any())

  def test_a_photo_in_chunks(self):
    data = jpg(40, 60)
    head = b'POST /mask HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n'
    answer = self.said(
      head + b'Transfer-Encoding: chunked\r\n\r\n',
      b'10\r\n' + data[:16] + b'\r\n',
      b'%x\r\n' % (len(data) - 16) + data[16:] + b'\r\n0\r\n\r\n',
    )
    self.assertStartsWith(answer, b'HTTP/1.1 200 ')

  @parameterized.parameters(
    (b'GARBAGE\r\n\r\n',),
    (b'\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n',),  # TLS
    (b'POST /mask HTTP/1.1\r\n\r\n',),  # no Host
    (b'POST /mask HTTP/1.1\r\nHost: localhost\r\nContent-Length: a\r\n\r\n',),
    (b'POST /mask HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n',),
    (
      b'POST /mask HTTP/1.1\r\nHost: localhost\r\n'
      b'Transfer-Encoding: chunked\r\n\r\nzz\r\n',
    ),
    (b'GET / HTTP/1.1\r\nHost: localhost\r\nA: ' + b'a' * 100_000,),
  )
  def test_what_is_no_http(self, data):
    answer = self.said(data)
    self.assertStartsWith(answer, b'HTTP/1.1 400 ')
    body = answer.partition(b'\r\n\r\n')[2]
    self.assertEqual(body.count(b'\n'), 1)
    self.assertIn('error', json.loads(body))

  def test_requests_of_the_benchmark(self):
    answers = serving.ask_all(self.port, serving.small_photos(102), 3)
    found = collections.Counter(status for status, _ in answers)
    self.assertEqual(found, {200: 99, 422: 3})
    for parts in malformed_bodies.quick(40):
      answer = serving.status_of(self.port, parts)
      self.assertIn(answer, (200, 400, 408, 413, 415, 422, 'none'), parts)

  def test_slow_clients_are_let_go(self):
    begun = time.monotonic()
    head = b'POST /mask HTTP/1.1\r\nHost: localhost\r\n'
    slow = [
      b'',
      head,
      head + b'Content-Length: 100\r\n\r\n',
      head + b'Content-Length: 99999999999\r\n\r\n',  # refused at once
    ]
    answers = [None] * len(slow)

    def ask(number):
      answers[number] = self.said(slow[number])

    asking = [threading.Thread(target=ask, args=[x]) for x in range(len(slow))]
    for thread in asking:
      thread.start()
    self.assertEqual(self.post(jpg(40, 60)).shape, (40, 60))  # meanwhile
    for thread in asking:
      thread.join()
    self.assertLess(time.monotonic() - begun, 4 * _SECONDS)
    self.assertEqual(answers[:2], [b'', b''])
    self.assertStartsWith(answers[2], b'HTTP/1.1 408 ')
    self.assertStartsWith(answers[3], b'HTTP/1.1 413 ')

  def test_clients_that_go_away(self):
    for sent in (0, 20, 2000):
      connection = self.connected()
      head = b'POST /mask HTTP/1.1\r\nHost: localhost\r\n'
      connection.sendall(head + b'Content-Length: 2000\r\n\r\n' + bytes(sent))
      connection.close()
    wait_for_inside(self.port, 0)
    self.assertEqual(self.post(jpg(40, 60)).shape, (40, 60))
    self.assertIn(b'status="499"', wait_for_inside(self.port, 0))


class EndTest(parameterized.TestCase):
  def setUp(self):
    """Stops a server that has got a photo but for its last byte."""
    super().setUp()
    with tempfile.TemporaryDirectory() as folder:
      network = pathlib.Path(folder) / 'bright.onnx'
      bright_network.write(network)
      self.process, port = started(network, '--timeout=20')
      self.addCleanup(self.process.kill)
    data = jpg(1500, 2000)
    self.connection = socket.create_connection(('127.0.0.1', port), 10)
    self.addCleanup(self.connection.close)
    self.connection.sendall(
      b'POST /cutout HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n'
      % len(data)
      + data[:-1]
    )
    self.last = data[-1:]
    wait_for_inside(port, 1)
    self.process.send_signal(signal.SIGINT)
    with self.assertRaises(ConnectionRefusedError):
      for _ in range(1000):
        socket.create_connection(('127.0.0.1', port)).close()
        time.sleep(0.01)

  def answer(self):
    """Returns the answer's head and body, after a good end."""
    with self.connection.makefile('rb') as stream:
      head, _, body = stream.read().partition(b'\r\n\r\n')
    _, errors = self.process.communicate(timeout=20)
    self.assertEqual((self.process.returncode, errors), (0, ''))
    return head, body

  def test_photos_that_have_come_are_answered(self):
    self.connection.sendall(self.last)
    head, body = self.answer()
    self.assertStartsWith(head, b'HTTP/1.1 200 OK\r\n')
    self.assertEqual(Image.open(io.BytesIO(body)).size, (2000, 1500))

  def test_a_second_signal(self):
    self.process.send_signal(signal.SIGINT)
    head, body = self.answer()
    self.assertStartsWith(head, b'HTTP/1.1 503 ')
    self.assertIn('stopped', json.loads(body)['error'])


class ListenTest(parameterized.TestCase):
  def test_a_port_that_is_taken(self):
    with server.listen('127.0.0.1', 0) as first:
      port = first.getsockname()[1]
      self.assertEqual(server.address(first), f'127.0.0.1:{port}')
      with self.assertRaisesRegex(UserError, f'--port={port} .*in use'):
        server.listen('127.0.0.1', port)

  @parameterized.parameters('203.0.113.1', 'a b', '')
  def test_no_address_of_this_machine(self, host):
    with self.assertRaisesRegex(UserError, '^--host'):
      server.listen(host, 0)


if __name__ == '__main__':
  absltest.main()
