// HEAD at a server of node:http that only answers, with the same generator on the same cores.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { endpointOf } from './bench-stores.ts'
import { benchLoads, type LoadRow } from './loads.bench.ts'
import { ServerProcesses } from './server-processes.ts'

const PROGRAM = fileURLToPath(new URL('./hello.js', import.meta.url))

/** Its row, as of a store that is called `hello`. */
export async function benchHello(options: {
  seconds: number
  processes: number
}): Promise<LoadRow[]> {
  const child = fork(PROGRAM)
  try {
    const [port] = (await once(child, 'message')) as [number]
    const store = {
      name: 'hello',
      endpoint: endpointOf(`http://127.0.0.1:${port}`),
      processes: new ServerProcesses(PROGRAM),
      profiles: tmpdir(),
      close: async () => {},
    }
    return await benchLoads(store, { loads: ['head'], ...options })
  } finally {
    child.disconnect()
  }
}
