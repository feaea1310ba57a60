// What the user has chosen: mask or cut-out, background, shadow.
const choices = (() => {
  const form = element.choices;
  let picture = null;  // {file, url} of the background
  let changed = () => {};

  function watch(callback) {
    changed = callback;
    form.addEventListener('input', update);
    form.addEventListener('submit', (event) => event.preventDefault());
    element.picture.addEventListener('change', choosePicture);
    update();
  }

  // {show, colour, picture, kind}: `kind` of the shadow; without colour and
  // picture there is nothing behind.
  function now() {
    const {show, behind, shadow} = Object.fromEntries(new FormData(form));
    return {
      show,
      colour: behind === 'colour' ? element.colour.value : null,
      picture: behind === 'picture' ? picture : null,
      kind: shadow || 'own',
    };
  }

  function update() {
    const behind = form.elements.behind.value;
    const isMask = form.elements.show.value === 'mask';
    element['colour-row'].hidden = behind !== 'colour';
    element['picture-row'].hidden = behind !== 'picture';
    element['picture-name'].hidden = behind !== 'picture';
    const {colour, picture: chosen} = now();
    element.behind.disabled = isMask;
    element.shadows.disabled = isMask || !(colour || chosen);
    element['shadow-note'].hidden = Boolean(colour || chosen);
    changed();
  }

  async function choosePicture() {
    const [file] = element.picture.files;
    if (!file) return;
    const note = element['picture-name'];
    note.textContent = `Reading ${file.name} …`;
    try {
      await helper.ask('check', {picture: file});
    } catch (error) {
      note.textContent = `${file.name} ${error.message}.`;
      return;
    }
    if (picture) URL.revokeObjectURL(picture.url);
    picture = {file, url: URL.createObjectURL(file)};
    note.textContent = file.name;
    update();
  }

  // [red, green, blue] of #rrggbb.
  const parse = (text) =>
    [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));

  return {watch, now, parse};
})();
