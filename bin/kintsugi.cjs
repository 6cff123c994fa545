#!/usr/bin/env node
// The executable. CommonJS, because the size of the thread pool must be set before the first file is read:
// the loader of ES modules reads files itself.

// The guard of `serve` touches no drive. The server that it starts comes by here again, with this variable.
const touchesDrives = process.argv[2] !== 'serve' || process.env.KINTSUGI_GUARDED !== undefined

// 8 and 8 for each drive: one drive that hangs can hold only its own share.
const DRIVES_EXPECTED = 8
if (touchesDrives) process.env.UV_THREADPOOL_SIZE ??= String(8 + 8 * DRIVES_EXPECTED)
import('../dist/src/main.js').catch(explain)

// A clone that was not built has no such file. Whatever else is missing, of what was built, is another matter.
function explain(error) {
  const main = `${__dirname}/../dist/src/main.js`
  if (error.code !== 'ERR_MODULE_NOT_FOUND' || require('node:fs').existsSync(main)) throw error
  process.stderr.write('kintsugi: not built yet: npm start builds it, or npm run build.\n')
  process.exitCode = 1
}
