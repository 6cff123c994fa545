// Who a node is, in its state directory: made when it joins, read whenever it starts. Layout: docs/formats/etcd-keys.md.
import { asBuffer } from '../kit/bytes.ts'
import { readIfThere, replaceFile } from '../kit/files.ts'
import type { Log } from '../kit/log.ts'
import { type Periodic, repeat } from '../kit/periodic.ts'
import type { World } from '../kit/world.ts'

/** A node and the cluster that it is of. */
export interface NodeFile {
  /** 16 hex digits, never given to another. */
  nodeId: string
  clusterId: string
  etcd: { endpoints: readonly string[]; prefix: string }
  /** The map named a drive of it once: a directory that is missing from then on may be a disk that is not mounted. */
  hasServed?: true
}

const FORMAT = 1
const NODE_ID_BYTES = 8
const KEEP_EVERY_MS = 60_000

/** Its name in the state directory. */
const NODE_FILE = 'node.json'

/** An id that no other node has. */
export function newNodeId({ random }: Pick<World, 'random'>): string {
  return asBuffer(random.bytes(NODE_ID_BYTES)).toString('hex')
}

/** Undefined where no node was made in this directory. Throws what the disk gives, and for a file that can not be read. */
export async function readNodeFile(
  directory: string,
  world: Pick<World, 'disk'>,
): Promise<NodeFile | undefined> {
  const path = `${directory}/${NODE_FILE}`
  const bytes = await readIfThere(world, path)
  if (bytes === undefined) return undefined
  const file = parse(Buffer.from(bytes).toString('utf8'))
  if (file === undefined) throw new Error(`${path} can not be read: it is damaged`)
  return file
}

/** Durable when it resolves. */
export async function writeNodeFile(
  directory: string,
  file: NodeFile,
  world: Pick<World, 'disk'>,
): Promise<void> {
  const path = `${directory}/${NODE_FILE}`
  const bytes = Buffer.from(`${JSON.stringify({ format: FORMAT, ...file }, null, 2)}\n`)
  await replaceFile(world, { path, draft: `${path}.draft`, bytes, permissions: 0o600 })
}

/** What keeping the file needs. */
export interface KeepNodeFileParts {
  world: Pick<World, 'disk' | 'clock'>
  log: Log
  /** Whether the map names a drive of the node. */
  isServing(): boolean
}

/**
 * While a node serves it writes the file again now and then, where nobody else looks whether a disk still has what it was
 * given: as it is there, so that who changed it has done so, and as `file` where that is lost or damaged. Notes that it served.
 */
export function keepNodeFile(
  directory: string,
  file: NodeFile,
  { world, log, isServing }: KeepNodeFileParts,
): Periodic {
  const round = async (): Promise<void> => {
    let error = 'it is not there'
    const found = await readNodeFile(directory, world).catch((thrown) => {
      error = String(thrown)
      return undefined
    })
    if (found === undefined) log.error({ directory, error }, `${NODE_FILE} is written again`)
    const kept = found ?? file
    await writeNodeFile(directory, isServing() ? { ...kept, hasServed: true } : kept, world)
  }
  return repeat('keep-node-file', KEEP_EVERY_MS, round, { clock: world.clock, log })
}

function parse(text: string): NodeFile | undefined {
  try {
    const { format, ...file } = JSON.parse(text) as NodeFile & { format: number }
    return format === FORMAT && isWhole(file) ? file : undefined
  } catch {
    return undefined // JSON.parse has no other way to say that the text is none.
  }
}

function isWhole({ nodeId, clusterId, etcd }: NodeFile): boolean {
  if (!/^[0-9a-f]{16}$/.test(nodeId) || typeof clusterId !== 'string') return false
  return Array.isArray(etcd?.endpoints) && typeof etcd.prefix === 'string'
}
