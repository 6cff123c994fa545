// Loaded into every test file before it runs (`node-arg` of tap in package.json): processes that a test starts are
// plain. tap would load its hooks into them as well, by NODE_OPTIONS, to measure coverage, which we do not; a server
// under test would then be loaded and started otherwise than the one that is shipped, half a second later.
import processOnSpawn from 'process-on-spawn'

processOnSpawn.removeAllListeners()
// Ours, for scripts/no-module-hooks.mjs.
delete process.env.NODE_OPTIONS
