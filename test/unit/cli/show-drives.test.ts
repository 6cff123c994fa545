// Drives, moves and passes in words: nothing is called done that is not, and no time is told that nobody knows.
import t from 'tap'
import { HealLine } from '../../../src/cli/heal.ts'
import { Countdown, showBar } from '../../../src/cli/progress.ts'
import { DrainProgress, showDrives, showPass } from '../../../src/cli/show-drives.ts'
import type {
  DriveDetails,
  HealingStatus,
  MoveStatus,
  PassStatus,
} from '../../../src/gateway/admin-api.ts'

const ACTIVE: DriveDetails = {
  ...{ id: 1, path: '/mnt/a', state: 'active', weight: 1234, metadataReplicas: 3 },
  ...{ isLeaving: false, isVacated: false, totalBytes: 2 ** 30, freeBytes: 2 ** 29 },
}
const DRAINING: DriveDetails = { ...ACTIVE, id: 2, state: 'draining', isLeaving: true }
const DEAD: DriveDetails = {
  ...{ id: 3, state: 'out', reason: 'it is missing', weight: 1, metadataReplicas: 0 },
  ...{ isLeaving: true, isVacated: false },
}
const MOVING: MoveStatus = {
  ...{ phase: 'moving', movedShards: 1, movedBytes: 1, reEncodedBlobs: 0 },
  ...{ remainingShards: 5000, remainingBytes: 2 ** 30, bytesPerSecond: 2 ** 20 },
  leftMs: 17 * 60_000,
}
const CHECK: PassStatus = {
  ...{ kind: 'check', startedMs: 0, blobs: 1500, bytes: 2 ** 20, mendedShards: 1 },
  ...{ blobsExpected: 6000, leftMs: 90_000 },
}

t.test('a list of drives', async (t) => {
  const text = (...drives: DriveDetails[]) => showDrives({ drives, moving: MOVING }).join('\n')
  t.match(text(ACTIVE), /^1 +active +1,234 +512\.0 MiB of 1\.0 GiB +3 +\/mnt\/a$/m)
  t.match(
    text(ACTIVE),
    /^Moving {4}5,000 shards, 1\.0 GiB left, 1\.0 MiB\/s, about 17 min to go$/m,
    'with the rate and the time',
  )
  const last = showDrives({ drives: [], moving: { ...MOVING, remainingShards: 1 } })
  t.match(last.join(), /Moving {4}1 shard, /)
  const anew = showDrives({ drives: [], moving: { ...MOVING, remainingReEncodes: 1234 } })
  t.match(anew.join(), /1\.0 GiB left, 1,234 blobs to re-encode, 1\.0 MiB\/s/)
  t.match(text({ ...DRAINING, blobs: 1200, oldCopies: 7 }), /draining, 1,200 blobs left/)
  t.match(text({ ...DRAINING, blobs: 0, oldCopies: 7 }), /draining, 7 copies kept a while/)
  t.match(text({ ...DRAINING, blobs: 0, oldCopies: 0 }), /draining, 0 blobs left/)
  t.match(text({ ...DRAINING, blobs: 0, isVacated: true }), /draining, vacated: it can be removed/)
  t.match(text(DEAD), /out \(it is missing\), to be removed +1 +\? +0 +\(unknown\)/)
  const mending = showDrives({ drives: [ACTIVE, DEAD] }, [CHECK]).join('\n')
  t.match(mending, /^Mending {3}check \[######-{18}\] {2}25 %.*about 90 s to go$/m)
  t.notMatch(showDrives({ drives: [ACTIVE] }, [CHECK]).join('\n'), /Mending/)
})

t.test('what waits for drives that do not answer has no time', async (t) => {
  const show = (change: Partial<MoveStatus>) =>
    showDrives({ drives: [], moving: { ...MOVING, ...change } }).slice(1)
  t.same(show({ waitingShards: 4000 }), [
    'Moving    5,000 shards, 1.0 GiB left, 1.0 MiB/s, about 17 min to go',
    '          4,000 of them waiting for drives that do not answer',
  ])
  const { leftMs: _, bytesPerSecond: __, ...idle } = { ...MOVING, phase: 'idle' as const }
  t.same(showDrives({ drives: [], moving: { ...idle, waitingShards: 5000 } }).slice(1), [
    'Moving    5,000 shards, 1.0 GiB left',
    '          they wait for drives that do not answer',
  ])
  t.same(showDrives({ drives: [], moving: { ...idle, bytesPerSecond: 2 ** 20 } }).slice(1), [
    'Moving    5,000 shards, 1.0 GiB left, 1.0 MiB/s',
  ])
  const progress = new DrainProgress()
  const drain = (blobs: number, nowMs: number, moving: MoveStatus): string =>
    progress.show({ ...DRAINING, blobs, metadataReplicas: 0 }, { moving, passes: [] }, nowMs)
  drain(400, 0, MOVING)
  t.match(drain(200, 10_000, MOVING), /10 s to go/)
  t.equal(
    drain(200, 20_000, { ...idle, waitingShards: 5000 }),
    `drive 2 ${showBar(1, 2)}, 200 blobs left, waiting for drives that do not answer`,
  )
})

t.test('a drive that is emptied, in one line', async (t) => {
  const progress = new DrainProgress()
  const nothing = { moving: undefined, passes: [] }
  t.equal(progress.show(DRAINING, nothing, 0), 'drive 2: what is on it is being counted')
  const show = (change: Partial<DriveDetails>, nowMs: number, moving?: MoveStatus): string =>
    progress.show({ ...DRAINING, ...change }, { moving, passes: [] }, nowMs)
  t.match(show({ blobs: 400 }, 1_000, MOVING), /^drive 2 \[-{24}\] {3}0 %, 400 blobs left, 3 rep/)
  const half = show({ blobs: 200, oldCopies: 200 }, 11_000, MOVING)
  t.match(half, /\] {2}50 %, 10 s to go, 200 blobs left, 3 replicas of metadata left, 1\.0 MiB\/s$/)
  t.match(show({ blobs: 0, oldCopies: 9 }, 12_000, MOVING), /100 %, 0 blobs left, 3 replicas/)
  const kept = show({ blobs: 0, oldCopies: 9, metadataReplicas: 0 }, 12_000, MOVING)
  t.match(kept, /100 %, 0 blobs left, 9 copies kept a while for readers$/)
  t.notMatch(kept, /verifying|to go/)
  t.match(show({ blobs: 0, metadataReplicas: 0 }, 13_000), /100 %, 0 blobs left, verifying$/)
})

t.test('a drive that is gone is made again by a check', async (t) => {
  const progress = new DrainProgress()
  const line = progress.show(DEAD, { moving: MOVING, passes: [CHECK] }, 0)
  t.match(
    line,
    /^drive 3 is made again: check \[######-+\] {2}25 %, 1,500 blobs of 1\.0 MiB, about/,
  )
})

t.test('a pass says only what it knows', async (t) => {
  const { blobsExpected: _, leftMs: __, ...begun } = CHECK
  t.equal(showPass(begun), 'check 1,500 blobs of 1.0 MiB')
  t.equal(
    showPass({ ...begun, blobsExpected: 1500 }),
    `check ${showBar(1, 1)}, 1,500 blobs of 1.0 MiB`,
  )
})

t.test('what is waited for counts from its beginning', async (t) => {
  const line = new HealLine()
  const ended = { check: 0, scrub: 0 }
  const healing = { passes: [], ended, queued: 0, mendedShards: 70, bytesRead: 5_000 }
  const show = (change: Partial<HealingStatus>, nowMs: number): string =>
    line.show({ ...healing, ...change } as HealingStatus, nowMs)
  t.equal(show({}, 0), 'no pass is under way')
  const seen = show({ passes: [CHECK], mendedShards: 72, bytesRead: 5_000 + 2 ** 21 }, 2_000)
  t.match(seen, /^check \[#+-+\] .* to go, 1\.0 MiB\/s, 2 shards mended$/)
  t.equal(show({ queued: 3 }, 3_000), 'no pass is under way, 3 queued')
})

t.test('a countdown', async (t) => {
  const countdown = new Countdown()
  t.equal(countdown.show(100, 0), showBar(0, 100))
  t.equal(countdown.show(50, 1_000), showBar(50, 100), 'one second tells nothing of the rate')
  t.equal(countdown.show(50, 10_000), `${showBar(50, 100)}, 10 s to go`)
  t.equal(countdown.show(0, 20_000), showBar(100, 100))
  t.equal(new Countdown().show(0, 0), showBar(100, 100), 'nothing is left of nothing')
  t.equal(countdown.show(300, 30_000), showBar(0, 300), 'more than ever begins anew')
})
