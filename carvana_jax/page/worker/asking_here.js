// Asks the network that is in the page, which ONNX Runtime runs.
const askingHere = (() => {
  let ort, session, facts;

  // Loads runtime and network, each given as base64 of gzipped bytes.
  async function start({script, binary, network, facts: about}) {
    facts = about;
    const code = new Blob([await inflate(script)], {type: 'text/javascript'});
    ort = await import(URL.createObjectURL(code));
    ort.env.wasm.numThreads = 1;  // more need a server, and its headers
    ort.env.wasm.wasmBinary = await inflate(binary);
    session = await ort.InferenceSession.create(await inflate(network), {
      executionProviders: ['wasm'],
    });
  }

  async function inflate(text) {
    const characters = atob(text), bytes = new Uint8Array(characters.length);
    for (let k = 0; k < bytes.length; k++) bytes[k] = characters.charCodeAt(k);
    const stream = new Blob([bytes]).stream()
      .pipeThrough(new DecompressionStream('gzip'));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  // Returns the levels of a photo, which has four channels.
  async function levels(photo) {
    const [height, width] = facts.size;
    const part = fitting.place(photo, facts.size, facts.fit);
    const seen = fitting.reduce(photo, facts.size, part);
    const image = new Uint8Array(height * width * 3);
    for (let i = 0; i < height * width; i++) {
      for (let c = 0; c < 3; c++) image[3 * i + c] = seen.data[4 * i + c];
    }
    const tensor = new ort.Tensor('uint8', image, [1, height, width, 3]);
    const {logits} = await session.run({image: tensor}, ['logits']);
    const answer = pictures.of(logits.data, height, width);
    return fromLogits.levels(part ? pictures.crop(answer, part) : answer,
      photo.height, photo.width);
  }

  return {start, levels};
})();
