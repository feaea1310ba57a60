"""The server's answers, by the photo, the path and the query."""

import asyncio
import io
import json
import threading
import zlib

import chex
import httpx
import numpy as np
from absl.testing import absltest, parameterized
from PIL import Image

from carvana_jax.datasets import images
from carvana_jax.masks import encoding
from carvana_jax.serving import answers, app, limits
from carvana_jax.system.errors import UserError
from tests.helpers import served

LIMITS = limits.Limits(
  megabytes=0.1, megapixels=0.01, seconds=20, queue=1, workers=1
)
ADDRESS = 'http://127.0.0.1:8000'


def square(height=40, width=60):
  """A bright square on black, uint8 [H, W, 3]."""
  photo = np.zeros((height, width, 3), np.uint8)
  photo[10:30, 10:30] = 250, 200, 150
  return photo


def file(kind='PNG', **options):
  stream = io.BytesIO()
  Image.fromarray(square()).save(stream, kind, **options)
  return stream.getvalue()


def png_header(width, height):
  """A PNG that says that it is so large, and holds nothing."""
  data = file()
  size = width.to_bytes(4, 'big') + height.to_bytes(4, 'big')
  chunk = b'IHDR' + size + data[24:29]
  return data[:12] + chunk + zlib.crc32(chunk).to_bytes(4, 'big') + data[33:]


class Client:
  """Asks an application in this process, one request after the other."""

  def __init__(self, remove=served.remove, hosts=('127.0.0.1', 'localhost')):
    self.app = app.build(remove, LIMITS, '<p>page</p>', hosts)

  def request(self, method, path, **options):
    async def ask():
      transport = httpx.ASGITransport(self.app)
      async with httpx.AsyncClient(transport=transport) as asking:
        return await asking.request(method, ADDRESS + path, **options)

    return asyncio.run(ask())

  def get(self, path, **options):
    return self.request('GET', path, **options)

  def post(self, path, **options):
    return self.request('POST', path, **options)


def pixels(response):
  return np.asarray(Image.open(io.BytesIO(response.content)))


class ServedCase(chex.TestCase):
  def assert_error(self, response, status, *words):
    """Asserts that a request was refused, in one line of JSON."""
    self.assertEqual(response.status_code, status, response.text)
    self.assertEqual(response.text.count('\n'), 1)
    said = json.loads(response.text)
    self.assertEqual(list(said), ['error'])
    for word in words:
      self.assertIn(word, said['error'])
    self.assertNotIn('Traceback', said['error'])


class AnswersTest(ServedCase):
  def setUp(self):
    super().setUp()
    self.client = Client()
    self.removed = served.remove(square())

  def post(self, path, data=None, **options):
    response = self.client.post(path, content=data or file(), **options)
    self.assertEqual(response.status_code, 200, response.text)
    return response

  def test_mask(self):
    response = self.post('/mask')
    self.assertEqual(response.headers['Content-Type'], 'image/png')
    image = Image.open(io.BytesIO(response.content))
    self.assertEqual(image.mode, '1')
    mask = np.zeros((40, 60), bool)
    mask[10:30, 10:30] = True
    chex.assert_trees_all_equal(np.asarray(image), mask)
    self.assertEqual(response.content, encoding.mask(mask))

  def test_levels_and_probability(self):
    levels = pixels(self.post('/levels'))
    chex.assert_trees_all_equal(levels, square()[..., 0])
    response = self.post('/probability')
    expected = images.encode_png(self.removed.probability)
    self.assertEqual(response.content, expected)
    self.assertEqual(pixels(response).max(), 255)

  def test_cutout(self):
    response = self.post('/cutout')
    self.assertEqual(response.content, encoding.png(self.removed.cutout()))
    trimmed = self.post('/cutout?trim=1')
    chex.assert_trees_all_equal(pixels(trimmed), self.removed.cutout(trim=True))
    self.assertLess(pixels(trimmed).shape[1], 30)

  @parameterized.parameters(
    ('', '*/*', 'png'),
    ('', 'image/webp', 'webp'),
    ('', 'image/webp,image/png', 'png'),
    ('?format=webp', '*/*', 'webp'),
    ('?format=png', 'image/webp', 'png'),
  )
  def test_format(self, query, accept, kind):
    response = self.post(f'/cutout{query}', headers={'Accept': accept})
    self.assertEqual(response.headers['Content-Type'], f'image/{kind}')
    self.assertEqual(
      Image.open(io.BytesIO(response.content)).format, kind.upper()
    )

  @parameterized.parameters(
    ('', (255, 255, 255)),
    ('?background=00b900', (0, 185, 0)),
    ('?background=%2300b900&shadow=none', (0, 185, 0)),
    ('?background=navy&shadow=synthetic', (0, 0, 128)),
  )
  def test_composite(self, query, colour):
    response = self.post(f'/composite{query}')
    self.assertEqual(response.headers['Content-Type'], 'image/jpeg')
    found = pixels(response)
    chex.assert_trees_all_close(found[0, -1], np.array(colour), atol=3)
    chex.assert_trees_all_close(
      found[20, 20], np.array([250, 200, 150]), atol=8
    )

  def test_turned_by_exif(self):
    exif = Image.Exif()
    exif[274] = 6
    response = self.post('/mask', file('JPEG', exif=exif, quality=95))
    self.assertEqual(pixels(response).shape, (60, 40))

  @parameterized.parameters(
    'image/jpeg', 'application/octet-stream', 'text/plain', ''
  )
  def test_content_type_does_not_matter(self, kind):
    self.post('/mask', headers={'Content-Type': kind})

  def test_other_paths(self):
    page = self.client.get('/')
    self.assertEqual(page.text, '<p>page</p>')
    self.assertIn('frame-ancestors', page.headers['Content-Security-Policy'])
    for path in ('/health', '/ready'):
      self.assertEqual(self.client.get(path).status_code, 200)

  def test_metrics(self):
    self.post('/mask')
    self.client.post('/mask', content=b'text')
    self.client.get('/a/path/of/its/own')
    text = self.client.get('/metrics').text
    for line in (
      'carvana_requests_total{path="/mask",status="200"} 1.0',
      'carvana_requests_total{path="/mask",status="415"} 1.0',
      'carvana_requests_total{path="other",status="404"} 1.0',
      'carvana_request_seconds_count{path="/mask"} 1.0',
      'carvana_photos_inside 0.0',
    ):
      self.assertIn(f'{line}\n', text)
    self.assertNotIn('its/own', text)


class RefusedTest(ServedCase):
  def setUp(self):
    super().setUp()
    self.client = Client()

  def refused(self, status, *words, path='/mask', content=None, **options):
    response = self.client.post(path, content=content, **options)
    self.assert_error(response, status, *words)
    return response

  @parameterized.parameters(
    (b'', 'curl --data-binary'),
    (b'hello', 'no JPG'),
    (b'GIF89a' + bytes(100), 'no JPG'),
    (b'<svg xmlns="http://www.w3.org/2000/svg"/>', 'no JPG'),
    (b'%PDF-1.7', 'no JPG'),
    (b'PK\3\4' + bytes(50), 'no JPG'),
    (b'RIFF\0\0\0\0WAVE', 'no JPG'),
    (bytes(1000), 'no JPG'),
    (b'\xff' * 1000, 'no JPG'),
    (b'\0\0\0\x18ftypisom' + bytes(20), 'no JPG'),
  )
  def test_no_image(self, content, words):
    self.refused(415, words, content=content)

  @parameterized.named_parameters(
    ('half a PNG', lambda: file()[:100]),
    ('a PNG without its pixels', lambda: file()[:40]),
    ('the start of a JPG', lambda: file('JPEG')[:20]),
    ('half a JPG', lambda: file('JPEG')[: len(file('JPEG')) // 2]),
    ('two bytes and noise', lambda: b'\xff\xd8\xff' + bytes(200)),
    ('half a WebP', lambda: file('WEBP')[:60]),
    ('half a TIFF', lambda: file('TIFF')[:-400]),
    ('a TIFF that leads nowhere', lambda: b'II*\0\xff\xff\xff\x7f'),
    ('half a BMP', lambda: file('BMP')[:200]),
    ('a BMP of no pixels', lambda: file('BMP')[:18] + bytes(60)),
    ('half an AVIF', lambda: file('AVIF')[:200]),
    ('32 bits', lambda: _of_32_bits()),
    ('a wrong checksum', lambda: file()[:50] + b'\0\0' + file()[52:]),
  )
  def test_damaged(self, make):
    self.refused(422, 'the photo', content=make())

  @parameterized.parameters(
    (101, 100), (100_000, 100_000), (2**31 - 1, 2**31 - 1), (1, 2**31 - 1)
  )
  def test_too_many_pixels(self, width, height):
    self.refused(413, 'megapixels', content=png_header(width, height))

  def test_too_long_a_side(self):
    for size in ((65_501, 1), (1, 65_501)):
      self.refused(413, '65500 pixels a side', content=png_header(*size))

  def test_as_many_pixels_as_allowed(self):
    self.refused(422, 'is damaged', content=png_header(100, 100))

  def test_too_many_bytes(self):
    self.refused(413, '0.1 megabytes', content=bytes(100_001))
    self.refused(413, '0.1 megabytes', content=_in_chunks(bytes(120_000)))
    self.refused(415, content=bytes(100_000))
    said = {'Content-Length': '9' * 30}
    self.refused(413, content=b'a', headers=said)

  @parameterized.parameters(
    ('/mask?trim=1', "'trim'", 'none'),
    ('/cutout?trimm=1', "'trimm'", 'format, trim'),
    ('/cutout?trim=yes', "trim='yes'", '0, 1'),
    ('/cutout?format=gif', 'png, webp'),
    ('/composite?background=blau', "'blau'", 'rrggbb'),
    ('/composite?background=', 'rrggbb'),
    ('/composite?background=%2300b90080', 'opacity'),
    ('/composite?background=rgb(300,0,0)', '0..255'),
    ('/composite?background=/etc/passwd', 'no colour'),
    ('/composite?background=' + 'a' * 5000, 'colour'),
    ('/mask?' + 'a' * 5000, 'no parameter'),
    ('/composite?shadow=soft', 'own, synthetic, none'),
  )
  def test_wrong_queries(self, path, *words):
    response = self.refused(422, *words, path=path, content=file())
    self.assertLess(len(response.text), 250)

  def test_forms_and_compressed_bodies(self):
    response = self.client.post('/mask', files={'photo': file()})
    self.assert_error(response, 415, 'curl --data-binary')
    headers = {'Content-Encoding': 'gzip'}
    self.refused(415, 'Content-Encoding', content=file(), headers=headers)

  def test_paths_and_methods(self):
    response = self.client.get('/mask')
    self.assert_error(response, 405, '/mask answers POST, not GET')
    self.assertEqual(response.headers['Allow'], 'POST')
    self.assert_error(self.client.request('DELETE', '/'), 405, 'GET')
    self.assert_error(self.client.request('BREW', '/mask'), 405)
    for path in ('/masks', '/mask/', '/../etc/passwd', '/%00'):
      self.assert_error(self.client.get(path), 404, '/openapi.json')

  @parameterized.parameters(
    ('evil.com', 421), ('evil.com:8000', 421), ('127.0.0.1.evil.com', 421),
    ('127.0.0.1', 200), ('127.0.0.1:9', 200), ('LocalHost:9', 200),
  )  # fmt: skip
  def test_hosts(self, host, status):
    response = self.client.get('/health', headers={'Host': host})
    self.assertEqual(response.status_code, status)
    anyone = Client(hosts=None).get('/health', headers={'Host': host})
    self.assertEqual(anyone.status_code, 200)

  @parameterized.parameters(
    ('cross-site', 403), ('same-site', 403), ('same-origin', 200), ('none', 200)
  )
  def test_pages_of_other_sites(self, site, status):
    headers = {'Sec-Fetch-Site': site}
    response = self.client.post('/mask', content=file(), headers=headers)
    self.assertEqual(response.status_code, status)
    page = self.client.get('/', headers=headers)  # as by a link
    self.assertEqual(page.status_code, 200)
    self.assertNotIn('Access-Control-Allow-Origin', response.headers)

  @parameterized.parameters(
    ('http://testserver', 200), ('HTTP://TestServer', 200),
    ('http://evil.com', 403), ('http://testserver:8000', 403), ('null', 403),
  )  # fmt: skip
  def test_pages_of_other_sites_without_https(self, origin, status):
    client = Client(hosts=None)
    headers = {'Origin': origin, 'Host': 'testserver'}
    response = client.post('/mask', content=file(), headers=headers)
    self.assertEqual(response.status_code, status)

  def test_a_bug_is_told_to_the_log_alone(self):
    def remove(photo):
      raise ZeroDivisionError('secret')

    with self.assertLogs('carvana_jax.serving.app', 'ERROR') as logs:
      response = Client(remove).post('/mask', content=file())
    self.assert_error(response, 500, 'its log')
    self.assertNotIn('secret', response.text)
    self.assertIn('secret', logs.output[0])

  def test_what_cannot_be_made_of_a_photo(self):
    def remove(photo):
      raise UserError('is 1x20000, but a WebP has at most 16383 pixels a side.')

    response = Client(remove).post('/cutout', content=file())
    self.assert_error(response, 422, 'the photo is 1x20000')

  def test_too_little_memory(self):
    def remove(photo):
      raise MemoryError

    response = Client(remove).post('/cutout', content=file())
    self.assert_error(response, 503, 'memory')


class LineTest(ServedCase):
  """Photos that wait, are late, or of which nobody waits for an answer."""

  def setUp(self):
    super().setUp()
    self.seen = []
    self.begun, self.go_on = threading.Event(), threading.Event()
    self.addCleanup(self.go_on.set)

  def remove(self, photo):
    self.seen.append(photo.shape)
    self.begun.set()
    self.go_on.wait()
    return served.remove(photo)

  def run_with(self, test, **options):
    """Runs a coroutine function, given a client and the line of photos."""

    async def run():
      most = limits.Limits(**vars(LIMITS) | options)
      built = app.build(self.remove, most, '', None)
      transport = httpx.ASGITransport(built)
      async with httpx.AsyncClient(transport=transport) as asking:
        await test(asking, built.state.line)

    asyncio.run(asyncio.wait_for(run(), 10))

  def post(self, asking, content=None):
    return asyncio.ensure_future(
      asking.post(f'{ADDRESS}/mask', content=content or file())
    )

  async def until(self, condition):
    while not condition():
      await asyncio.sleep(0.001)

  def test_a_full_line(self):
    async def test(asking, line):
      kept = [self.post(asking) for _ in range(2)]
      await self.until(lambda: line.inside == 2 and self.begun.is_set())
      response = await self.post(asking)
      self.assert_error(response, 429, '2 photos', 'try again')
      self.assertGreaterEqual(int(response.headers['Retry-After']), 1)
      self.assertLen(self.seen, 1)  # one at a time
      self.go_on.set()
      for task in kept:
        self.assertEqual((await task).status_code, 200)
      self.assertEqual(line.inside, 0)
      self.assertEqual((await self.post(asking)).status_code, 200)

    self.run_with(test)

  def test_workers_work_at_the_same_time(self):
    async def test(asking, line):
      kept = [self.post(asking) for _ in range(3)]
      await self.until(lambda: len(self.seen) == 3)
      self.go_on.set()
      await asyncio.gather(*kept)

    self.run_with(test, workers=3)

  def test_late(self):
    async def test(asking, line):
      tasks = [self.post(asking), self.post(asking)]
      for response in await asyncio.gather(*tasks):
        self.assert_error(response, 503, '0.2 s')
      self.assertEqual(line.inside, 0)
      self.go_on.set()
      self.assertEqual((await self.post(asking)).status_code, 200)
      self.assertLen(self.seen, 2)  # not the one that waited in vain

    self.run_with(test, seconds=0.2)

  def test_a_slow_body(self):
    async def slow():
      yield file()[:30]
      await asyncio.sleep(10)

    async def test(asking, line):
      response = await self.post(asking, slow())
      self.assert_error(response, 408, '0.1 s')
      self.assertEqual(line.inside, 0)

    self.run_with(test, seconds=0.1)

  def test_a_client_that_has_gone(self):
    async def test(asking, line):
      first = self.post(asking)
      await self.until(self.begun.is_set)
      second = self.post(asking)
      await self.until(lambda: line.inside == 2)
      second.cancel()
      await self.until(lambda: line.inside == 1)
      self.go_on.set()
      await first
      self.assertLen(self.seen, 1)

    self.run_with(test)

  def test_stopping(self):
    async def test(asking, line):
      first = self.post(asking)
      await self.until(self.begun.is_set)
      line.stopping = True
      self.assert_error(await self.post(asking), 503, 'stopping')
      ready = await asking.get(f'{ADDRESS}/ready')
      self.assert_error(ready, 503, 'stopping')
      live = await asking.get(f'{ADDRESS}/health')
      self.assertEqual(live.status_code, 200)
      self.go_on.set()
      self.assertEqual((await first).status_code, 200)

    self.run_with(test)


class OpenApiTest(ServedCase):
  def test_every_route_parameter_and_status(self):
    client = Client()
    document = client.get('/openapi.json').json()
    self.assertEqual(document['openapi'], '3.1.0')
    routes = {
      route.path: route.methods - {'HEAD'} for route in client.app.routes
    }
    described = {
      path: {method.upper() for method in methods}
      for path, methods in document['paths'].items()
    }
    self.assertEqual(described, routes)
    operations = [
      operation['operationId']
      for methods in document['paths'].values()
      for operation in methods.values()
    ]
    self.assertLen(set(operations), len(described))
    statuses = {200, 403, 408, 413, 415, 421, 422, 429, 500, 503}
    for path, answer in answers.BY_PATH.items():
      post = document['paths'][path]['post']
      self.assertEqual({int(x) for x in post['responses']}, statuses)
      self.assertEqual(tuple(post['responses']['200']['content']), answer.kinds)
      named = {x['name']: x['schema'] for x in post['parameters']}
      self.assertEqual(set(named), set(answer.parameters))
      for name, schema in named.items():
        choices = answer.parameters[name].choices
        self.assertEqual(tuple(schema.get('enum', ())), choices)
    error = document['components']['schemas']['Error']
    self.assertEqual(error['required'], ['error'])


async def _in_chunks(data):
  for at in range(0, len(data), 1000):
    yield data[at : at + 1000]


def _of_32_bits():
  stream = io.BytesIO()
  Image.fromarray(np.zeros((4, 4), np.float32)).save(stream, 'TIFF')
  return stream.getvalue()


if __name__ == '__main__':
  absltest.main()
