// The one who breaks things: crashes, drives that go, come back, lie, rot, fill up or stall. It never breaks more than
// the store promises to survive, and it knows what it broke.
import type { Unsynced } from '../crash/forgetful-node.ts'
import type { Seeded } from '../support/seeded.ts'
import type { Damage } from './damage.ts'
import { type Cruelty, EVERYTHING, NOTHING, type SimMachine } from './machine.ts'
import { flipIn, flipInWritten } from './rot.ts'
import type { SimDrive } from './sim-drive.ts'
import { INSPECT_MS, type Serving, type SimStore } from './store.ts'
import type { SimTime } from './time.ts'

/** How often what happens; zero: never. */
export interface Troubles {
  power: number
  kill: number
  stop: number
  fuse: number
  answer: number
  unplug: number
  vanish: number
  flip: number
  rot: number
  lie: number
  error: number
  full: number
  stall: number
  clock: number
  mend: number
}

/** What it is given. */
export interface BreakerParts {
  time: SimTime
  machine: SimMachine
  store: SimStore
  damage: Damage
  random: Seeded
  complain: (trouble: string) => void
  say: (line: string) => void
  /** Reads what was written last. */
  look: () => Promise<void>
  /** Reads everything. */
  lookAtAll: () => Promise<void>
}

/** A store that can not be whole after this time has a fault. */
const WHOLE_WITHIN_MS = 900_000
const START_WITHIN = 60

/** Breaks and mends. */
export class Breaker {
  readonly #parts: BreakerParts
  /** Starts of the store, one after the other. */
  #starting: Promise<void> = Promise.resolve()
  readonly counts = { starts: 0, troubles: 0, mended: 0 }
  isOver = false
  /** The power goes off at the answer after so many more; 0: it does not. */
  #answersLeft = 0
  #isAtAnswer = false

  constructor(parts: BreakerParts) {
    this.#parts = parts
    parts.machine.onFuse = () => this.#crashSoon()
  }

  /** Starts the store, however often it takes. */
  async start(): Promise<void> {
    const { store, time, damage, say, complain, machine, random } = this.#parts
    for (let attempt = 0; ; attempt += 1) {
      this.counts.starts += 1
      try {
        if ((await store.start()) !== undefined) return
        await this.#starting
        if (store.serving !== undefined) return
      } catch (error) {
        store.end()
        await machine.crash(EVERYTHING, random)
        say(`it does not start: ${String(error)}`)
        const isExcused = damage.drives.some((id) => this.#drive(id).disk.capacityBytes < 1024 ** 4)
        if (attempt >= START_WITHIN || (!isExcused && isOwnFault(error)))
          return complain(`the store does not start: ${stackOf(error)}`)
        await time.sleep(1_000)
      }
    }
  }

  /** A client was told that its write is done. */
  answered(): void {
    if (this.#answersLeft === 0) return
    this.#answersLeft -= 1
    if (this.#answersLeft > 0) return
    this.#isAtAnswer = true
    this.#parts.machine.burnFuse(this.#parts.random.below(3))
  }

  /** Breaks `count` things, one after the other, with at most `pauseMs` between them. */
  async run(count: number, troubles: Troubles, pauseMs: number): Promise<void> {
    for (let number = 0; number < count; number += 1) {
      await this.#parts.time.sleep(this.#parts.random.below(pauseMs))
      await this.#starting
      if (this.isOver) return
      this.counts.troubles += 1
      await this.#one(pickBy(this.#parts.random, troubles))
    }
  }

  /** What a drive holds of everything that is there now rots, and all of it is read. */
  async rotAtLast(): Promise<void> {
    const { random, damage, say, lookAtAll } = this.#parts
    await this.#starting
    const drive = this.#victim()
    if (drive === undefined) return
    const kind = random.pick(['/seg/', '/big/', '/metalog/', '/metalog/'])
    say(`much of ${kind} rots on drive ${drive.id}`)
    damage.add(drive.id, { silent: true })
    this.counts.troubles += 1
    flipInWritten(drive, { kind, most: 100, random })
    // Then the log is read again, and not only what it was applied to.
    if (kind === '/metalog/' || random.below(2) === 0) await this.#crash('power', NOTHING)
    await lookAtAll()
  }

  /** Ends all trouble, and waits until the store says that it is whole, and then some. */
  async mend(): Promise<void> {
    const { damage, store, time, say, random, machine } = this.#parts
    machine.burnFuse(Number.POSITIVE_INFINITY)
    this.#answersLeft = 0
    this.#isAtAnswer = false
    await this.#starting
    const returned = this.#repairDrives()
    say(`mending; damaged: ${damage.drives.join()}`)
    const isSilent = damage.isSilent
    if (returned || isSilent || random.below(4) === 0 || !this.#allIn())
      await this.#restart(random.below(2) === 0)
    await this.#waitUntilWhole()
    // Metadata replicas are compared from time to time: only then is rot in them known.
    if (isSilent) {
      await time.sleep(3 * INSPECT_MS)
      await this.#waitUntilWhole()
    }
    if (store.serving === undefined) return
    damage.mended()
    this.counts.mended += 1
    say('the store says that it is whole')
  }

  async #one(trouble: keyof Troubles): Promise<void> {
    const { random, machine, damage, say, time } = this.#parts
    say(`trouble: ${trouble}`)
    switch (trouble) {
      case 'power':
        return await this.#crash('power')
      case 'kill':
        return await this.#crash('kill')
      case 'stop':
        return await this.#restart(true)
      case 'fuse':
        return machine.burnFuse(random.below(400))
      case 'answer':
        // Whatever is not durable when a client hears of it is lost.
        this.#answersLeft = 1 + random.below(10)
        return
      case 'clock':
        machine.clockOffsetMs += (random.below(7_200) - 3_600) * 1000
        return
      case 'mend':
        return await this.mend()
      default: {
        const drive = this.#victim()
        if (drive === undefined) return
        say(`drive ${drive.id}`)
        damage.add(drive.id)
        return await this.#hurt(trouble, drive, time)
      }
    }
  }

  async #hurt(
    trouble: Exclude<
      keyof Troubles,
      'power' | 'kill' | 'stop' | 'fuse' | 'answer' | 'clock' | 'mend'
    >,
    drive: SimDrive,
    time: SimTime,
  ): Promise<void> {
    const { random, damage } = this.#parts
    switch (trouble) {
      case 'unplug':
        drive.crash(crueltyOf(random).survives)
        drive.isUnplugged = true
        return
      case 'vanish':
        damage.add(drive.id, { gone: true })
        return await drive.vanish()
      case 'flip':
        damage.add(drive.id, { silent: true })
        if (random.below(3) === 0) flipIn(drive, random)
        else {
          const kind = random.pick(['/seg/', '/big/', '/metalog/'])
          flipInWritten(drive, { kind, most: random.pick([1, 5, 100]), random })
        }
        return await this.#lookAtDamage()
      case 'rot':
        damage.add(drive.id, { silent: true })
        for (const files of drive.levels.values())
          files.rot(random.below(1000), (value) => {
            if (value.length > 0) value[random.below(value.length)]! ^= 1 << random.below(8)
          })
        return
      case 'lie':
        damage.add(drive.id, { silent: true })
        for (let count = random.pick([1, 1, 5]); count > 0; count -= 1)
          drive.lies.push(random.pick(['misdirected', 'torn', 'phantom'] as const))
        return
      case 'error':
        drive.failsNext = true
        return
      case 'full':
        drive.disk.capacityBytes = drive.disk.usedBytes() + random.below(200_000)
        await time.sleep(random.below(10_000))
        drive.disk.capacityBytes = 1024 ** 4
        return
      case 'stall':
        drive.stalledUntilMs = time.nowMs + random.pick([500, 3_000, 40_000, 90_000])
        return
    }
  }

  /** What rots is read while it rots, by this process or by the next one, which knows only what is on the drives. */
  async #lookAtDamage(): Promise<void> {
    const { random, lookAtAll } = this.#parts
    const then = random.pick(['kill', 'power', 'nothing'] as const)
    if (then === 'power') await this.#crash('power', NOTHING)
    if (then === 'kill') await this.#crash('kill')
    if (random.below(3) > 0) await lookAtAll()
  }

  #victims(): SimDrive[] {
    const { machine, damage } = this.#parts
    return machine.drives.filter(
      (drive) => damage.allows(drive.id) && !drive.isUnplugged && !damage.isGone(drive.id),
    )
  }

  #victim(): SimDrive | undefined {
    const { random } = this.#parts
    const possible = this.#victims()
    return possible.length === 0 ? undefined : random.pick(possible)
  }

  /** The process ends at a disk operation: the rest happens outside of it. */
  #crashSoon(): void {
    const isAtAnswer = this.#isAtAnswer
    const kind = isAtAnswer || this.#parts.random.below(4) > 0 ? 'power' : 'kill'
    this.#parts.store.end()
    this.#starting = this.#startAfter(kind, isAtAnswer)
  }

  async #crash(kind: 'power' | 'kill', cruelty?: Cruelty): Promise<void> {
    this.#parts.store.end()
    this.#starting = this.#startAfter(kind, false, cruelty)
    await this.#starting
  }

  async #startAfter(
    kind: 'power' | 'kill',
    isAtAnswer = false,
    cruelty = kind === 'power' ? crueltyOf(this.#parts.random) : EVERYTHING,
  ): Promise<void> {
    const { machine, random, say, time, look } = this.#parts
    this.#isAtAnswer = false
    say(kind === 'power' ? 'the power goes off' : 'the process is killed')
    await machine.crash(isAtAnswer && random.below(4) > 0 ? NOTHING : cruelty, random)
    if (isAtAnswer && random.below(4) > 0) this.#lose(this.#lastLogged())
    if (kind === 'power') this.#loseWithPower()
    await time.sleep(random.below(3_000))
    await this.start()
    // Before somebody else writes there.
    if (isAtAnswer) await look()
  }

  /** Some drives do not come up again with the others. */
  #loseWithPower(): void {
    const { random } = this.#parts
    while (random.below(2) === 0) {
      const last = this.#lastLogged()
      if (!this.#lose(last !== undefined && random.below(2) === 0 ? last : this.#victim())) return
    }
  }

  /** The drive that was the last to hold what was answered, of those that may be damaged. */
  #lastLogged(): SimDrive | undefined {
    const victims = this.#victims()
    return this.#parts.machine.logged.find((drive) => victims.includes(drive))
  }

  #lose(drive: SimDrive | undefined): boolean {
    if (drive === undefined) return false
    this.#parts.say(`drive ${drive.id} does not come up again`)
    this.#parts.damage.add(drive.id)
    drive.isUnplugged = true
    return true
  }

  async #restart(isClean: boolean): Promise<void> {
    const { store } = this.#parts
    if (!isClean) return await this.#crash('kill')
    const before = this.#starting
    await store.stop()
    // It crashed on the way, and is on its way back.
    if (this.#starting !== before) return await this.#starting
    return await this.#crash('kill')
  }

  /** True when a drive is back that the running process has given up. */
  #repairDrives(): boolean {
    const { machine, time } = this.#parts
    let returned = false
    for (const drive of machine.drives) {
      returned ||= drive.isUnplugged
      drive.isUnplugged = false
      drive.stalledUntilMs = Math.min(drive.stalledUntilMs, time.nowMs)
      drive.lies = []
      drive.failsNext = false
      drive.disk.capacityBytes = 1024 ** 4
    }
    return returned
  }

  #allIn(): boolean {
    const { store, damage } = this.#parts
    const drives = store.serving?.storage.coordinator.state.map.drives ?? []
    return drives.every(({ id, state }) => state === 'active' || damage.isGone(id))
  }

  async #waitUntilWhole(): Promise<void> {
    const { store, time, complain, say } = this.#parts
    const until = time.nowMs + WHOLE_WITHIN_MS
    let reasons: readonly string[] = []
    for (let round = 0; time.nowMs < until; round += 1) {
      const serving = await store.served()
      if (!this.#allIn() && round > 0) await this.#restart(true)
      else {
        if (round % 20 === 0) serving.admin.beginHeal()
        const asked = this.#lacks(serving)
        const found = await Promise.race([asked, serving.process.ended])
        if (found) {
          if (found.length === 0) return
          reasons = found
        }
      }
      await time.sleep(1_000)
    }
    say(`not whole: ${reasons.join(' ')}`)
    complain(`I7: the store does not get whole: ${reasons.join(' ')}`)
  }

  /** What it says to lack, but for drives that are gone for good. */
  async #lacks({ admin }: Serving): Promise<string[]> {
    const { damage, store } = this.#parts
    const status = await admin.status()
    const left = store.shape.drives - damage.goneCount
    const { dataCount, parityCount } = store.shape.code
    return status.reasons.filter((reason) => {
      if (damage.goneCount > 0 && reason.includes('not in service')) return false
      if (left < dataCount + parityCount && /waits? for a drive/.test(reason)) return false
      // Blobs that wait for drives are queued for ever, and a pass that finds them vouches for nothing, rightly.
      if (left < dataCount + parityCount && /Not every byte|to be mended/.test(reason)) return false
      return !(left <= parityCount && reason.includes('of metadata have fewer'))
    })
  }

  #drive(id: number): SimDrive {
    return this.#parts.machine.drives[id - 1]!
  }
}

/** Each thing that was not synced survives or not; crashes are kinder to some things than to others. */
function crueltyOf(random: Seeded): Cruelty {
  // The worst that can be is what most rules are for.
  if (random.below(3) === 0) return NOTHING
  const kindness = new Map<Unsynced, number>()
  for (const what of ['name', 'size', 'bytes', 'cut', 'row'] as const)
    kindness.set(what, random.pick([0, 10, 50, 90, 100]))
  const survives = (what: Unsynced): boolean => random.below(100) < kindness.get(what)!
  return { underWay: random.pick([0, 50, 100]), survives }
}

function pickBy(random: Seeded, weights: Troubles): keyof Troubles {
  const names = Object.keys(weights) as (keyof Troubles)[]
  let left = random.below(names.reduce((sum, name) => sum + weights[name], 0))
  for (const name of names) {
    if (left < weights[name]) return name
    left -= weights[name]
  }
  return 'power'
}

/** A start may be refused with a sentence; anything else that it throws is a fault. */
function isOwnFault(error: unknown): boolean {
  const { name } = error as { name?: string }
  return name !== 'PowerOff'
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
