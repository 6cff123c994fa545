// Generated sequences of commands on a metadata host of three replicas. The power goes off all over them, drives and
// LevelDBs go with it: what was acknowledged is there, each batch is there whole or not at all, and so it stays.
import { type Carelessness, carelessWorld } from './careless-disk.ts'
import { runMetadataSequence } from './metadata-sequence.ts'
import { runSequences } from './sequences.ts'

const STEPS = 8
// Every operation of a sequence is too much for all of them: a crash of four drives takes ten times one of a store.
const STRIDE = 40

const found = await runSequences('metadata-sequences', 100, (seed, { dense }) =>
  runMetadataSequence(seed, { steps: STEPS, dense, stride: STRIDE }),
)

// The tests are tested: on disks that leave out what they were asked for, they must find something.
const CARELESS: readonly Carelessness[] = [
  'files are not synced',
  'directories are not synced',
  'syncs come late',
]
const missed: string[] = []
for (const how of CARELESS) {
  for (const seed of [1, 2]) {
    const { faults } = await runMetadataSequence(seed, {
      steps: 4,
      dense: false,
      stride: 5,
      prepare: (machine) => Object.assign(machine, { world: carelessWorld(machine, how) }),
    })
    if (faults.length === 0) missed.push(`${how}: ${seed}`)
  }
}

// Only now: tap follows every promise from the moment it is imported, and the restarts above make millions.
const { default: t } = await import('tap')
t.comment(`${found.seeds}: ${found.crashes} crashes`)
t.same(found.faults, [], 'power off all over in generated sequences')
t.same(missed, [], 'careless disks are found out')
