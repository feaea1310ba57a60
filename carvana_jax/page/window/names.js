// Names of files, as `predict` gives them.
const names = (() => {
  const BARRED = /[\\/:*?"<>|\u0000-\u001f]/g;  // somewhere, in names of files

  // A photo's name without its ending, with a number where it is taken.
  function free(file, photos) {
    const stem = file.replace(/(.)\.[^.]*$/, '$1').replace(BARRED, '_');
    const taken = new Set(photos.map(({name}) => name.toLowerCase()));
    let name = stem;
    for (let k = 2; taken.has(name.toLowerCase()); k++) name = `${stem}-${k}`;
    return name;
  }

  return {
    free,
    mask: ({name}) => `${name}_mask.png`,
    cutout: ({name}) => `${name}_cutout.png`,
    composite: ({name}) => `${name}_composite.jpg`,
  };
})();
