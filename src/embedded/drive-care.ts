// Cares for drives that are sick but not dead: one that hangs, is slow or errs while its peers do well is put aside,
// so that nobody waits for it, and taken back once it does well again. docs/decisions tells why and within which limits.
import type { Log } from '../kit/log.ts'
import type { Change, ClusterState } from '../placement/coordinator.ts'
import { markActive } from '../placement/coordinator-changes.ts'
import { canDoWithout } from '../placement/do-without.ts'
import type { Drive } from '../storage-node/drive.ts'
import { CareAdvice } from '../storage-node/drive-care/advice.ts'
import type { AsideDrives } from '../storage-node/drive-care/aside.ts'
import type { DriveHealth } from '../storage-node/drive-care/drive-health.ts'
import {
  type DriveCondition,
  type JudgeLimits,
  judgeDrive,
  USUAL_LIMITS,
} from '../storage-node/drive-care/judge-drives.ts'
import type { PatientClock } from '../storage-node/drive-care/patient-clock.ts'

/** How drives are judged, and for how long they stay aside. */
export interface CareLimits extends JudgeLimits {
  /** Slowness that lasts so long is a gray failure. */
  slowForMs: number
  /** A drive that does not answer one operation for so long, while the others do, has failed. */
  failAfterMs: number
  /** So long a probe may wait behind other operations of its drive. */
  chokedMs: number
  /** So much more patience for a drive that shares its file system with others: there the disk is busy, not the drive sick. */
  sharedFactor: number
  /** Probes in a row that must be well before a drive is taken back; twice as many each time, up to the most. */
  probesAfterHang: number
  probesAfterSlow: number
  probesMost: number
}

/** What the embedded store goes by. Probes come every five seconds. */
export const USUAL_CARE: CareLimits = {
  ...USUAL_LIMITS,
  slowForMs: 60_000,
  failAfterMs: 60_000,
  chokedMs: 5_000,
  sharedFactor: 10,
  probesAfterHang: 6,
  probesAfterSlow: 60,
  probesMost: 720,
}

/** What the care acts upon. */
export interface CareParts {
  log: Log
  /** Goes on at every tick; all healths measure by it. */
  clock: PatientClock
  aside: AsideDrives
  coordinator: {
    readonly state: ClusterState
    putAside(driveId: number, reason: string): Promise<void>
    addDrive(drive: Drive): Promise<void>
    decide(change: Change): Promise<ClusterState>
  }
  /** Nothing of metadata waits for the drive any more. */
  leaveMetadata(driveId: number): void
}

/** How a drive does, for people. */
export type ShownCondition = 'healthy' | 'slow' | 'erroring' | 'hanging' | 'failed'

interface Patient {
  drive: Drive
  health: DriveHealth
  condition: DriveCondition
  slowSinceMs: number | undefined
  aside: { kind: AsideKind; reason: string; sinceMs: number; goodProbes: number } | undefined
  /** How often it was put aside. */
  relapses: number
  record: Promise<void> | undefined
  /** When the last record came about, or did not; undefined while one is under way. */
  recordEndedMs: number | undefined
  isReturning: boolean
  /** Since when a probe is under way; it may wait for others of the drive. */
  probeSinceMs: number | undefined
}

/** What could not be recorded, as while etcd is away, is recorded again so often. */
const RECORD_AGAIN_MS = 10_000

type AsideKind = 'hanging' | 'slow' | 'erroring'

/** Judges all drives from time to time, and acts. */
export class DriveCare {
  readonly advice: CareAdvice
  readonly #limits: CareLimits
  readonly #parts: CareParts
  readonly #healths = new Map<number, DriveHealth>()
  readonly #patients = new Map<number, Patient>()

  constructor(parts: CareParts, limits: CareLimits = USUAL_CARE) {
    this.#parts = parts
    this.#limits = limits
    this.advice = new CareAdvice(this.#healths)
  }

  /** Takes a drive into care that is here and works. */
  add(drive: Drive, health: DriveHealth): void {
    this.#parts.aside.takeBack(drive.id)
    this.advice.note(drive.id, false)
    this.#healths.set(drive.id, health)
    this.#patients.set(drive.id, {
      ...{ drive, health, condition: 'healthy', relapses: 0, isReturning: false },
      ...{ slowSinceMs: undefined, aside: undefined, record: undefined },
      ...{ recordEndedMs: undefined, probeSinceMs: undefined },
    })
  }

  /** The drive is nobody's business any more, unless another took its place. */
  remove(drive: Drive): void {
    if (this.#patients.get(drive.id)?.drive !== drive) return
    this.#patients.delete(drive.id)
    this.#healths.delete(drive.id)
    this.advice.note(drive.id, false)
    this.#parts.aside.takeBack(drive.id)
  }

  /** Judges every drive; called several times a second. */
  tick(): void {
    const { clock } = this.#parts
    clock.tick()
    const nowMs = clock.now()
    const working = [...this.#patients.values()].filter(({ drive }) => drive.failure === undefined)
    for (const patient of working) {
      const peers = working.filter((other) => other !== patient && other.aside === undefined)
      const observed = peers.map(({ drive, health }) => ({ id: drive.id, health }))
      const { drive, health } = patient
      const limits = this.#limitsFor(patient, peers)
      patient.condition = isChoked(patient, peers, nowMs, limits)
        ? 'hanging'
        : judgeDrive({ id: drive.id, health }, observed, nowMs, limits)
      if (patient.aside === undefined) this.#attend(patient, nowMs)
      else if (!patient.isReturning) this.#recordAgain(patient, nowMs)
      else if (patient.condition === 'hanging') this.#relapse(patient)
      this.#failIfDead(patient, nowMs)
      this.advice.note(drive.id, this.#isAvoided(patient))
    }
  }

  /** A probe of the drive begins; the result is told how it ended. */
  beginProbe(driveId: number): (answer: 'good' | 'failed') => void {
    const { clock } = this.#parts
    const patient = this.#patients.get(driveId)
    if (patient === undefined) return () => {}
    const begunMs = clock.now()
    patient.probeSinceMs = begunMs
    return (answer) => {
      patient.probeSinceMs = undefined
      const { aside } = patient
      if (aside === undefined) return
      const isGood = answer === 'good' && clock.now() - begunMs < this.#limits.slowMs
      aside.goodProbes = isGood ? aside.goodProbes + 1 : 0
      void this.#takeBackIfWell(patient)
    }
  }

  /** Whether a drive in service synced something so lately that it need not be probed. */
  wroteWithin(driveId: number, ms: number): boolean {
    const patient = this.#patients.get(driveId)
    if (patient === undefined || patient.aside !== undefined) return false
    const doneMs = patient.health.lastDone('sync')
    return doneMs !== undefined && this.#parts.clock.now() - doneMs < ms
  }

  /** Age of the oldest operation under way, 0 without any. */
  oldestMs(driveId: number): number {
    const begunMs = this.#healths.get(driveId)?.oldest?.begunMs
    return begunMs === undefined ? 0 : this.#parts.clock.now() - begunMs
  }

  /** Resolves once it is on record that the drive is out; rejects when it could not be recorded. */
  async recorded(driveId: number): Promise<void> {
    await this.#patients.get(driveId)?.record
  }

  /** How a drive does that is in the map; a suspicion of moments is not worth a word. */
  conditionOf(driveId: number): ShownCondition {
    const patient = this.#patients.get(driveId)
    if (patient === undefined || patient.drive.failure !== undefined) return 'failed'
    if (patient.aside !== undefined) return patient.aside.kind
    const { condition } = patient
    if (condition === 'slow') return this.#isSlowForLong(patient) ? 'slow' : 'healthy'
    return condition === 'suspect' ? 'healthy' : condition
  }

  /** For metrics. */
  healthOf(driveId: number): DriveHealth | undefined {
    return this.#healths.get(driveId)
  }

  get driveIds(): number[] {
    return [...this.#patients.keys()]
  }

  /** Before everything closes: nobody waits for what hangs. */
  stop(): void {
    for (const { drive, condition } of this.#patients.values()) {
      if (condition === 'hanging') drive.fail(new Error('it hung until the store was closed'))
    }
    this.#patients.clear()
  }

  #attend(patient: Patient, nowMs: number): void {
    const { condition } = patient
    if (condition === 'slow') patient.slowSinceMs ??= nowMs
    else if (condition !== 'suspect') patient.slowSinceMs = undefined
    if (condition === 'hanging' || condition === 'erroring') this.#putAside(patient, condition)
    else if (condition === 'slow' && this.#isSlowForLong(patient)) this.#putAside(patient, 'slow')
  }

  #isSlowForLong({ slowSinceMs }: Patient): boolean {
    return (
      slowSinceMs !== undefined && this.#parts.clock.now() - slowSinceMs >= this.#limits.slowForMs
    )
  }

  #isAvoided(patient: Patient): boolean {
    const { condition, aside } = patient
    if (aside !== undefined || condition === 'suspect' || condition === 'hanging') return true
    return condition === 'erroring' || (condition === 'slow' && this.#isSlowForLong(patient))
  }

  #putAside(patient: Patient, kind: AsideKind): void {
    const { drive } = patient
    if (!this.#canDoWithout(drive.id)) return
    const reason = this.#sayWhy(patient, kind)
    patient.aside = { kind, reason, sinceMs: this.#parts.clock.now(), goodProbes: 0 }
    patient.slowSinceMs = undefined
    patient.relapses += 1
    this.#record(patient, reason)
    if (kind === 'hanging') this.#parts.aside.put(drive.id, reason)
    this.#parts.log.error({ path: drive.path, reason }, `drive ${drive.id} is put aside`)
  }

  #canDoWithout(driveId: number): boolean {
    const leaving = [...this.#patients.values()].filter(({ aside }) => aside !== undefined)
    const leavingIds = new Set(leaving.map(({ drive }) => drive.id))
    return canDoWithout(this.#parts.coordinator.state, driveId, leavingIds)
  }

  /** It hangs again while it is being taken back: decisions wait for it. */
  #relapse(patient: Patient): void {
    this.#record(patient, this.#sayWhy(patient, 'hanging'))
  }

  /** While it is in service by the map, nobody makes again what was on it. */
  #recordAgain(patient: Patient, nowMs: number): void {
    const { drive, aside, recordEndedMs } = patient
    if (aside === undefined || recordEndedMs === undefined) return
    if (nowMs - recordEndedMs < RECORD_AGAIN_MS) return
    const known = this.#parts.coordinator.state.map.drives.find(({ id }) => id === drive.id)
    if (known === undefined || known.state === 'out' || !this.#canDoWithout(drive.id)) return
    this.#record(patient, aside.reason)
  }

  #sayWhy({ health }: Patient, kind: AsideKind): string {
    switch (kind) {
      case 'hanging':
        return 'it hangs: it does not answer while the others do'
      case 'erroring':
        return `it errs: ${health.errors} errors within ten minutes`
      default: {
        const p95Ms = Math.max(
          ...(['read', 'write', 'sync'] as const).map((of) => health.latency(of).p95Ms),
        )
        return `it is slow: ${Math.round(p95Ms)} ms where the others take a fifth at most`
      }
    }
  }

  /** Leaves a promise that is heard of by those who count on the record, and otherwise by the log. */
  #record(patient: Patient, reason: string): void {
    const { coordinator, clock, log, leaveMetadata } = this.#parts
    const { id: driveId } = patient.drive
    const recorded = coordinator.putAside(driveId, reason).then(() => leaveMetadata(driveId))
    patient.record = recorded
    patient.recordEndedMs = undefined
    const end = (): void => {
      if (patient.record === recorded) patient.recordEndedMs = clock.now()
    }
    recorded.then(end, (error) => {
      end()
      log.error(
        { driveId, error: String(error) },
        'that a drive is put aside could not be recorded: writes that need it are refused',
      )
    })
  }

  #limitsFor({ drive }: Patient, peers: readonly Patient[]): CareLimits {
    const isShared = peers.some((peer) => peer.drive.device === drive.device)
    if (!isShared) return this.#limits
    const { hangingMs, chokedMs, sharedFactor } = this.#limits
    return {
      ...this.#limits,
      hangingMs: hangingMs * sharedFactor,
      chokedMs: chokedMs * sharedFactor,
    }
  }

  #failIfDead({ drive, health, condition, probeSinceMs }: Patient, nowMs: number): void {
    const { failAfterMs } = this.#limits
    const sinceMs = Math.min(health.oldest?.begunMs ?? nowMs, probeSinceMs ?? nowMs)
    if (condition !== 'hanging' || nowMs - sinceMs < failAfterMs) return
    drive.fail(new Error(`it did not answer for ${Math.round(failAfterMs / 1000)} s`))
  }

  async #takeBackIfWell(patient: Patient): Promise<void> {
    const { drive, aside } = patient
    if (aside === undefined || patient.isReturning || drive.failure !== undefined) return
    if (aside.goodProbes < this.#probesNeeded(patient) || !this.#isThrough(patient)) return
    patient.isReturning = true
    try {
      // Nobody counted on a record that failed; whether it came about all the same is seen by the decision that undoes it.
      await patient.record?.catch(() => undefined)
      await this.#takeBack(patient, aside)
    } catch (error) {
      aside.goodProbes = 0
      this.#parts.log.warn(
        { path: drive.path, error: String(error) },
        `drive ${drive.id} could not be taken back`,
      )
    } finally {
      patient.isReturning = false
    }
  }

  #probesNeeded({ aside, relapses }: Patient): number {
    const { probesAfterHang, probesAfterSlow, probesMost } = this.#limits
    const first = aside?.kind === 'hanging' ? probesAfterHang : probesAfterSlow
    return Math.min(probesMost, first * 2 ** (relapses - 1))
  }

  /** Nothing that was under way when it was put aside is under way still. */
  #isThrough({ health, aside }: Patient): boolean {
    return health.oldest === undefined || health.oldest.begunMs > (aside?.sinceMs ?? 0)
  }

  /** It comes back as a drive does that was missing: what was written meanwhile is not on it, and all of it is checked. */
  async #takeBack(patient: Patient, before: NonNullable<Patient['aside']>): Promise<void> {
    const { drive, health } = patient
    const { coordinator, aside, log } = this.#parts
    await coordinator.addDrive(drive)
    health.forgetLatencies()
    aside.takeBack(drive.id)
    patient.aside = undefined
    patient.record = undefined
    try {
      await coordinator.decide(markActive(drive.id))
    } catch (error) {
      // It may be on record as out still: it stays aside, and comes back when that can be decided.
      patient.aside ??= before
      if (before.kind === 'hanging')
        aside.put(drive.id, 'it is not on record that it does well again')
      // Nor does any decision wait for it.
      this.#record(patient, before.reason)
      throw error
    }
    log.warn({ path: drive.path }, `drive ${drive.id} does well again and is back`)
  }
}

/** LevelDB's operations are not observed: where they hang, a probe finds no permit of the drive free. */
function isChoked(
  { probeSinceMs }: Patient,
  peers: readonly Patient[],
  nowMs: number,
  { chokedMs }: CareLimits,
): boolean {
  if (probeSinceMs === undefined || nowMs - probeSinceMs < chokedMs) return false
  const free = peers.filter((peer) => nowMs - (peer.probeSinceMs ?? nowMs) < chokedMs / 4)
  return free.length > 0 && free.length >= peers.length / 2
}
