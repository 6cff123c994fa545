// kintsugi inspect: where an object lies, and how each of its shards was found just now.
import { Exit } from '../exit.ts'
import type { InspectedObject, InspectRequest, PartStatus } from '../gateway/admin-api.ts'
import { showBytes } from '../kit/bytes.ts'
import { realWorld } from '../kit/world.ts'
import { type AdminClient, type AdminOptions, openAdminClient } from './admin-client.ts'
import { alignColumns, showTime } from './amounts.ts'

/** Options of the command. */
export interface InspectOptions extends AdminOptions {
  versionId?: string
}

/** Prints what a look at the object gave. Throws Exit, with code 5 when not every shard is whole. */
export async function inspect(place: string, options: InspectOptions): Promise<void> {
  const { versionId } = options
  const named = versionId === undefined ? {} : { versionId }
  const request = { ...parsePlace(place), ...named }
  const client = await openAdminClient(options, realWorld())
  const found = await inspectAll(request, client)
  const text = options.json ? JSON.stringify(found, undefined, 2) : showObject(found).join('\n')
  process.stdout.write(`${text}\n`)
  const damaged = found.parts.filter(({ health }) => health !== 'whole').length
  if (damaged > 0)
    throw new Exit(5, `${damaged} of ${found.parts.length} parts do not have all their shards.`)
}

/** Bucket and key of `s3://BUCKET/KEY`; the key as it is, without any escapes. Throws Exit. */
export function parsePlace(place: string): { bucket: string; key: string } {
  const [, bucket, key] = /^s3:\/\/([^/]+)\/(.+)$/s.exec(place) ?? []
  if (bucket === undefined || key === undefined)
    throw new Exit(2, `${place} is not of the form s3://BUCKET/KEY.`)
  return { bucket, key }
}

/** All parts, page by page: of one version, whatever is written meanwhile. Throws Exit. */
export async function inspectAll(
  request: Omit<InspectRequest, 'afterPart'>,
  client: Pick<AdminClient, 'inspect'>,
): Promise<InspectedObject> {
  const first = await client.inspect({ ...request, afterPart: 0 })
  const parts = [...first.parts]
  let after = first.nextAfterPart
  while (after !== undefined) {
    const page = await client.inspect({ ...request, afterPart: after })
    if (page.etag !== first.etag || page.modifiedMs !== first.modifiedMs)
      throw new Exit(1, 'the object was replaced meanwhile: begin again.')
    parts.push(...page.parts)
    // Numbers of parts only grow, so this ends.
    if (page.nextAfterPart !== undefined && page.nextAfterPart <= after)
      throw new Exit(1, 'the store does not get on with the parts of the object.')
    after = page.nextAfterPart
  }
  const { nextAfterPart: _, ...object } = first
  return { ...object, parts }
}

/** The object in lines. */
export function showObject(object: InspectedObject): string[] {
  const { bucket, key, versionId, modifiedMs, deleteMarker, parts, partCount } = object
  const head = [
    `Object      s3://${bucket}/${key}`,
    `Version     ${versionId}, ${deleteMarker ? 'a delete marker' : 'written'} ${showTime(modifiedMs)}`,
  ]
  if (deleteMarker) return head
  return [
    ...head,
    ...showBytesAndNames(object),
    `Health      ${judge(object)}`,
    ...(partCount === 0 ? [] : parts.flatMap(showPart)),
  ]
}

function showBytesAndNames(object: InspectedObject): string[] {
  const { bytes, etag, checksum, storageClass, encryption } = object
  return [
    `Bytes       ${bytes} (${showBytes(bytes)})`,
    `ETag        ${etag}`,
    ...(checksum ? [`Checksum    ${checksum.algorithm} ${checksum.value} (${checksum.type})`] : []),
    `Class       ${storageClass}`,
    `Encryption  ${encryption}`,
    ...(object.unconfirmed
      ? [
          'Unconfirmed made from shards when metadata was lost: perhaps it was refused or deleted before',
        ]
      : []),
  ]
}

function judge({ parts, partCount }: InspectedObject): string {
  if (partCount === 0) return 'whole: it has no bytes but its row'
  const damaged = parts.filter(({ health }) => health !== 'whole')
  if (damaged.length === 0) return 'whole: every byte of every shard was read and verified'
  const short = damaged.filter(({ health }) => health === 'short').length
  const said = `${damaged.length} of ${parts.length} parts do not have all their shards`
  return short === 0 ? `degraded: ${said}` : `short: ${said}, ${short} of them too few to be sure`
}

function showPart({ number, bytes, code, uid, health, slots }: PartStatus): string[] {
  return [
    `Part ${number}      ${showBytes(bytes)}, code ${code}, blob ${uid}: ${health}`,
    ...alignColumns(
      slots.map(({ slot, drive, path, state }) => [
        ...[`  slot ${slot}`, drive === undefined ? 'no drive' : `drive ${drive}`, state],
        path ?? '',
      ]),
    ),
  ]
}
