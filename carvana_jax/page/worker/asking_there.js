// Asks the server that the page came from.
const askingThere = (() => {
  let url;

  async function start(given) {
    ({url} = given);
  }

  // Returns the levels of a photo, of which the server is sent the file.
  async function levels(photo, file) {
    let answer;
    try {
      answer = await fetch(url, {method: 'POST', body: new Blob([file])});
    } catch {
      throw new Refusal('could not be sent, as the server does not answer; try '
        + 'again later');
    }
    if (!answer.ok) throw new Refusal(await words(answer));
    const found = await photos.decodeGrey(await answer.blob());
    if (found.height !== photo.height || found.width !== photo.width) {
      throw new Refusal('looks other to the server than to this browser; save '
        + 'it as JPG or PNG');
    }
    return found;
  }

  async function words(answer) {
    try {
      return `was refused by the server: ${(await answer.json()).error}`;
    } catch {
      return `was refused by the server (${answer.status})`;
    }
  }

  return {start, levels};
})();
