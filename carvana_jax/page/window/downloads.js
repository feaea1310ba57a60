// Downloads what is shown, or everything.
const downloads = (() => {
  // What the button of one photo does.
  function label({show, colour, picture}) {
    if (show === 'mask') return 'Download mask (PNG)';
    return colour || picture ? 'Download picture (JPG)'
      : 'Download cut-out (PNG)';
  }

  async function one(photo, choice) {
    if (choice.show === 'mask') {
      save(photo.result.mask, names.mask(photo));
    } else if (choice.colour || choice.picture) {
      save(await composed(photo, choice), names.composite(photo));
    } else {
      save(photo.result.cutout, names.cutout(photo));
    }
  }

  // Calls `told(done, count)` on its way.
  async function all(photos, choice, told) {
    const files = [];
    for (const [k, photo] of photos.entries()) {
      told(k, photos.length);
      files.push([names.mask(photo), photo.result.mask]);
      files.push([names.cutout(photo), photo.result.cutout]);
      if (choice.colour || choice.picture) {
        files.push([names.composite(photo), await composed(photo, choice)]);
      }
    }
    save(await zips.join(files), `${facts.object}s.zip`);
  }

  function composed({file, result}, {colour, picture, kind}) {
    return helper.ask('compose', {
      file, kind,
      levels: result.levels,
      colour: colour && choices.parse(colour),
      picture: picture?.file,
    });
  }

  function save(blob, name) {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }

  return {label, one, all};
})();
