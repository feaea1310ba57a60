"""Opens a page in headless Chromium (Debian's package) and looks at it."""

import html
import json
import pathlib
import re
import shutil
import subprocess

CHROMIUM = shutil.which('chromium')

_BEFORE = """<script>
const problems = [];
addEventListener('error', event => problems.push(
  event.message || 'not loaded: ' + event.target.outerHTML.slice(0, 80)), true);
console.error = (...words) => problems.push(words.join(' '));
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
  document.body.dataset.found = JSON.stringify({
    problems, seams,
    pictures: document.images.length,
    broken: [...document.images].filter(
      image => !image.complete || !image.naturalWidth).length,
    too_wide: document.documentElement.scrollWidth > innerWidth,
  });
});
</script>"""


def look(page: pathlib.Path, width: int, folder: pathlib.Path) -> dict:
  """What a browser finds: errors, pictures, where the first slider moves to.

  Args:
    page: an HTML file.
    width: of the window, in pixels.
    folder: for what the browser needs.
  """
  text = page.read_text().replace('<head>', f'<head>{_BEFORE}', 1)
  copy = folder / 'page.html'
  copy.write_text(text.replace('</body>', f'{_AFTER}</body>'))
  output = subprocess.run(
    [CHROMIUM, '--headless', '--no-sandbox', '--disable-gpu', '--dump-dom',
     f'--user-data-dir={folder / "profile"}', f'--window-size={width},900',
     '--virtual-time-budget=5000', copy.as_uri()],
    capture_output=True, text=True, check=True, timeout=120,
  ).stdout  # fmt: skip
  found = re.search(r'data-found="([^"]*)"', output)
  return json.loads(html.unescape(found[1]))
