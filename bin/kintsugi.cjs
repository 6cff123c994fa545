#!/usr/bin/env node
// The executable. CommonJS, because the size of the thread pool must be set before the first file is read:
// the loader of ES modules reads files itself.

// 8 and 8 for each drive (storage.md 9): one drive that hangs can hold only its own share.
const DRIVES_EXPECTED = 8
process.env.UV_THREADPOOL_SIZE ??= String(8 + 8 * DRIVES_EXPECTED)
import('../dist/src/main.js')
