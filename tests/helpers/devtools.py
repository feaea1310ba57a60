"""Drives headless Chromium by its DevTools protocol, over a pipe."""

import base64
import contextlib
import itertools
import json
import os
import pathlib
import subprocess
import time

from tests.helpers.browser import CHROMIUM


class Tab:
  """A browser with one tab.

  Attributes:
    problems: what the console showed, and errors of scripts.
  """

  def __init__(self, folder: pathlib.Path):
    """Starts the browser.

    Args:
      folder: for what the browser needs, and for downloads.
    """
    self.problems = []
    self.downloads = folder / 'downloads'
    self._numbers = itertools.count(1)
    self._rest = b''
    theirs_in, self._out = os.pipe()
    self._in, theirs_out = os.pipe()
    # The protocol's pipes are descriptors 3 and 4 of the browser.
    self._process = subprocess.Popen(
      ['bash', '-c', f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', '_',
       CHROMIUM, '--headless', '--no-sandbox', '--disable-gpu',
       '--remote-debugging-pipe', '--force-color-profile=srgb',
       '--window-size=1280,900', f'--user-data-dir={folder / "profile"}'],
      pass_fds=[theirs_in, theirs_out],
      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(theirs_in)
    os.close(theirs_out)
    self._session = None
    (target,) = [
      x
      for x in self.send('Target.getTargets')['targetInfos']
      if x['type'] == 'page'
    ]
    self._session = self.send(
      'Target.attachToTarget', targetId=target['targetId'], flatten=True
    )['sessionId']
    for domain in ('Page', 'Runtime', 'Log', 'DOM'):
      self.send(f'{domain}.enable')
    self.send(
      'Browser.setDownloadBehavior',
      behavior='allow',
      downloadPath=str(self.downloads),
      eventsEnabled=True,
    )

  def close(self) -> None:
    """Ends the browser."""
    with contextlib.suppress(OSError):
      self._session = None
      self._write({'id': 0, 'method': 'Browser.close'})
    self._process.wait(30)
    os.close(self._in)
    os.close(self._out)

  def send(self, method: str, **params) -> dict:
    """Has the browser do something, and returns its answer."""
    number = next(self._numbers)
    message = {'id': number, 'method': method, 'params': params}
    self._write(message)
    while True:
      answer = self._read()
      if answer.get('id') == number:
        if 'error' in answer:
          raise RuntimeError(f'{method}: {answer["error"]}')
        return answer['result']

  def open(self, url: str) -> None:
    """Loads a page."""
    self.send('Page.navigate', url=url)
    self.wait('document.readyState === "complete"')

  def run(self, script: str):
    """Returns the value of an expression, or what it promises."""
    answer = self.send(
      'Runtime.evaluate',
      expression=script,
      awaitPromise=True,
      returnByValue=True,
    )
    if 'exceptionDetails' in answer:
      raise RuntimeError(json.dumps(answer['exceptionDetails'])[:2000])
    return answer['result'].get('value')

  def wait(self, script: str, seconds: float = 120) -> None:
    """Waits until an expression is true."""
    end = time.monotonic() + seconds
    while not self.run(script):
      if time.monotonic() > end:
        raise TimeoutError(script)
      time.sleep(0.05)

  def choose(self, selector: str, *paths: pathlib.Path) -> None:
    """Chooses files in an input."""
    root = self.send('DOM.getDocument')['root']['nodeId']
    node = self.send('DOM.querySelector', nodeId=root, selector=selector)
    self.send(
      'DOM.setFileInputFiles',
      nodeId=node['nodeId'],
      files=[str(path) for path in paths],
    )

  def press(self, key: str, code: int, text: str = '') -> None:
    """Presses a key, by its name and number."""
    for kind in ('keyDown', 'keyUp'):
      self.send(
        'Input.dispatchKeyEvent',
        type=kind,
        key=key,
        code=key,
        windowsVirtualKeyCode=code,
        **({'text': text} if text and kind == 'keyDown' else {}),
      )

  def bytes_of(self, blob: str) -> bytes:
    """Returns the bytes of a Blob that an expression yields."""
    text = self.run(
      f"""new Promise(async (resolve) => {{
        const reader = new FileReader();
        reader.onload = () => resolve(reader.result.split(',')[1]);
        reader.readAsDataURL(await ({blob}));
      }})"""
    )
    return base64.b64decode(text)

  def downloaded(self, name: str) -> bytes:
    """Waits for a download, and returns its bytes."""
    path = self.downloads / name
    end = time.monotonic() + 60
    while not path.exists():
      if time.monotonic() > end:
        raise TimeoutError(name)
      self.run('1')
      time.sleep(0.05)
    return path.read_bytes()

  def screenshot(self, path: pathlib.Path) -> None:
    """Writes what the tab shows to a PNG file."""
    data = self.send('Page.captureScreenshot', format='png')['data']
    path.write_bytes(base64.b64decode(data))

  def _write(self, message):
    if self._session:
      message['sessionId'] = self._session
    data = json.dumps(message).encode() + b'\0'
    while data:
      data = data[os.write(self._out, data) :]

  def _read(self):
    while b'\0' not in self._rest:
      data = os.read(self._in, 1 << 20)
      if not data:
        raise EOFError('the browser has ended')
      self._rest += data
    line, _, self._rest = self._rest.partition(b'\0')
    message = json.loads(line)
    if message.get('method') in (
      'Runtime.exceptionThrown',
      'Log.entryAdded',
      'Runtime.consoleAPICalled',
    ):
      self.problems.append(json.dumps(message['params'])[:500])
    return message
