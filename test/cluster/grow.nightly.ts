// Real processes: a cluster grows from four nodes to six, one is drained and removed and another one dies for good, while boto3 reads
// and writes. Hardly more moves than has to, and clients see nothing that their retries do not cure.
// `npm run faults -- --program grow` is the long form, in which a drive is replaced and a node comes for the one that died.
import { spawnSync } from 'node:child_process'
import t from 'tap'
import { DevCluster } from '../support/dev-cluster.ts'
import { python } from './faults/load.ts'
import { excessOf, MOST_EXCESS } from './growth/figures.ts'
import { grow } from './growth/grow.ts'
import { libraryOf } from './growth/library.ts'

const HOUR_MS = 3_600_000

/** Outside CI a machine may lack it; in CI that is a failure. */
const hasBoto3 = spawnSync(python(), ['-c', 'import boto3']).status === 0
const skip = hasBoto3 || process.env.CI ? false : 'there is no boto3: test/clients/install.sh'

t.setTimeout(HOUR_MS)
t.test('a cluster grows and shrinks under load', { skip, timeout: HOUR_MS }, async (t) => {
  t.ok(hasBoto3)
  const dev = await DevCluster.make(t, ['--nodes', '4', '--garbage-grace', '3'])
  const report = await grow(
    dev,
    { clients: 3, pauseSeconds: 0.3, seed: 'nightly', isLong: false, library: libraryOf(1) },
    (line) => t.comment(line),
  )
  t.same(report.violations, [])
  t.same(report.undecided, [])
  t.same(report.failed, [])
  t.comment(`${report.requests} requests, of which ${report.cured} were asked again`)
  const excess = excessOf(report.steps)
  t.comment(`moved and made again: ${excess.toFixed(2)} of what had to be`)
  t.ok(excess <= MOST_EXCESS)
  t.not(report.removedNode.code, 0)
  t.match(report.removedNode.stderr, /was removed/)
})
