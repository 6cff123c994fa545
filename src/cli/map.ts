// kintsugi map: what lies where in a cluster, for people or as JSON.
import type { MappedDrive, MapView } from '../gateway/cluster-api.ts'
import { realWorld } from '../kit/world.ts'
import { type AdminOptions, openAdminClient } from './admin-client.ts'
import { alignColumns, showCount } from './amounts.ts'
import { showMoving, showState } from './show-drives.ts'

/** Options of the command. */
export interface MapOptions extends AdminOptions {
  table?: boolean
}

/** Prints the map. Throws Exit. */
export async function showMapOf(options: MapOptions): Promise<void> {
  const client = await openAdminClient(options, realWorld())
  const found = await client.map({ withTable: options.table === true })
  const text = options.json ? JSON.stringify(found, undefined, 2) : showMap(found).join('\n')
  process.stdout.write(`${text}\n`)
}

const HEAD = [
  'Drive',
  'Node',
  'Zone',
  'State',
  'Weight',
  'Slots',
  'of',
  'Spare',
  'Replicas',
  'Leads',
]

/** The map in lines. */
function showMap(found: MapView): string[] {
  const { epoch, code, partitions, metaPartitions, drives, moving, changing, removed } = found
  return [
    `Epoch     ${epoch}`,
    `Code      ${code}`,
    `Data      ${showCount(partitions)} partitions`,
    `Metadata  ${metaPartitions} partitions${sayChanging(changing)}`,
    ...(removed.length === 0 ? [] : [`Removed   drives ${removed.join(', ')}`]),
    ...(moving === undefined ? [] : showMoving(moving)),
    '',
    ...alignColumns([HEAD, ...drives.map(rowOf)]),
    ...(found.table === undefined ? [] : ['', ...showTable(found.table)]),
  ]
}

function sayChanging(changing: readonly number[]): string {
  return changing.length === 0 ? '' : `, of which ${changing.length} change their replicas`
}

function rowOf(drive: MappedDrive): string[] {
  const { id, nodeId = '', zone = '', weight, slots, idealSlots, spares } = drive
  return [
    ...[String(id), nodeId, zone, showState(drive), showCount(weight)],
    ...[showCount(slots), showCount(idealSlots), showCount(spares)],
    ...[String(drive.metadataReplicas), String(drive.leads)],
  ]
}

function showTable(table: readonly (readonly number[])[]): string[] {
  return table.map((row, partition) => `${partition}: ${row.join(' ')}`)
}
