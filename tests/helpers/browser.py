"""Opens a page in headless Chromium (Debian's package) and looks at it."""

import html
import json
import os
import pathlib
import re
import shutil
import subprocess
import unittest

CHROMIUM = shutil.which('chromium') or shutil.which('google-chrome')

# A window can't be as narrow as a phone, a frame in it can.
_FRAME = """<!doctype html><html><body>
<script>
addEventListener('message', event =>
  document.body.dataset.found = JSON.stringify(event.data));
</script>
<iframe src="page.html" width="{width}" height="900" style="border: 0"></iframe>
</body></html>"""

_BEFORE = """<script>
const problems = [];
addEventListener('error', event => problems.push(
  event.message || 'not loaded: ' + event.target.outerHTML.slice(0, 80)), true);
</script>"""

_AFTER = """<script>
addEventListener('load', () => {
  const slide = document.querySelector('.slide');
  const seam = () => getComputedStyle(
    slide.previousElementSibling.lastElementChild).clipPath;
  const seams = [];
  for (const value of slide ? [20, 80] : []) {
    slide.value = value;
    slide.dispatchEvent(new Event('input'));
    seams.push(seam());
  }
  parent.postMessage({
    problems, seams,
    pictures: document.images.length,
    broken: [...document.images].filter(
      image => !image.complete || !image.naturalWidth).length,
    width: innerWidth,
    too_wide: document.documentElement.scrollWidth > innerWidth,
  }, '*');
});
</script>"""


def require() -> None:
  """Skips a test, or all of a class, where there is no browser; CI has one."""
  if not CHROMIUM:
    absent('Chromium is not installed: apt-get install chromium')


def absent(reason: str) -> None:
  """Skips what lacks something, but for CI (CI=true), where it fails."""
  if os.environ.get('CI') == 'true':
    raise AssertionError(reason)
  raise unittest.SkipTest(reason)


def look(page: pathlib.Path, width: int, folder: pathlib.Path) -> dict:
  """What a browser finds on a page that is shown in a frame.

  Args:
    page: an HTML file.
    width: of the frame, in pixels; a phone has 360.
    folder: for what the browser needs.

  Returns:
    `problems`: what failed, and what the console shows; `seams`: where the
    first slider moves to; `pictures` and, among them, `broken` ones; `width`
    that the page has, and whether it is `too_wide` for it.
  """
  text = page.read_text().replace('<head>', f'<head>{_BEFORE}', 1)
  (folder / 'page.html').write_text(text.replace('</body>', f'{_AFTER}</body>'))
  frame = folder / 'frame.html'
  frame.write_text(_FRAME.format(width=width))
  done = subprocess.run(
    [CHROMIUM, '--headless', '--no-sandbox', '--disable-gpu', '--dump-dom',
     '--enable-logging=stderr', f'--user-data-dir={folder / "profile"}',
     f'--window-size={width + 100},1000', '--virtual-time-budget=5000',
     frame.as_uri()],
    capture_output=True, text=True, check=True, timeout=120,
  )  # fmt: skip
  found = re.search(r'data-found="([^"]*)"', done.stdout)
  found = json.loads(html.unescape(found[1]))
  found['problems'] += re.findall(r'CONSOLE.*', done.stderr)
  return found
