// Loaded into a server by `npm run bench -- --profile`: SIGUSR2 begins a CPU profile, the next one ends it and writes
// PID.cpuprofile, which DevTools and speedscope read.
import { writeFileSync } from 'node:fs'
import { Session } from 'node:inspector'

/** The variable that says where profiles are written; without it nothing happens here. */
export const PROFILES_VARIABLE = 'KINTSUGI_BENCH_PROFILES'

/** Half a millisecond: fine enough for functions, coarse enough not to be what is measured. */
const INTERVAL_US = 500

const directory = process.env[PROFILES_VARIABLE]
let session: Session | undefined

if (directory !== undefined) {
  process.on('SIGUSR2', () => {
    if (session === undefined) session = begin()
    else session = end(session, `${directory}/${process.pid}.cpuprofile`)
  })
}

function begin(): Session {
  const begun = new Session()
  begun.connect()
  begun.post('Profiler.enable')
  begun.post('Profiler.setSamplingInterval', { interval: INTERVAL_US })
  begun.post('Profiler.start')
  return begun
}

function end(ended: Session, path: string): undefined {
  ended.post('Profiler.stop', (error, result) => {
    if (error === null) writeFileSync(path, JSON.stringify(result.profile))
    ended.disconnect()
  })
}
