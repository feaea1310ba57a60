"""What the server answers, path by path."""

import asyncio
import functools
import json
import logging
import time
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from carvana_jax.serving import answers, openapi
from carvana_jax.serving.limits import Limits, Refused, read_body
from carvana_jax.serving.metrics import CONTENT_TYPE, Metrics
from carvana_jax.serving.worker import Line

_FRAMES = "frame-ancestors 'none'"  # the page's own policy has the rest
_HEADERS = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': f"default-src 'none'; {_FRAMES}",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
}
_GONE = 499  # a status for figures only, as of nginx
_OTHER_SITES = ('cross-site', 'same-site')  # values of Sec-Fetch-Site
_LOG = logging.getLogger(__name__)


def build(
  remove: Callable[[np.ndarray], Any],
  limits: Limits,
  page: str,
  hosts: Collection[str] | None = None,
) -> Starlette:
  """Makes the application.

  Args:
    remove: takes pixels, as a `portable.remover.Remover`; several threads call
      it at once.
    limits: what photos may take.
    page: the page, HTML.
    hosts: the names that requests may call this machine by; None: any.

  Returns:
    The application; its `state.line` is the line of photos.
  """
  line = Line(limits)
  metrics = Metrics(line)
  gets = _gets(page, openapi.document(limits), metrics, line)
  photo = functools.partial(_photo, remove=remove, limits=limits, line=line)
  app = Starlette(
    routes=[
      *(Route(path, answer, methods=['GET']) for path, answer in gets.items()),
      *(
        Route(path, functools.partial(photo, answer), methods=['POST'])
        for path, answer in answers.BY_PATH.items()
      ),
    ],
    middleware=[
      Middleware(
        _Entrance,
        metrics=metrics,
        paths={*gets, *answers.BY_PATH},
        hosts=hosts,
      )
    ],
    exception_handlers={Refused: _refusal, HTTPException: _no_such_route},
  )
  app.router.redirect_slashes = False
  app.state.line = line
  return app


def _gets(page, document, metrics, line):
  """Returns what is answered without a photo, by path."""

  async def show_page(_):
    return HTMLResponse(page, headers={'Content-Security-Policy': _FRAMES})

  async def show_openapi(_):
    return JSONResponse(document)

  async def show_metrics(_):
    return Response(metrics.text(), media_type=CONTENT_TYPE)

  async def health(_):
    return JSONResponse({'status': 'live'})

  async def ready(_):
    line.refuse_if_stopping()
    return JSONResponse({'status': 'ready'})

  return {
    '/': show_page,
    '/openapi.json': show_openapi,
    '/metrics': show_metrics,
    '/health': health,
    '/ready': ready,
  }


class _Entrance:
  """Where every request comes in, and every answer goes out."""

  def __init__(
    self,
    app: ASGIApp,
    metrics: Metrics,
    paths: Collection[str],
    hosts: Collection[str] | None,
  ):
    self._app = app
    self._metrics = metrics
    self._paths = paths
    self._hosts = hosts

  async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers a request, see ASGI's specification."""
    if scope['type'] != 'http':
      return await self._app(scope, receive, send)
    begun, started = time.monotonic(), False
    path = scope['path'] if scope['path'] in self._paths else 'other'

    async def answer(message):
      nonlocal started
      if message['type'] == 'http.response.start':
        started, status = True, message['status']
        headers = MutableHeaders(scope=message)
        for name, value in _HEADERS.items():
          headers.setdefault(name, value)
        is_made = status == 200 and path in answers.BY_PATH
        seconds = time.monotonic() - begun if is_made else None
        self._metrics.count(path, status, seconds)
      await send(message)

    request = Request(scope, receive)
    try:
      self._refuse_strangers(request)
      await self._app(scope, receive, answer)
    except Refused as refused:
      response = await _refusal(request, refused)
      await response(scope, receive, answer)
    except asyncio.CancelledError:  # by a second signal, or late at the end
      if not started:
        response = _error(503, 'the server has stopped; try again in a while.')
        await response(scope, receive, answer)
    except Exception:
      if started:
        raise
      _LOG.exception('a bug, at %s', scope['path'])
      response = _error(500, 'the server has a bug; its log says which.')
      await response(scope, receive, answer)

  def _refuse_strangers(self, request):
    """Refuses what pages of other sites have a browser send."""
    host = request.headers.get('Host', '').lower()
    name = host.rpartition(':')[0] if host[-1:].isdecimal() else host
    if self._hosts is not None and (name or host) not in self._hosts:
      raise Refused(
        421,
        f'{host[:100]!r} is not this machine; open http://127.0.0.1, or let '
        'the proxy send that as Host.',
      )
    # Links are welcome.
    if request.method == 'POST' and _is_from_another_site(request, host):
      raise Refused(403, 'pages of other sites may not use this server.')


def _is_from_another_site(request, host):
  """Whether another site's page has a browser send this."""
  site = request.headers.get('Sec-Fetch-Site')
  if site is not None:
    return site in _OTHER_SITES
  # Browsers send that to loopback and over HTTPS only, and Origin always.
  origin = request.headers.get('Origin')
  return origin is not None and origin.lower().partition('://')[2] != host


async def _photo(answer, request, *, remove, limits, line):
  """Makes an answer of the photo that is sent."""
  if request.headers.get('Content-Type', '').lower().startswith('multipart/'):
    raise Refused(
      415,
      'send the bytes of one photo, not a form: curl --data-binary @photo.jpg '
      'URL',
    )
  if request.headers.get('Content-Encoding', 'identity') != 'identity':
    raise Refused(415, 'send the photo as it is, without Content-Encoding.')
  values = answers.values_of(
    answer, request.query_params, request.headers.get('Accept', '')
  )
  late = Refused(
    408, f'the photo has not arrived in {limits.seconds:g} s; send it faster.'
  )
  with line.place():
    try:
      async with asyncio.timeout(limits.seconds):
        data = await read_body(request, limits.megabytes)
        late = Refused(
          503,
          f'the photo took more than {limits.seconds:g} s; try again later, or '
          'make it smaller.',
          {'Retry-After': '10'},
        )
        made = await _unless_gone(
          request,
          line.work(
            lambda: answers.make(
              answer, values, data, remove, limits.megapixels
            )
          ),
        )
    except TimeoutError as error:
      raise late from error
    except ClientDisconnect:
      return Response(status_code=_GONE)  # which nobody gets
  return Response(made, media_type=answer.kind(values))


async def _unless_gone(request, work):
  """Waits for work as long as the client does.

  Raises:
    ClientDisconnect: the client has gone.
  """
  work = asyncio.ensure_future(work)
  gone = asyncio.ensure_future(request.receive())
  try:
    await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
    if not work.done():
      raise ClientDisconnect
    return work.result()
  finally:
    work.cancel()
    gone.cancel()


async def _refusal(_, refused):
  return _error(refused.status, str(refused), refused.headers)


async def _no_such_route(request, error):
  """Says what is wrong with a path or a method."""
  if error.status_code == 405:
    allowed = error.headers['Allow']
    text = f'{request.url.path} answers {allowed}, not {request.method}.'
  else:
    text = 'there is no such path; /openapi.json lists those that there are.'
  return _error(error.status_code, text, error.headers)


def _error(status, text, headers=None):
  return Response(
    json.dumps({'error': text}, ensure_ascii=False) + '\n',
    status,
    headers,
    'application/json',
  )
