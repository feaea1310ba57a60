"""The server described as an OpenAPI document, which other programs read."""

from typing import Any

from carvana_jax.serving import answers
from carvana_jax.serving.limits import Limits

# What may be wrong: status of HTTP -> description.
_ANYWHERE = {
  421: 'The header Host names another machine.',
  500: 'A bug.',
}
_STOPPING = {503: 'The server is stopping.'}
_OF_PHOTOS = {
  403: 'A page of another site sent this.',
  408: 'The photo did not arrive in time.',
  413: 'The photo has too many bytes or pixels.',
  415: 'This is no image, or a form.',
  422: 'The image is damaged, or a value in the query is wrong.',
  429: 'Too many photos are under way; Retry-After says when to try again.',
  503: 'The photo took too long, or the server is stopping.',
}
_TEXT = {'type': 'string'}
# path -> (summary, media type, what else may be answered)
_GETS = {
  '/': ('A page that sends photos here.', 'text/html', {}),
  '/openapi.json': ('This document.', 'application/json', {}),
  '/metrics': ("The server's figures, for Prometheus.", 'text/plain', {}),
  '/health': ('Whether the server lives.', 'application/json', {}),
  '/ready': ('Whether it takes photos.', 'application/json', _STOPPING),
}


def document(limits: Limits) -> dict[str, Any]:
  """Returns the document, for JSON; see OpenAPI's specification 3.1.

  Args:
    limits: what photos may take.
  """
  paths = {path: {'get': _get(path, *row)} for path, row in _GETS.items()}
  for path, answer in answers.BY_PATH.items():
    paths[path] = {'post': _post(path, answer, limits)}
  return {
    'openapi': '3.1.0',
    'info': {
      'title': 'carvana_jax',
      'version': '1',
      'description': (
        'Masks and cut-outs of photos. Every error is a line of JSON, '
        '{"error": "what is wrong, and what to do"}: 400 for what is not HTTP, '
        '404 for other paths and 405 for other methods, too.'
      ),
      'license': {'name': 'Apache-2.0', 'identifier': 'Apache-2.0'},
    },
    'servers': [{'url': '/'}],
    'paths': paths,
    'components': {
      'schemas': {
        'Error': {
          'type': 'object',
          'required': ['error'],
          'properties': {'error': _TEXT},
        }
      }
    },
  }


def _get(path, summary, kind, errors):
  return {
    'operationId': path[1:].partition('.')[0] or 'page',
    'summary': summary,
    'responses': _responses([kind], _ANYWHERE | errors),
  }


def _post(path, answer, limits):
  return {
    'operationId': path[1:],
    'summary': answer.about,
    'parameters': [
      _parameter(name, parameter)
      for name, parameter in answer.parameters.items()
    ],
    'requestBody': {
      'required': True,
      'description': (
        'The bytes of one photo: JPG, PNG, WebP, TIFF, BMP or AVIF, of at most '
        f'{limits.megabytes:g} megabytes and {limits.megapixels:g} megapixels. '
        'Content-Type does not matter, unless it is multipart.'
      ),
      'content': {'image/*': {}, 'application/octet-stream': {}},
    },
    'responses': _responses(answer.kinds, _ANYWHERE | _OF_PHOTOS),
  }


def _parameter(name, parameter):
  schema = _TEXT | {'default': parameter.default}
  if parameter.choices:
    schema['enum'] = list(parameter.choices)
  return {
    'name': name,
    'in': 'query',
    'description': parameter.about,
    'schema': schema,
  }


def _responses(kinds, errors):
  found = {
    '200': {'description': 'As asked for.', 'content': {x: {} for x in kinds}}
  }
  for status in sorted(errors):
    schema = {'$ref': '#/components/schemas/Error'}
    found[str(status)] = {
      'description': errors[status],
      'content': {'application/json': {'schema': schema}},
    }
    if status == 429:
      found['429']['headers'] = {
        'Retry-After': {
          'description': 'Seconds.',
          'schema': {'type': 'integer'},
        }
      }
  return found
