// What a process last knew of etcd, in a file of its own directory: it starts and serves from it while etcd is away, and
// refuses an etcd that is older. Layout: docs/formats/etcd-keys.md.
import { xxh64 } from '../../digest/xxh64.ts'
import { readIfThere, replaceFile } from '../../kit/files.ts'
import type { World } from '../../kit/world.ts'
import type { ImageValue, KeyImage } from './key-image.ts'

const MAGIC = 'kintsugi-known 1'
const HEADER = /^kintsugi-known 1 ([0-9a-f]{16})\n/
const HEADER_BYTES = MAGIC.length + 1 + 16 + 1

/** `damaged`: there is one that can not be read. */
export type KnownCopy =
  | { kind: 'found'; image: KeyImage }
  | { kind: 'none' }
  | { kind: 'damaged'; path: string }

/** Reads it. */
export async function readKnownCopy(
  world: Pick<World, 'disk'>,
  directory: string,
): Promise<KnownCopy> {
  const path = pathIn(directory)
  const bytes = await readIfThere(world, path)
  if (bytes === undefined) return { kind: 'none' }
  const image = decodeKnown(bytes)
  return image ? { kind: 'found', image } : { kind: 'damaged', path }
}

/** Puts another in its place, durably. One at a time. */
export async function writeKnownCopy(
  world: Pick<World, 'disk'>,
  directory: string,
  image: KeyImage,
): Promise<void> {
  const path = pathIn(directory)
  // The state may hold the root secret: for the owner's eyes only.
  const file = { path, draft: `${path}.draft`, bytes: encodeKnown(image), permissions: 0o600 }
  await replaceFile(world, file)
}

/** The copy as bytes, as it is also collected from nodes. */
function encodeKnown({ clusterId, revision, keys }: KeyImage): Uint8Array {
  const rows = [...keys].map(([key, { value, modRevision }]) => [
    key,
    modRevision,
    Buffer.from(value).toString('base64'),
  ])
  const body = Buffer.from(`${JSON.stringify({ clusterId, revision, keys: rows })}\n`)
  return Buffer.concat([Buffer.from(`${MAGIC} ${hex(xxh64(body))}\n`), body])
}

/** Undefined when they are damaged. */
function decodeKnown(bytes: Uint8Array): KeyImage | undefined {
  const header = HEADER.exec(Buffer.from(bytes.subarray(0, HEADER_BYTES)).toString('latin1'))
  const body = bytes.subarray(HEADER_BYTES)
  if (header === null || header[1] !== hex(xxh64(body))) return undefined
  const { clusterId, revision, keys } = JSON.parse(Buffer.from(body).toString('utf8')) as {
    clusterId: string
    revision: number
    keys: [key: string, modRevision: number, value: string][]
  }
  const entries = keys.map(([key, modRevision, value]): [string, ImageValue] => [
    key,
    { modRevision, value: Buffer.from(value, 'base64') },
  ])
  return { clusterId, revision, keys: new Map(entries) }
}

function pathIn(directory: string): string {
  return `${directory}/known`
}

function hex(value: bigint): string {
  return value.toString(16).padStart(16, '0')
}
