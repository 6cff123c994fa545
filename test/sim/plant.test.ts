// Every deliberate bug still has its place in what was built: the searches for them take minutes, this takes none.
import t from 'tap'
import { BUGS } from './bugs.ts'
import { CLUSTER_BUGS } from './cluster/bugs.ts'
import { withBug } from './plant.ts'
import { REPLICATION_BUGS } from './replication/bugs.ts'

for (const bug of [...BUGS, ...REPLICATION_BUGS, ...CLUSTER_BUGS])
  t.test(bug.name, async (t) => {
    const files = await withBug(bug)
    t.same([...files.keys()].sort(), [...new Set(bug.edits.map(({ file }) => file))].sort())
  })
