// Real processes on machines of their own (network namespaces), which die, hang, are cut off and are restarted, while clients of boto3
// work through both gateways. Nothing acknowledged is lost, no byte is wrong, and one order explains what all clients saw. How long
// a fault is felt depends on the machine, and is said, not judged: `npm run faults` is the long form.
import { spawnSync } from 'node:child_process'
import t from 'tap'
import { runInNetwork } from './faults/in-network.ts'
import { python } from './faults/load.ts'
import { Network } from './faults/network.ts'
import type { FaultsReport } from './faults/run.ts'

const HOURS_MS = 3_600_000

/** A machine may not let anybody make namespaces: that is said. What can be installed is there in CI. */
const noNetwork = Network.trouble()
const trouble = boto3Trouble()
const skip = noNetwork ?? (process.env.CI ? false : (trouble ?? false))

t.setTimeout(HOURS_MS)
t.test('faults under load', { skip, timeout: HOURS_MS }, async (t) => {
  t.equal(trouble, undefined)
  const report = await runInNetwork<FaultsReport>({
    program: 'run.js',
    size: { nodes: 6, gateways: 2 },
    options: { length: 'short', clients: 6, pauseSeconds: 0.05, seed: 'ci' },
    onLine: (line) => t.comment(line),
  })
  t.same(report.violations, [])
  t.same(report.undecided, [])
  t.ok(report.requests > 0)
  const during = report.rows.reduce((sum, { done }) => sum + done, 0)
  t.ok(during > 0, 'there was success meanwhile')
})

function boto3Trouble(): string | undefined {
  const { status } = spawnSync(python(), ['-c', 'import boto3'])
  return status === 0 ? undefined : 'there is no boto3: test/clients/install.sh'
}
