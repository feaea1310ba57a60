"""Listens for requests until a signal ends it, and then answers what it has."""

import functools
import json
import signal
import socket

import h11
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from carvana_jax.system.errors import UserError

_LOOPBACK = ('127.0.0.1', '::1', 'localhost')  # this machine to itself
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def listen(host: str, port: int) -> socket.socket:
  """Opens the socket to listen at.

  Args:
    host: a name or an address of this machine.
    port: its number; 0 for any that is free.

  Raises:
    UserError: that is not possible.
  """
  if not host:  # which would be all addresses
    raise UserError('--host is empty; give an address, such as 127.0.0.1.')
  family = socket.AF_INET6 if ':' in host else socket.AF_INET
  try:
    return socket.create_server((host, port), family=family, backlog=128)
  except (OSError, OverflowError) as error:
    reason = getattr(error, 'strerror', None) or error
    raise UserError(
      f'--host={host} --port={port} cannot be listened at ({reason}); choose '
      'others.'
    ) from error


def address(listening: socket.socket) -> str:
  """Returns the HOST:PORT that a socket listens at, as in URLs."""
  host, port = listening.getsockname()[:2]
  return f'[{host}]:{port}' if ':' in host else f'{host}:{port}'


def names(host: str) -> list[str] | None:
  """Returns what requests may call this machine, or None for anything.

  A page of another site may have its own name lead to this machine, and so
  reach what listens to this machine alone.

  Args:
    host: the address that is listened at.
  """
  return [*_LOOPBACK, '[::1]'] if host in _LOOPBACK else None


def run(app: Starlette, listening: socket.socket, seconds: float) -> None:
  """Answers requests until SIGINT or SIGTERM, and those begun by then.

  Args:
    app: the application, see `app.build`.
    listening: the socket to listen at.
    seconds: which a request, or its answer, takes on its way at most.
  """
  config = uvicorn.Config(
    app,
    loop='asyncio',
    http=functools.partial(_Connection, seconds),
    ws='none',
    lifespan='off',
    log_level='error',
    log_config=None,
    access_log=False,
    server_header=False,
    timeout_keep_alive=seconds,
    timeout_graceful_shutdown=seconds + 1,
  )
  server = _Server(config)
  for number in _SIGNALS:
    # uvicorn raises the signal once more when it has ended in good order.
    signal.signal(number, lambda *_: None)
  server.run(sockets=[listening])


class _Server(uvicorn.Server):
  def handle_exit(self, sig, frame):
    """Lets no more photos in, at the first signal."""
    self.config.app.state.line.stopping = True
    super().handle_exit(sig, frame)


class _Connection(H11Protocol):
  """A connection that is closed if it is too slow.

  uvicorn waits forever for the rest of a request's header, for that of a body
  which is not wanted any more, and for clients that don't read their answer.
  """

  def __init__(self, seconds: float, **options):
    super().__init__(**options)
    self._seconds = seconds
    self._asking = None  # the timer of a request that has not come as a whole
    self._answering = None  # that of an answer that is not read

  def connection_made(self, transport):
    super().connection_made(transport)
    self._watch()

  def data_received(self, data):
    super().data_received(data)
    self._watch()

  def on_response_complete(self):
    super().on_response_complete()
    self._watch()

  def connection_lost(self, exc):
    super().connection_lost(exc)
    for timer in (self._asking, self._answering):
      if timer:
        timer.cancel()

  def pause_writing(self):
    super().pause_writing()
    self._answering = self._abort_later()

  def resume_writing(self):
    super().resume_writing()
    if self._answering:
      self._answering.cancel()

  def send_400_response(self, msg):
    """Says that this is not HTTP, unless an answer is already on its way."""
    text = json.dumps({'error': f'{msg.rstrip(".")}; see RFC 9112.'}) + '\n'
    if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
      self.transport.write(
        b'HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n'
        b'Connection: close\r\nContent-Length: %d\r\n\r\n'
        % len(text)
        + text.encode()
      )
    self.transport.close()

  def _watch(self):
    """Starts or stops the time in which the next request has to come."""
    if self.cycle and not self.cycle.response_complete:
      if self._asking:
        self._asking.cancel()
      self._asking = None
    elif self._asking is None:
      self._asking = self._abort_later()

  def _abort_later(self):
    return self.loop.call_later(self._seconds, self.transport.abort)
