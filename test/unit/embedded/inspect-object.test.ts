// A look at an object tells every slot as it is: whole, missing, rotten, out; and versions, markers and nothing at all.
import t from 'tap'
import { type InspectParts, inspectObject } from '../../../src/embedded/inspect-object.ts'
import type { InspectedObject, InspectRequest } from '../../../src/gateway/admin-api.ts'
import type { StoredObject } from '../../../src/objects/object-store.ts'
import { UpkeepFixture } from '../storage-node/upkeep/upkeep-fixture.ts'

const { signal } = new AbortController()

function partsOf({ store }: UpkeepFixture): InspectParts {
  const { node, coordinator, objects } = store
  const { clock } = store.parts.world
  return { storage: { node, coordinator, drives: { find: () => undefined } }, objects, clock }
}

async function look(
  fixture: UpkeepFixture,
  key: string,
  change: Partial<InspectRequest> = {},
): Promise<InspectedObject> {
  const request = { bucket: fixture.store.bucket.name, key, afterPart: 0, ...change }
  const outcome = await inspectObject(request, partsOf(fixture), signal)
  if (outcome.kind !== 'inspected') throw new Error(outcome.kind)
  return outcome.object
}

function statesOf({ parts }: InspectedObject): string {
  return parts[0]!.slots.map(({ state }) => state).join(' ')
}

t.test('slots as they are', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  await fixture.put('k', Buffer.alloc(1_000_000, 'k'))
  const { blob } = await fixture.reference('k')
  const whole = await look(fixture, 'k')
  t.match(whole, { bytes: 1_000_000, encryption: 'none', partCount: 1, deleteMarker: false })
  t.match(whole.parts, [{ number: 1, code: '4+2', uid: blob.uid, health: 'whole' }])
  t.equal(statesOf(whole), 'whole whole whole whole whole whole')
  t.equal(whole.nextAfterPart, undefined)

  fixture.lose(blob, 1)
  fixture.rot(blob, 4, 1)
  const degraded = await look(fixture, 'k')
  t.equal(statesOf(degraded), 'whole missing whole whole corrupt whole')
  t.equal(degraded.parts[0]!.health, 'degraded')
  await fixture.takeOut(degraded.parts[0]!.slots[0]!.drive!)
  const short = await look(fixture, 'k')
  t.equal(statesOf(short), 'out missing whole whole corrupt whole')
  t.equal(short.parts[0]!.health, 'short')
  t.same((await look(fixture, 'k', { afterPart: 1 })).parts, [], 'there is no part after it')
})

t.test('parts come page by page: empty ones are passed over', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  await fixture.put('k', Buffer.alloc(1_000))
  const { blob } = await fixture.reference('k')
  const found = await fixture.store.objects.find(fixture.store.bucket, 'k')
  if (found.kind !== 'found') throw new Error(found.kind)
  const listed = [1, 2, 3, 4, 7].map((number) => ({
    ...{ number, bytes: 1_000, etag: 'e', modifiedMs: 0 },
    ...(number === 4 ? {} : { blob }),
  }))
  const { blob: _, ...version } = found.object.version
  const object: StoredObject = {
    ...found.object,
    version: { ...version, manifest: { uid: blob.uid, partCount: 5 } },
    listParts: async (after) => {
      const rest = listed.filter(({ number }) => number > after)
      return { parts: rest.slice(0, 2), more: rest.length > 2 }
    },
  }
  let nowMs = 0
  const parts = partsOf(fixture)
  const slow: InspectParts = {
    ...parts,
    objects: {
      ...parts.objects,
      findBucket: () => fixture.store.bucket,
      find: async () => ({ kind: 'found', object }),
    },
    clock: {
      now: () => {
        nowMs += 2_000
        return nowMs
      },
    },
  }
  const pages: string[] = []
  let afterPart: number | undefined = 0
  while (afterPart !== undefined && pages.length < 9) {
    const request = { bucket: fixture.store.bucket.name, key: 'k', afterPart }
    const outcome = await inspectObject(request, slow, signal)
    if (outcome.kind !== 'inspected') throw new Error(outcome.kind)
    afterPart = outcome.object.nextAfterPart
    pages.push(`${outcome.object.parts.map(({ number }) => number).join()} then ${afterPart}`)
  }
  t.same(pages, ['1,2 then 2', '3 then 4', '7 then undefined'])
})

t.test('what is not there', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  await fixture.put('empty', Buffer.alloc(0))
  t.match(await look(fixture, 'empty'), { bytes: 0, partCount: 0, parts: [] })
  const bucket = fixture.store.bucket.name
  const ask = async (request: InspectRequest) =>
    (await inspectObject(request, partsOf(fixture), signal)).kind
  t.equal(await ask({ bucket: 'none', key: 'k', afterPart: 0 }), 'no-bucket')
  t.equal(await ask({ bucket, key: 'k', afterPart: 0 }), 'no-key')
  const versionId = `${'0'.repeat(26)}`
  t.equal(await ask({ bucket, key: 'empty', versionId, afterPart: 0 }), 'no-version')
})

t.test('who went away is not worked for', async (t) => {
  const fixture = await UpkeepFixture.open(6)
  await fixture.put('k', Buffer.alloc(1_000_000))
  const request = { bucket: fixture.store.bucket.name, key: 'k', afterPart: 0 }
  const gone = AbortSignal.abort(new Error('gone'))
  await t.rejects(inspectObject(request, partsOf(fixture), gone), { message: 'gone' })
})
