// What the logs that are left of a partition lead on to from rows that it surely had, where those who kept them can not be asked to choose
// any more (docs/formats/replication.md, A reign). Pure.
import type { LogPosition } from '../log/contract.ts'
import { type EntryHead, nameOfPosition } from '../log/entry.ts'
import { comparePositions } from './log-tail.ts'

/** What is left of the log of one replica. */
export interface LeftLog<Entry extends EntryHead> {
  /** Whether nothing of it is known to be lost. Of any other nobody knows which of its last entries held. */
  isWhole: boolean
  entries: readonly Entry[]
}

/** What follows a position. */
export interface LogPath<Entry extends EntryHead> {
  /** In their order, without a gap. */
  entries: Entry[]
  /** Up to here entries were committed, by what any of them says: beyond the last one of the path, what was acknowledged is missing. */
  committed: number
}

interface Place<Entry extends EntryHead> {
  position: LogPosition
  entry?: Entry
  before?: Place<Entry>
  after: Place<Entry>[]
  /** Whether a log that is whole has it. */
  isSure: boolean
}

/**
 * The entries after `from`, which was committed. What an entry says to be committed stays, whatever else is there. Behind that the logs that are
 * whole are asked as by a primary that begins: the latest epoch, then the longest. What others have is only put behind that, never in its place.
 */
export function leadOn<Entry extends EntryHead>(
  from: LogPosition,
  logs: readonly LeftLog<Entry>[],
): LogPath<Entry> {
  const root = growTree(from, logs)
  const proven = findProven(root)
  const chosen = findLatest(proven, ({ isSure }) => isSure)
  const committed = logs.flatMap(({ entries }) => entries).reduce(highestCommitted, 0)
  return { entries: entriesTo(findLatest(chosen, () => true)), committed }
}

/** All places behind `from`. Two entries with one position are the same, and so is all before them. */
function growTree<Entry extends EntryHead>(
  from: LogPosition,
  logs: readonly LeftLog<Entry>[],
): Place<Entry> {
  const places = unite(logs)
  const root: Place<Entry> = { position: from, after: [], isSure: true }
  places.set(nameOfPosition(from), root)
  for (const place of places.values()) {
    if (place.entry === undefined) continue
    const { prevEpoch, sequence } = place.entry
    const before = places.get(nameOfPosition({ epoch: prevEpoch, sequence: sequence - 1 }))
    if (before === undefined) continue
    place.before = before
    before.after.push(place)
  }
  return root
}

function unite<Entry extends EntryHead>(
  logs: readonly LeftLog<Entry>[],
): Map<string, Place<Entry>> {
  const places = new Map<string, Place<Entry>>()
  for (const { isWhole, entries } of logs) {
    for (const entry of entries) {
      const known = places.get(nameOfPosition(entry))
      if (known !== undefined) known.isSure ||= isWhole
      else places.set(nameOfPosition(entry), { position: entry, entry, after: [], isSure: isWhole })
    }
  }
  return places
}

/** The last place that an entry behind it says to be committed. */
function findProven<Entry extends EntryHead>(root: Place<Entry>): Place<Entry> {
  let witness = root
  for (const place of placesFrom(root)) {
    if ((place.entry?.committed ?? 0) > (witness.entry?.committed ?? 0)) witness = place
  }
  const committed = witness.entry?.committed ?? 0
  let place = witness
  while (place.before !== undefined && place.position.sequence > committed) place = place.before
  return place
}

/** The place itself, or the one behind it with the latest position. */
function findLatest<Entry extends EntryHead>(
  start: Place<Entry>,
  mayBe: (place: Place<Entry>) => boolean,
): Place<Entry> {
  let latest = start
  for (const place of placesFrom(start)) {
    if (mayBe(place) && comparePositions(place.position, latest.position) > 0) latest = place
  }
  return latest
}

function* placesFrom<Entry extends EntryHead>(start: Place<Entry>): Generator<Place<Entry>> {
  const open = [start]
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    yield place
    open.push(...place.after)
  }
}

function entriesTo<Entry extends EntryHead>(end: Place<Entry>): Entry[] {
  const entries: Entry[] = []
  for (let place = end; place.entry && place.before; place = place.before) entries.push(place.entry)
  return entries.reverse()
}

function highestCommitted(highest: number, { committed }: EntryHead): number {
  return Math.max(highest, committed)
}
