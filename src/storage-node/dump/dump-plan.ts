// What is dumped by one process, from where, and on which of its drives: the seam between dumps and the rest of the store.
import type { ClusterMap } from '../../placement/cluster-map.ts'
import type { Coordinator } from '../../placement/coordinator.ts'
import { keepsDumps } from '../../placement/dump-nodes.ts'
import type { MetadataHost } from '../metadata-host/metadata-host.ts'
import type { RowsPage } from '../replicated/contract.ts'
import type { DumpDrive } from './dump-files.ts'
import type { DumpMoment } from './dump-order.ts'

/** Asked anew for every dump: partitions and drives come and go. */
export interface DumpPlan {
  /** Those that are to be dumped here. */
  partitions(): Iterable<number>
  /** Where a dump of a partition is to lie, of drives with room for it: on those that stay, as far as they are enough. */
  drivesFor(partition: number, roomy: readonly DumpDrive[]): readonly DumpDrive[]
  /** Those of these drives that stay. What lies on the others is gone soon, and does not count. All, when no drive at all stays. */
  staying(drives: readonly DumpDrive[]): readonly DumpDrive[]
  /** All rows of a partition as of one position: at least one page, in order of keys. Throws when they can not be had now. */
  rows(partition: number, signal: AbortSignal): AsyncIterable<RowsPage>
  /** Whether one of those that are to dump a partition that is not dumped here any more has a newer dump of it. Who does not answer has none. */
  haveNewer(partition: number, than: DumpMoment): Promise<boolean>
}

/** Rows read at once, so that a page stays small. */
const PAGE_ROWS = 64

/** Of a store on one machine: everything, on one drive more than may be lost, those first that stay and have no replica. */
export function planOfStore({
  host,
  coordinator,
}: {
  host: Pick<MetadataHost, 'snapshot'>
  coordinator: Pick<Coordinator, 'state'>
}): DumpPlan {
  return {
    partitions: () => coordinator.state.metaPartitions.keys(),
    drivesFor: (partition, roomy) => {
      const { map, metaPartitions } = coordinator.state
      const replicas = new Set(metaPartitions[partition]?.inSync.map(({ driveId }) => driveId))
      return inOrder(partition, roomy, { map, replicas }).slice(0, map.code.parityCount + 1)
    },
    staying: (drives) => stayingOf(drives, coordinator.state.map),
    rows: (partition) => readSnapshot(partition, host),
    // There are no others.
    haveNewer: async () => false,
  }
}

/** Those that stay and have no replica first, then those that stay, each partition beginning at another. */
export function inOrder(
  partition: number,
  drives: readonly DumpDrive[],
  { map, replicas }: { map: Pick<ClusterMap, 'drives'>; replicas: ReadonlySet<number> },
): DumpDrive[] {
  const turned = drives.map((_, index) => drives[(index + partition) % drives.length]!)
  const staying = stayingOf(turned, map)
  return [
    ...staying.filter(({ id }) => !replicas.has(id)),
    ...staying.filter(({ id }) => replicas.has(id)),
    ...turned.filter((drive) => !staying.includes(drive)),
  ]
}

/** Those of these drives that the map does not want emptied or has out; all, when it has no others. */
export function stayingOf(
  drives: readonly DumpDrive[],
  map: Pick<ClusterMap, 'drives'>,
): readonly DumpDrive[] {
  const staying = new Set(map.drives.filter(keepsDumps).map(({ id }) => id))
  return staying.size === 0 ? drives : drives.filter(({ id }) => staying.has(id))
}

async function* readSnapshot(
  partition: number,
  host: Pick<MetadataHost, 'snapshot'>,
): AsyncGenerator<RowsPage> {
  const snapshot = await host.snapshot(partition)
  try {
    for (;;) {
      const rows = await snapshot.next(PAGE_ROWS)
      yield { position: snapshot.position, rows }
      if (rows.length < PAGE_ROWS) return
    }
  } finally {
    await snapshot.close()
  }
}
