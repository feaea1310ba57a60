"""Joins the page's files, and what it is to work with, into one HTML file."""

import base64
import gzip
import html
import json
import pathlib
import re
from typing import NamedTuple

from carvana_jax.masks import from_logits
from carvana_jax.portable import facts

_FOLDER = pathlib.Path(__file__).parent
# The scripts, in an order in which each uses only those before it.
WORKER = (
  'checksums', 'worker/pictures', 'worker/resizing', 'worker/fitting',
  'worker/cleaning', 'worker/from_logits', 'worker/filters', 'worker/distance',
  'worker/cutout', 'worker/shadow', 'worker/composite', 'worker/pngs',
  'worker/refusals', 'worker/files', 'worker/photos', 'worker/asking_here',
  'worker/asking_there', 'worker/tasks', 'worker/answering',
)  # fmt: skip
_WINDOW = (
  'checksums', 'window/elements', 'window/helper', 'window/names',
  'window/album', 'window/choices', 'window/stage', 'window/list',
  'window/zips', 'window/downloads', 'window/entry', 'window/main',
)  # fmt: skip
# Nothing is loaded from elsewhere, or sent but to the server of the page.
_POLICY = (
  "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval' blob:; "
  "worker-src blob:; style-src 'unsafe-inline'; img-src blob: data:; "
  "connect-src {}; base-uri 'none'; form-action 'none'"
)


class Runtime(NamedTuple):
  """The program that runs a network in a browser."""

  script: bytes  # a module of JavaScript
  binary: bytes  # WebAssembly
  name: str  # with its version
  licence: str


def page(
  about: facts.Facts,
  network: bytes | None = None,
  runtime: Runtime | None = None,
) -> str:
  """Returns the page.

  Args:
    about: what the network says of itself.
    network: an ONNX file of form `network`; None for a page that asks the
      server that it came from.
    runtime: what runs the network; None where there is none.
  """
  own = network is not None
  values = {
    'policy': _POLICY.format("'none'" if own else "'self'"),
    'title': f'Cut out {html.escape(about.object)}s',
    'style': _read('page.css'),
    'privacy': (
      'Photos stay on this device: the page works without a network.'
      if own
      else 'Photos are sent to the server that this page came from.'
    ),
    'about': html.escape(_sentence(about)),
    'licence': _licence(runtime) if own else '',
    'data': _data(about, network, runtime),
    'script': script(_WINDOW),
  }
  return re.sub(
    r'\{\{(\w+)\}\}', lambda match: values[match[1]], _read('page.html')
  )


def script(names: tuple[str, ...] = WORKER) -> str:
  """Returns scripts as one.

  Args:
    names: their paths below this folder, without endings.
  """
  return '\n'.join(_read(f'{name}.js') for name in names)


def _read(name):
  return (_FOLDER / name).read_text()


def _sentence(about):
  made = f', by commit {about.commit[:12]}' if about.commit else ''
  return (
    f'Made with carvana_jax: the network of the run {about.run}, step '
    f'{about.step}{made}. It looks at a photo at '
    f'{about.size[1]}x{about.size[0]} pixels; what it is unsure of may be '
    'wrong, so look before you use a picture.'
  )


def _licence(runtime):
  return (
    f'<p>{runtime.name} runs the network. Its licence:</p>\n'
    f'<pre>{html.escape(runtime.licence)}</pre>'
  )


def _data(about, network, runtime):
  """Returns elements that hold what the scripts work with."""
  known = {
    'size': about.size,
    'fit': about.fit,
    'level': from_logits.level_of(about.threshold),
    'cleaning': about.cleaning,
    'object': about.object,
  }
  # JSON may hold what ends a script, but for its escapes.
  text = json.dumps(known).replace('<', '\\u003c')
  elements = [_element('facts', 'application/json', text)]
  elements.append(_element('worker', 'text/plain', script()))
  if network is not None:
    inside = ('script', runtime.script), ('binary', runtime.binary)
    for name, data in (*inside, ('network', network)):
      packed = base64.b64encode(gzip.compress(data, mtime=0)).decode()
      elements.append(_element(name, 'application/gzip;base64', packed))
  return '\n'.join(elements)


def _element(name, kind, text):
  return f'<script type="{kind}" id="{name}">{text}</script>'
