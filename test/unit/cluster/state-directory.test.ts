// The directory in which a process of a cluster remembers: made with what is missing above it, tried, and left as it was.
import { readdir, writeFile } from 'node:fs/promises'
import t from 'tap'
import { openClusterGateway } from '../../../src/cluster/gateway.ts'
import { makeStateDirectory } from '../../../src/cluster/state-directory.ts'
import type { GatewayConfig } from '../../../src/config-cluster.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { Registry } from '../../../src/kit/metrics.ts'
import { realWorld } from '../../../src/kit/world.ts'

const world = realWorld()

t.test('what is missing above it is made, and nothing is left of the trial', async (t) => {
  const directory = `${t.testdir()}/a/b/state`
  await makeStateDirectory(directory, world)
  t.same(await readdir(directory), [])
  await writeFile(`${directory}/known`, 'x')
  await makeStateDirectory(directory, world)
  t.same(await readdir(directory), ['known'])
})

t.test('a gateway says so before it asks anybody', async (t) => {
  const place = t.testdir({ file: '' })
  for (const stateDirectory of [`${place}/file`, `${place}/file/state`]) {
    const config: Partial<GatewayConfig> = { stateDirectory, processes: 2, buckets: [] }
    const parts = { world, log: silentLog, registry: new Registry() }
    const opening = openClusterGateway(config as GatewayConfig, parts)
    const message = /file(\/state)? can not be a state directory: .*ENOTDIR/
    await t.rejects(opening, { exitCode: 2, message })
  }
})
