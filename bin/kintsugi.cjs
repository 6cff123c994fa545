#!/usr/bin/env node
// The executable. CommonJS, because the size of the thread pool must be set before the first file is read:
// the loader of ES modules reads files itself.

// The guard of `serve` touches no drive. The server that it starts comes by here again, with this variable.
const touchesDrives = process.argv[2] !== 'serve' || process.env.KINTSUGI_GUARDED !== undefined

// 8 and 8 for each drive: one drive that hangs can hold only its own share.
const DRIVES_EXPECTED = 8
if (touchesDrives) process.env.UV_THREADPOOL_SIZE ??= String(8 + 8 * DRIVES_EXPECTED)
import('../dist/src/main.js')
