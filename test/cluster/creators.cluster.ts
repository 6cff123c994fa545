// Real processes: of 32 clients that create one key through three gateways one wins, whichever node dies meanwhile; and objects leave
// nothing in etcd. `npm run faults -- --program creators` is the long form.
import t from 'tap'
import type { CreatorsReport } from './faults/creators.ts'
import { runInNetwork } from './faults/in-network.ts'
import { Network } from './faults/network.ts'

const HOUR_MS = 3_600_000

/** Outside CI a machine may lack what this takes; in CI that is a failure. */
const trouble = Network.trouble()
const skip = process.env.CI ? false : (trouble ?? false)

t.setTimeout(HOUR_MS)
t.test('one of all creators wins', { skip, timeout: HOUR_MS }, async (t) => {
  t.equal(trouble, undefined)
  const report = await runInNetwork<CreatorsReport>({
    program: 'creators.js',
    size: { nodes: 6, gateways: 3 },
    options: { creators: 32, rounds: 40, roundsOfNode: 15, puts: 1_000 },
    onLine: (line) => t.comment(line),
  })
  t.same(report.violations, [])
  t.equal(report.rounds, 40)
  t.ok(report.kills > 0)
  const { before, after } = report.etcdKeys
  t.ok(before > 0)
  t.equal(after, before, 'etcd has no key more after a thousand objects')
})
