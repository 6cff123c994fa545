// Drives whose metadata could not be opened: they are tried again as long as they are here, and by nobody once they have left.
import t from 'tap'
import { silentLog } from '../../../../src/kit/log.ts'
import type { MetaDrive } from '../../../../src/storage-node/metalog/meta-drive.ts'
import {
  ReplicaHost,
  type ReplicaHostParts,
} from '../../../../src/storage-node/replicated/replica-host.ts'

/** A clock whose sleepers a test wakes. */
class Sleepers {
  readonly waiting: { ms: number; wake: () => void }[] = []

  readonly sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
      this.waiting.push({ ms, wake: resolve })
    })

  async wakeAll(): Promise<void> {
    for (const { wake } of this.waiting.splice(0)) wake()
    await this.settle()
  }

  /** Resolves when all that could be done without a clock is done. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  }
}

async function openHost() {
  const sleepers = new Sleepers()
  const clock = { now: () => 0, monotonicMs: () => 0, sleep: sleepers.sleep }
  const parts = {
    world: { clock, random: { bytes: (count: number) => new Uint8Array(count) }, disk: {} },
    log: silentLog,
    decisions: { watch: () => () => {} },
    transport: {},
  } as unknown as ReplicaHostParts
  return { sleepers, host: await ReplicaHost.open({ drives: new Map() }, parts) }
}

/** A drive on which every operation fails, once the gate of that moment is through. */
function troubledDrive() {
  const asked = { count: 0, ended: 0, gate: Promise.resolve() }
  const run = async (): Promise<never> => {
    asked.count += 1
    await asked.gate
    asked.ended += 1
    throw new Error('trouble')
  }
  const drive = { id: 7, path: '/nowhere', failure: undefined, onFailure: () => () => {}, run }
  return { asked, drive: drive as unknown as MetaDrive }
}

t.test('it is tried again, later and later, until it leaves', async (t) => {
  const { host, sleepers } = await openHost()
  const { drive, asked } = troubledDrive()
  await host.addDrive(drive)
  await sleepers.settle()
  t.same(
    sleepers.waiting.map(({ ms }) => ms),
    [10_000],
  )
  const first = asked.count
  await sleepers.wakeAll()
  t.ok(asked.count > first)
  t.same(
    sleepers.waiting.map(({ ms }) => ms),
    [20_000],
  )
  const before = asked.count
  await host.closeDrive(7)
  await sleepers.wakeAll()
  t.equal(asked.count, before, 'nobody asks a drive that has left')
  const back = troubledDrive()
  await host.addDrive(back.drive)
  await sleepers.settle()
  const again = back.asked.count
  await sleepers.wakeAll()
  t.ok(back.asked.count > again, 'one that came back with its number has tries of its own')
  await host.close()
})

t.test('who closes waits for what is being opened', async (t) => {
  const { host, sleepers } = await openHost()
  const { drive, asked } = troubledDrive()
  await host.addDrive(drive)
  await sleepers.settle()
  let open = (): void => {}
  asked.gate = new Promise((resolve) => {
    open = resolve
  })
  await sleepers.wakeAll()
  t.ok(asked.count > asked.ended, 'it is being opened')
  let isClosed = false
  const closed = host.close().then(() => {
    isClosed = true
  })
  await sleepers.wakeAll()
  t.notOk(isClosed)
  open()
  await closed
  t.equal(asked.count, asked.ended)
  await sleepers.wakeAll()
  t.same(sleepers.waiting, [], 'and it is not tried again')
})
