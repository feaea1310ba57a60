// Shows one photo and what was made of it, with a seam between the two.
//
// The result is layers: background, shadow, object; so another background is
// seen at once.
const stage = (() => {
  const {before, after, background, shade, object, message, seam} =
    Object.fromEntries(['before', 'after', 'background', 'shade', 'object',
      'message', 'seam'].map((id) => [id, element[id]]));
  const urls = new Map();  // of what is shown, by element
  let shown = null;

  function show(photo, choice) {
    const {result} = photo;
    const isRefused = photo.state === 'refused';
    place(before, isRefused ? null : photo.file);
    before.alt = `the photo ${photo.file.name}`;
    message.classList.toggle('alone', isRefused);
    message.textContent = words(photo);
    after.hidden = !result;
    seam.disabled = !result;
    element.stage.classList.toggle('seam-moves', Boolean(result));
    shown = result ? photo : null;
    if (!result) return;
    const isMask = choice.show === 'mask';
    const hasBackground = !isMask && (choice.colour || choice.picture);
    background.classList.toggle('checks', !isMask && !hasBackground);
    background.style.backgroundColor = isMask ? '#000' : choice.colour || '';
    background.style.backgroundImage = !isMask && choice.picture
      ? `url(${choice.picture.url})` : '';
    place(shade, hasBackground ? result.shadows[choice.kind] : null);
    place(object, isMask ? result.mask : result.cutout);
    object.alt = isMask ? `the mask of ${photo.file.name}`
      : `the ${facts.object} cut out of ${photo.file.name}`;
    fit();
  }

  function words({state, why, file, result}) {
    if (state === 'refused') return `${file.name} ${why}.`;
    if (state !== 'done') return state === 'working' ? 'Cutting out …' : 'Waits';
    return result.isEmpty ? `No ${facts.object} was found in this photo.` : '';
  }

  // Has an image show a Blob.
  function place(image, blob) {
    const old = urls.get(image);
    if (old?.blob === blob) return;
    if (old) URL.revokeObjectURL(old.url);
    urls.delete(image);
    image.hidden = !blob;
    if (!blob) {
      image.removeAttribute('src');
      return;
    }
    const url = URL.createObjectURL(blob);
    urls.set(image, {blob, url});
    image.src = url;
  }

  // Lays the result over the photo.
  function fit() {
    after.style.left = `${before.offsetLeft}px`;
    after.style.top = `${before.offsetTop}px`;
    after.style.width = `${before.offsetWidth}px`;
    after.style.height = `${before.offsetHeight}px`;
  }

  function move() {
    element.stage.style.setProperty('--at', `${seam.value}%`);
  }

  function drag(event) {
    if (!shown || event.buttons !== 1) return;
    const {left, width} = before.getBoundingClientRect();
    seam.value = 100 * (event.clientX - left) / width;
    move();
  }

  new ResizeObserver(fit).observe(before);
  before.addEventListener('load', fit);
  seam.addEventListener('input', move);
  element.stage.addEventListener('pointerdown', drag);
  element.stage.addEventListener('pointermove', drag);
  element.stage.addEventListener('dragstart', (event) =>
    event.preventDefault());

  return {show};
})();
