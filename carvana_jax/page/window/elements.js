// The page's elements by their ids.
const element = new Proxy({}, {
  get: (_, id) => document.getElementById(id),
});

const facts = JSON.parse(element.facts.textContent);
