// Writes masks with imgly's background removal for Node.
//
//     node benchmarks/removers/imgly_masks.mjs FOLDER
//
// FOLDER is where npm installed it. Jobs and answers are those of own_masks.py.
// Masks are the opacity of its cut-outs before they become PNG, in which it
// rounds opacities together with colours to a palette.

import fs from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import readline from 'node:readline';
import { pathToFileURL } from 'node:url';

const folder = path.resolve(process.argv[2]);
const require = createRequire(path.join(folder, 'package.json'));
const main = require.resolve('@imgly/background-removal-node');
const { removeBackground } = require(main);
const sharp = require('sharp');

const options = {
  model: 'small',
  publicPath: pathToFileURL(`${path.dirname(main)}/`).href,
  output: { format: 'image/x-rgba8' },
};
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { input, output } = JSON.parse(line);
  const before = process.cpuUsage();
  for (const name of (await fs.readdir(input)).sort()) {
    const photo = pathToFileURL(path.join(input, name)).href;
    const cutout = await removeBackground(photo, options);
    const [width, height] = ['width', 'height'].map((side) =>
      Number(cutout.type.match(new RegExp(`${side}=(\\d+)`))[1])
    );
    const raw = { width, height, channels: 4 };
    await sharp(Buffer.from(await cutout.arrayBuffer()), { raw })
      .extractChannel('alpha')
      .png()
      .toFile(path.join(output, `${path.parse(name).name}_mask.png`));
  }
  const used = process.cpuUsage(before);
  console.log('answer:', (used.user + used.system) / 1e6);
}
