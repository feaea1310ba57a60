// The row of photos, each a button that shows it.
const list = (() => {
  const STATES = {
    waiting: 'waits', working: 'is being cut out', done: 'is cut out',
  };
  const items = new Map();  // by photo

  function update(photos, current, choose) {
    for (const photo of photos) {
      if (!items.has(photo)) items.set(photo, added(photo, choose));
      const {button, picture} = items.get(photo);
      button.setAttribute('aria-current', photo === current);
      button.setAttribute('aria-label', `${photo.file.name} `
        + (STATES[photo.state] || photo.why));
      if (picture.dataset.state === photo.state) continue;
      picture.dataset.state = photo.state;
      picture.classList.toggle('wrong', photo.state === 'refused');
      picture.replaceChildren(drawn(photo));
    }
    element.list.hidden = photos.length < 2;
  }

  function added(photo, choose) {
    const button = document.createElement('button');
    button.type = 'button';
    const picture = document.createElement('span');
    picture.className = 'picture';
    const name = document.createElement('span');
    name.className = 'name';
    name.textContent = photo.file.name;
    button.title = photo.file.name;
    button.append(picture, name);
    button.addEventListener('click', () => choose(photo));
    const item = document.createElement('li');
    item.append(button);
    element.list.append(item);
    return {button, picture};
  }

  function drawn({state, result}) {
    if (state === 'done') {
      const image = new Image();
      image.alt = '';
      image.src = URL.createObjectURL(result.thumbnail);
      image.addEventListener('load', () => URL.revokeObjectURL(image.src));
      return image;
    }
    return {waiting: 'waits', working: '…', refused: 'not read'}[state];
  }

  return {update};
})();
