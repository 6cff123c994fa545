// The version of this program, as package.json says it.
import { createRequire } from 'node:module'

// Built, this file is dist/src/version.js.
const packageJson = createRequire(import.meta.url)('../../package.json') as { version: string }

/** What `kintsugi --version` says. */
export const VERSION: string = packageJson.version
