// Generated sequences of operations on the shard store of a drive. The power goes off at every operation of the disk:
// what was acknowledged is there, everything else is whole or gone, and the store goes on.
import { type Carelessness, carelessWorld } from './careless-disk.ts'
import { runSequences } from './sequences.ts'
import { runShardSequence } from './shard-sequence.ts'

const STEPS = 10

const found = await runSequences('shard-sequences', 110, (seed, { dense }) =>
  runShardSequence(seed, { steps: STEPS, dense }),
)

// The tests are tested: on a disk that leaves out what it was asked for, they must find something.
const CARELESS: readonly Carelessness[] = [
  'files are not synced',
  'directories are not synced',
  'syncs come late',
]
const missed: string[] = []
for (const how of CARELESS) {
  for (const seed of [1, 3]) {
    const { faults } = await runShardSequence(seed, {
      steps: 4,
      dense: false,
      worldOf: (machine) => carelessWorld(machine, how),
    })
    if (faults.length === 0) missed.push(`${how}: ${seed}`)
  }
}

// Only now: tap follows every promise from the moment it is imported, and the restarts above make millions.
const { default: t } = await import('tap')
t.comment(`${found.seeds}: ${found.crashes} crashes`)
t.same(found.faults, [], 'power off everywhere in generated sequences')
t.same(missed, [], 'careless disks are found out')
