// Which drives are sick: always compared with their peers, by a clock that is moved by hand.
import t from 'tap'
import {
  DriveHealth,
  type OperationKind,
} from '../../../../src/storage-node/drive-care/drive-health.ts'
import { judgeDrive, USUAL_LIMITS } from '../../../../src/storage-node/drive-care/judge-drives.ts'

/** Drives whose operations begin and end when a test says so. */
class Ward {
  nowMs = 1_000
  readonly healths: DriveHealth[]

  constructor(count: number) {
    this.healths = Array.from({ length: count }, () => new DriveHealth(() => this.nowMs))
  }

  /** Begins an operation; the result ends it. */
  begin(drive: number, kind: OperationKind): (error?: Error) => Promise<void> {
    let settle: (error?: Error) => void = () => {}
    const done = this.healths[drive]!.observe(
      kind,
      () =>
        new Promise<void>((resolve, reject) => {
          settle = (error) => (error === undefined ? resolve() : reject(error))
        }),
    )
    return async (error) => {
      settle(error)
      await done.catch(() => {})
    }
  }

  /** Operations of all drives but those named, each of which takes so long. */
  async work(kind: OperationKind, tookMs: number, rounds: number, except: number[] = []) {
    for (let round = 0; round < rounds; round += 1) {
      const busy = this.healths.map((_, at) => at).filter((at) => !except.includes(at))
      const ends = busy.map((at) => this.begin(at, kind))
      this.nowMs += tookMs
      for (const end of ends) await end()
    }
  }

  judge(drive: number): string {
    const observed = this.healths.map((health, id) => ({ id, health }))
    const peers = observed.filter(({ id }) => id !== drive)
    return judgeDrive(observed[drive]!, peers, this.nowMs)
  }
}

t.test('an operation that does not end makes a drive suspect, then hanging', async (t) => {
  const ward = new Ward(6)
  await ward.work('sync', 10, 20)
  const end = ward.begin(2, 'sync')
  await ward.work('sync', 10, 20, [2])
  t.equal(ward.judge(2), 'healthy', 'after 200 ms')
  await ward.work('sync', 10, 20, [2])
  t.equal(ward.judge(2), 'suspect', 'after 400 ms')
  await ward.work('sync', 10, 40, [2])
  t.equal(ward.judge(2), 'hanging', 'after 800 ms')
  t.equal(ward.judge(1), 'healthy')
  await end()
  t.equal(ward.judge(2), 'healthy', 'it has answered')
})

t.test('nobody hangs where all are slow', async (t) => {
  const ward = new Ward(6)
  await ward.work('sync', 10, 20)
  for (let drive = 0; drive < 6; drive += 1) ward.begin(drive, 'sync')
  ward.nowMs += 20_000
  for (let drive = 0; drive < 6; drive += 1) t.equal(ward.judge(drive), 'healthy')
})

t.test('a busy machine: what takes long everywhere may take longer here', async (t) => {
  const ward = new Ward(6)
  await ward.work('sync', 400, 30)
  ward.begin(0, 'sync')
  await ward.work('sync', 400, 4, [0])
  t.equal(ward.judge(0), 'healthy', 'after 1.6 s where 0.4 s are usual')
})

t.test('a heavier operation is not held against drives that do lighter ones', async (t) => {
  const ward = new Ward(6)
  await ward.work('read', 1, 30)
  ward.begin(0, 'sync')
  await ward.work('read', 1, 900, [0])
  t.equal(ward.judge(0), 'healthy', 'no peer had anything to sync')
  await ward.work('sync', 1, 1, [0])
  t.equal(ward.judge(0), 'hanging')
})

t.test('slow is five times as slow as the others, and slow for anybody', async (t) => {
  const ward = new Ward(6)
  await ward.work('read', 20, 30, [3])
  for (let round = 0; round < 20; round += 1) {
    const end = ward.begin(3, 'read')
    ward.nowMs += USUAL_LIMITS.slowMs + 1
    await end()
  }
  t.equal(ward.judge(3), 'slow')
  t.equal(ward.judge(0), 'healthy')

  const quick = new Ward(6)
  await quick.work('read', 1, 30, [3])
  for (let round = 0; round < 20; round += 1) {
    const end = quick.begin(3, 'read')
    quick.nowMs += 100
    await end()
  }
  t.equal(quick.judge(3), 'healthy', 'a hundred times as slow, but quick enough')
})

t.test('errors count for ten minutes', async (t) => {
  const ward = new Ward(6)
  const fail = async (code: string): Promise<void> => {
    await ward.begin(1, 'read')(Object.assign(new Error(code), { code }))
  }
  for (let count = 0; count < 20; count += 1) await fail('ENOENT')
  t.equal(ward.healths[1]!.errors, 0, 'what is missing is no error of the medium')
  for (let count = 0; count <= USUAL_LIMITS.maxErrors; count += 1) await fail('EIO')
  t.equal(ward.judge(1), 'erroring')
  ward.nowMs += 10 * 60_000 + 1
  t.equal(ward.judge(1), 'healthy')
})

t.test('a drive alone is never sick', async (t) => {
  const ward = new Ward(1)
  ward.begin(0, 'sync')
  ward.nowMs += 60_000
  t.equal(ward.judge(0), 'healthy')
})
