// Joins the parts of the page.
(() => {
  let current = null;  // the photo that is shown
  let isReady = false;
  let doing = '';  // a download that takes a while

  function update() {
    const {photos} = album;
    const choice = choices.now();
    current ??= photos[0] || null;
    element.work.hidden = !current;
    if (current) {
      stage.show(current, choice);
      list.update(photos, current, choose);
    }
    element.one.textContent = downloads.label(choice);
    element.one.disabled = Boolean(doing) || current?.state !== 'done';
    element.all.disabled = Boolean(doing) || album.count('waiting', 'working')
      || !album.count('done');
    if (isReady && !doing) tell();
  }

  function choose(photo) {
    current = photo;
    update();
  }

  // How far it is.
  function tell() {
    const {photos} = album;
    const refused = album.count('refused');
    const done = album.count('done') + refused;
    element.bar.hidden = done === photos.length;
    element.bar.max = photos.length || 1;
    element.bar.value = done;
    if (done < photos.length) {
      say(`Photo ${done + 1} of ${photos.length} …`);
    } else if (photos.length) {
      const ready = photos.length - refused;
      say(`${ready} of ${photos.length} cut out.`
        + (refused ? ` Not read: ${reasons()}` : ''));
    } else {
      say('Ready.');
    }
  }

  function reasons() {
    const wrong = album.photos.filter(({state}) => state === 'refused');
    const told = wrong.slice(0, 3).map(({file, why}) => `${file.name} ${why}`);
    const more = wrong.length - told.length;
    return `${told.join('; ')}${more ? `; and ${more} more` : ''}.`;
  }

  function say(text) {
    if (element.status.textContent !== text) element.status.textContent = text;
  }

  async function download(make) {
    doing = 'Making the download …';
    say(doing);
    update();
    try {
      await make();
      doing = '';
      update();
    } catch (error) {
      doing = '';
      update();
      say(`The download failed: ${error.message}`);
    }
  }

  async function start() {
    album.watch(update);
    choices.watch(update);
    entry.watch((files) => {
      if (!files.length) return;
      entry.shrink();
      album.add(files);
    });
    element.one.addEventListener('click', () => download(
      () => downloads.one(current, choices.now())));
    element.all.addEventListener('click', () => download(() => downloads.all(
      album.photos.filter(({state}) => state === 'done'), choices.now(),
      (done, count) => {
        element.bar.hidden = false;
        element.bar.max = count;
        element.bar.value = done;
        say(`Download: photo ${done + 1} of ${count} …`);
      })));
    say('Getting ready …');
    try {
      await helper.start();
      isReady = true;
      update();
    } catch (error) {
      element.bar.hidden = true;
      say(`This browser can't run the page (${error.message}); a newer Chrome, `
        + 'Edge, Firefox or Safari can.');
      element.choose.disabled = true;
    }
  }

  start();
})();
