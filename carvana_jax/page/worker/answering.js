// Answers the page's messages, {id, task, values}, by {id, result} or {id, why}.
(() => {
  const words = (error) => {
    if (error instanceof Refusal) return error.message;
    if (error instanceof RangeError || /memory/i.test(error.message)) {
      return 'needs more memory than this browser gives; make it smaller';
    }
    return `failed (${error.message || error})`;
  };

  async function answer({id, task, values}) {
    try {
      self.postMessage({id, result: await tasks[task](values)});
    } catch (error) {
      self.postMessage({id, why: words(error)});
    }
  }

  let line = Promise.resolve();
  self.addEventListener('message', ({data}) => {
    line = line.then(() => answer(data));
  });
})();
