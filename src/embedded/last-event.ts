// When something last happened after which nobody can vouch for the whole store: a start, a drive that went or came,
// damage that a reader found. What was verified before counts for nothing.
import type { Clock } from '../kit/world.ts'
import type { Coordinator } from '../placement/coordinator.ts'

/** Remembers the last event. */
export interface LastEvent {
  /** Milliseconds since 1970. */
  readonly atMs: number
  note(): void
  stop(): void
}

/** Begins with the start as the last event, and watches the drives. */
export function watchEvents(
  coordinator: Pick<Coordinator, 'state' | 'watch'>,
  clock: Pick<Clock, 'now'>,
): LastEvent {
  let atMs = clock.now()
  let known = drivesOf(coordinator.state)
  const note = (): void => {
    atMs = clock.now()
  }
  const stop = coordinator.watch((state) => {
    const drives = drivesOf(state)
    if (drives === known) return
    known = drives
    note()
  })
  return {
    get atMs() {
      return atMs
    },
    note,
    stop,
  }
}

/** Text that changes when a drive comes, goes or changes its state. */
function drivesOf({ map }: Pick<Coordinator['state'], 'map'>): string {
  return map.drives.map(({ id, state }) => `${id} ${state}`).join()
}
