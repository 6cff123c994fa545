// Nobody waits for a drive that is put aside, and what was begun on it is cleared away.
import t from 'tap'
import type {
  DriveMoment,
  ShardDescription,
  StorageNode,
} from '../../../../src/storage-node/contract.ts'
import { AsideDrives } from '../../../../src/storage-node/drive-care/aside.ts'
import { PatientNode } from '../../../../src/storage-node/drive-care/patient-node.ts'

const failed = { name: 'DriveUnavailable', trouble: 'failed', driveId: 1 }
const id = { uid: 'aa' as never, part: 0, slot: 0 }
const description = { id } as unknown as ShardDescription

/** A node on which everything takes until `goOn`. */
function slowNode() {
  const seen: string[] = []
  let goOn = (): void => {}
  const gate = new Promise<void>((resolve) => {
    goOn = resolve
  })
  const step = (name: string) => async () => {
    await gate
    seen.push(name)
  }
  const writer = {
    write: step('write'),
    commit: step('commit'),
    abort: async () => void seen.push('abort'),
  }
  const node: StorageNode = {
    beginShard: async () => writer,
    hasRoom: () => true,
    openShard: async () => {
      await gate
      return {
        kind: 'found',
        reader: {
          describe: async () => ({ kind: 'missing' }),
          readCell: async () => ({ kind: 'missing' }),
          close: async () => void seen.push('close'),
        },
      }
    },
    copies: () => ({ put: step('put') }),
    deleteShard: step('delete'),
    momentOn: async () => 'now' as DriveMoment,
    deleteUntouched: async () => {
      await step('delete')()
      return true
    },
    keepShard: step('keep'),
  }
  return { node, seen, goOn }
}

t.test('nothing is at hand of a drive that is aside', async (t) => {
  const { node, seen, goOn } = slowNode()
  goOn()
  const opened = await node.openShard(1, id)
  if (opened.kind !== 'found') throw new Error(opened.kind)
  node.openAtHand = () => ({ ...opened.reader, readRun: async () => [Buffer.of(7)] })
  const aside = new AsideDrives()
  const patient = new PatientNode(node, aside)
  const reader = patient.openAtHand(1, id)!
  t.same(await reader.readRun!(0, 1), [Buffer.of(7)])
  aside.put(1, 'it hangs')
  t.equal(patient.openAtHand(1, id), undefined)
  t.ok(patient.openAtHand(2, id))
  await t.rejects(reader.readRun!(0, 1), failed)
  t.equal(reader.close(), undefined, 'it is not waited for')
  t.same(seen, ['close'])
})

t.test('who waits hears of it; what was begun is let go of when it ends', async (t) => {
  const { node, seen, goOn } = slowNode()
  const aside = new AsideDrives()
  const patient = new PatientNode(node, aside)
  const writer = await patient.beginShard(1, description)
  const writing = writer.commit()
  const opening = patient.openShard(1, id)
  const deleting = patient.deleteShard(1, id)
  const putting = patient.copies!(description, new Uint8Array(1)).put(1, 0)
  const other = patient.openShard(2, id)
  aside.put(1, 'it hangs')
  await t.rejects(writing, failed)
  await t.rejects(opening, failed)
  await t.rejects(deleting, failed)
  await t.rejects(putting, failed)
  await writer.abort()
  t.same(seen, [], 'nothing has ended yet')
  await t.rejects(patient.beginShard(1, description), failed, 'nor is anything begun')
  goOn()
  t.match(await other, { kind: 'found' }, 'another drive is not concerned')
  await new Promise((resolve) => setImmediate(resolve))
  t.same([...seen].sort(), ['abort', 'close', 'commit', 'delete', 'put'])
})

t.test('a drive that is taken back serves again', async (t) => {
  const { node, goOn } = slowNode()
  const aside = new AsideDrives()
  const patient = new PatientNode(node, aside)
  aside.put(1, 'it hangs')
  aside.takeBack(1)
  goOn()
  t.match(await patient.openShard(1, id), { kind: 'found' })
})
