// The photos, in the order they came: {file, name, state, why, result}, where
// `state` is waiting, working, done or refused.
const album = (() => {
  const photos = [];
  let isWorking = false;
  let changed = () => {};

  // Calls back after each change.
  function watch(callback) {
    changed = callback;
  }

  function add(files) {
    for (const file of files) {
      photos.push({file, name: names.free(file.name, photos),
        state: 'waiting'});
    }
    changed();
    work();
  }

  // One photo after the other.
  async function work() {
    if (isWorking) return;
    isWorking = true;
    for (let photo; photo = photos.find((x) => x.state === 'waiting');) {
      photo.state = 'working';
      changed();
      try {
        photo.result = await helper.ask('cut', {file: photo.file});
        photo.state = 'done';
      } catch (error) {
        photo.why = error.message;
        photo.state = 'refused';
      }
      changed();
    }
    isWorking = false;
  }

  const count = (...states) =>
    photos.filter(({state}) => states.includes(state)).length;

  return {photos, watch, add, count};
})();
