// How fast shards move, and how long those take that can.

/** How a pass that moves shards goes on, about; nothing of it is known without one. */
export interface MoveForecast {
  bytesPerSecond: number | undefined
  /** Until all has moved that does not wait; undefined as long as nobody can tell. */
  leftMs: number | undefined
}

/** The speed of less than this says little. */
const TELLING_MS = 2_000

/** `movingMs`: for how long the pass has been under way. `movableBytes`: of what is left, without what waits. */
export function foretellMoves(
  movingMs: number,
  { movedBytes, movableBytes }: { movedBytes: number; movableBytes: number },
): MoveForecast {
  if (movingMs <= 0) return { bytesPerSecond: undefined, leftMs: undefined }
  const bytesPerSecond = (movedBytes * 1000) / movingMs
  const isTelling = movedBytes > 0 && movingMs >= TELLING_MS
  const leftMs = isTelling ? Math.round((movableBytes * 1000) / bytesPerSecond) : undefined
  return { bytesPerSecond, leftMs }
}
