// What each worker takes for its own order: together what one process has. Each of eight by itself takes as much for garbage, and
// as many threads to collect it, as the one that has the drives.

/** Of young objects, by V8 itself. */
const YOUNG_MEBIBYTES = 16
const YOUNG_MEBIBYTES_LEAST = 2
/** Beside the one that runs JavaScript, by Node itself. */
const THREADS = 4
const OLD_FLAG = '--initial-old-space-size='

/** The flags of each of so many workers, where those of their parent are `flags`. */
export function shareHeap(flags: readonly string[], workers: number): string[] {
  const young = Math.max(YOUNG_MEBIBYTES_LEAST, Math.floor(YOUNG_MEBIBYTES / workers))
  const threads = Math.max(1, Math.floor(THREADS / workers))
  const shared = flags.map((flag) =>
    flag.startsWith(OLD_FLAG)
      ? `${OLD_FLAG}${Math.ceil(Number(flag.slice(OLD_FLAG.length)) / workers)}`
      : flag,
  )
  // First: what the user says of it counts.
  return [`--max-semi-space-size=${young}`, `--v8-pool-size=${threads}`, ...shared]
}

/**
 * Variables for glibc in a worker, where its parent has `environment`: all of its threads take memory from one arena, for each of
 * several keeps for itself what was freed in it, and few of them allocate at the same time.
 */
export function oneArena(
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  return { MALLOC_ARENA_MAX: environment.MALLOC_ARENA_MAX ?? '1' }
}
