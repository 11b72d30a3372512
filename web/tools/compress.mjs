// Puts a brotli form beside each text file of `dist`, so that the server compresses nothing.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';

const dist = new URL('../dist/', import.meta.url).pathname;
let script = 0;
for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  // The page itself is not fixed: the server writes the theme into it.
  if (!entry.isFile() || !/\.(js|css|svg)$/.test(entry.name)) continue;
  const path = join(entry.parentPath, entry.name);
  const bytes = readFileSync(path);
  const small = brotliCompressSync(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: 11,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
  if (small.length < bytes.length) writeFileSync(`${path}.br`, small);
  if (entry.name.endsWith('.js')) script += small.length;
}
console.log(`all script, compressed: ${Math.round(script / 1000)} kB`);
