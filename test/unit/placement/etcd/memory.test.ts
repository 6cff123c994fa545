// What is remembered of etcd on a disk that hangs: nobody waits for it for long, and it is written once the disk goes on.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { prepareDigests } from '../../../../src/digest/prepare.ts'
import { silentLog } from '../../../../src/kit/log.ts'
import { type Disk, realWorld } from '../../../../src/kit/world.ts'
import type { KeyImage } from '../../../../src/placement/etcd/key-image.ts'
import { readKnownCopy } from '../../../../src/placement/etcd/known-copy.ts'
import { Memory } from '../../../../src/placement/etcd/memory.ts'

await prepareDigests()

const imageOf = (revision: number): KeyImage => ({ clusterId: '1', revision, keys: new Map() })

/** A disk that hangs as long as a test says, and a clock on which five seconds pass when it says so. */
async function openMemory(t: Test) {
  const directory = await mkdtemp(join(tmpdir(), 'memory-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const real = realWorld()
  const hand = { hangs: undefined as Promise<void> | undefined, renames: 0, errors: 0 }
  const late: (() => void)[] = []
  const disk: Disk = Object.create(real.disk, {
    rename: {
      value: async (...all: Parameters<Disk['rename']>) => {
        hand.renames += 1
        await hand.hangs
        await real.disk.rename(...all)
      },
    },
  })
  const sleep = (_ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      late.push(resolve)
      signal?.addEventListener('abort', () => reject(signal.reason))
    })
  const error = (): void => {
    hand.errors += 1
  }
  const log = { ...silentLog, error }
  const clock = { now: () => 0, monotonicMs: () => 0, sleep }
  const stopping = new AbortController()
  const memory = new Memory(directory, { world: { clock, disk }, log }, stopping.signal)
  const known = async (): Promise<number | undefined> => {
    const copy = await readKnownCopy(real, directory)
    return copy.kind === 'found' ? copy.image.revision : undefined
  }
  const passFiveSeconds = (): void => {
    for (const end of late.splice(0)) end()
  }
  return { memory, hand, known, passFiveSeconds, stopping }
}

/** A disk that hangs until `goOn` is called. */
function hang(): { hangs: Promise<void>; goOn: () => void } {
  let goOn = (): void => {}
  const hangs = new Promise<void>((resolve) => {
    goOn = resolve
  })
  return { hangs, goOn }
}

t.test('it is on disk when it is kept', async (t) => {
  const { memory, known, hand } = await openMemory(t)
  await memory.keep(imageOf(1))
  t.equal(await known(), 1)
  await memory.keep(imageOf(2))
  t.equal(await known(), 2)
  t.equal(hand.errors, 0)
})

t.test('a disk that hangs is not waited for, and gets the last when it goes on', async (t) => {
  const { memory, known, hand, passFiveSeconds } = await openMemory(t)
  const { hangs, goOn } = hang()
  hand.hangs = hangs
  const kept = memory.keep(imageOf(1))
  passFiveSeconds()
  await kept
  t.equal(hand.errors, 1)
  await memory.keep(imageOf(2))
  await memory.keep(imageOf(3))
  t.equal(await known(), undefined)
  while (hand.renames === 0) await new Promise((resolve) => setImmediate(resolve))
  t.equal(hand.renames, 1, 'one write at a time')
  hand.hangs = undefined
  goOn()
  await memory.ended()
  t.equal(await known(), 3)
  t.equal(hand.renames, 2, 'what was outdone meanwhile is not written')
  await memory.keep(imageOf(4))
  t.equal(await known(), 4)
})

t.test('nothing is begun after the end', async (t) => {
  const { memory, known, hand, passFiveSeconds, stopping } = await openMemory(t)
  const { hangs, goOn } = hang()
  hand.hangs = hangs
  const kept = memory.keep(imageOf(1))
  passFiveSeconds()
  await kept
  await memory.keep(imageOf(2))
  stopping.abort()
  goOn()
  await memory.ended()
  t.equal(await known(), 1)
  await memory.keep(imageOf(3))
  t.equal(await known(), 1)
})
