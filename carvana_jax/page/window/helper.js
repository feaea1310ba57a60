// Has the worker do tasks, so that the page stays alive.
const helper = (() => {
  const code = new Blob([element.worker.textContent],
    {type: 'text/javascript'});
  const worker = new Worker(URL.createObjectURL(code));
  const waiting = new Map();
  let count = 0;

  worker.addEventListener('message', ({data: {id, result, why}}) => {
    const {resolve, reject} = waiting.get(id);
    waiting.delete(id);
    if (why) reject(new Error(why)); else resolve(result);
  });

  // Returns the result of a task of worker/tasks.js; its error says why there is
  // none.
  function ask(task, values) {
    return new Promise((resolve, reject) => {
      waiting.set(++count, {resolve, reject});
      worker.postMessage({id: count, task, values});
    });
  }

  // Loads the network, or learns where the server is.
  function start() {
    const given = {facts, url: new URL('levels', document.baseURI).href};
    for (const id of ['script', 'binary', 'network']) {
      const text = element[id];
      if (!text) continue;
      given[id] = text.textContent;
      text.remove();  // many megabytes
    }
    return ask('start', given);
  }

  return {ask, start};
})();
