// Deliberate bugs of a cluster: each forgets a rule between machines. The simulation of a whole cluster must find all of them.
import { assert } from '../../../src/kit/assert.ts'
import type { Bug } from '../bugs.ts'
import { REPLICATION_BUGS } from '../replication/bugs.ts'

/** Each is found within 500 seeds. */
export const CLUSTER_BUGS: readonly Bug[] = [
  {
    name: 'a replica takes entries of a reign that is over',
    edits: editsOf('a replica takes entries of an older reign than it promised'),
  },
  {
    name: 'a promise is forgotten with a restart',
    edits: editsOf('a promise is not kept on the drive'),
  },
  {
    name: 'who leads a partition answers questions without a round',
    edits: [
      {
        file: 'metadata/confirmed-partition.js',
        text: 'await confirm();\n        return await askQuestion(',
        by: 'return await askQuestion(',
      },
    ],
  },
  {
    name: 'an epoch is used again after a restart',
    edits: editsOf('an epoch is used again after a restart'),
  },
  {
    name: 'one replica is enough to acknowledge',
    edits: editsOf('one replica is enough to commit'),
  },
  {
    name: 'a node acknowledges a shard before it is durable',
    edits: [
      {
        file: 'storage-node/segment/appender.js',
        text: 'await this.#drive.syncFile(file, this.#files.pathOf(segment.number));',
        by: '',
      },
    ],
  },
  {
    name: 'a command that comes again is done again',
    edits: [{ file: 'metadata/commands/decide.js', text: 'if (!done)', by: 'if (true)' }],
  },
  {
    name: 'a gateway decides a condition by what it finds, and writes without it',
    edits: [
      {
        file: 'objects/objects.js',
        text: 'const { bucket, key, attributes, conditions, body } = request;',
        by: `const { bucket, key, attributes, body } = request;
        const conditions = {};
        const seen = await this.find(bucket, key);
        const { ifMatch, ifNoneMatch } = request.conditions;
        const isRefused = seen.kind === 'found'
          ? ifNoneMatch || (ifMatch && ifMatch[0] !== seen.object.version.etag)
          : ifMatch;
        if (isRefused) return { kind: 'condition-failed', condition: 'If-Match' };`,
      },
    ],
  },
  {
    name: 'a listing leaves a partition out',
    edits: [
      {
        file: 'objects/list-pages.js',
        text: 'const cursors = partitions.map(',
        by: 'const cursors = partitions.slice(-1).map(',
      },
    ],
  },
  {
    name: 'the record of a partition is written over whatever another wrote meanwhile',
    edits: [
      {
        file: 'placement/etcd/partition-records.js',
        text: '{ key: keyOf(partitionId), modRevision: revisionIn(image, partitionId) },',
        by: '',
      },
    ],
  },
  {
    name: 'the map is written over whatever another wrote meanwhile',
    edits: [
      {
        file: 'placement/coordinator-etcd.js',
        text: 'compare: [{ key: HEAD_KEY, modRevision: onRevision }],',
        by: 'compare: [],',
      },
    ],
  },
  {
    name: 'etcd is believed though it is older than what is known',
    edits: [
      {
        file: 'placement/etcd/mirror.js',
        text: 'if (restored !== undefined)',
        by: 'if (restored === null)',
      },
    ],
  },
  {
    name: 'a new primary keeps its own log, whatever others have',
    edits: editsOf('a new primary keeps its own log, whatever others have'),
  },
  {
    name: 'a drive is vacated though rows name it',
    edits: [
      {
        file: 'placement/departure.js',
        text: 'if (count?.rows !== 0)',
        by: 'if (count === undefined)',
      },
    ],
  },
  {
    name: 'a drive that was removed is not known to be',
    edits: [
      {
        file: 'cluster/node-drives.js',
        text: 'return coordinator.state.map.removed?.includes(driveId) === true',
        by: 'return false',
      },
    ],
  },
  {
    name: 'ids of drives are given again',
    edits: [
      {
        file: 'placement/coordinator-changes.js',
        text: 'nextDriveId: state.nextDriveId + 1',
        by: 'nextDriveId: Math.max(0, ...state.map.drives.map(({ id }) => id)) + 2',
      },
    ],
  },
]

/** A bug of the protocol, which has to be found in a whole cluster as well. */
function editsOf(name: string): Bug['edits'] {
  const bug = REPLICATION_BUGS.find((one) => one.name === name)
  assert(bug !== undefined, `a bug of replication is called ${name}`)
  return bug.edits
}
