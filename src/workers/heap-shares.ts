// How much V8 lets grow in each worker before it collects: together what it lets one process have. Each of eight by itself takes
// as much for garbage as the one that has the drives.

/** Of young objects, by V8 itself. */
const YOUNG_MEBIBYTES = 16
const YOUNG_MEBIBYTES_LEAST = 2
const OLD_FLAG = '--initial-old-space-size='

/** The flags of each of so many workers, where those of their parent are `flags`. */
export function shareHeap(flags: readonly string[], workers: number): string[] {
  const young = Math.max(YOUNG_MEBIBYTES_LEAST, Math.floor(YOUNG_MEBIBYTES / workers))
  const shared = flags.map((flag) =>
    flag.startsWith(OLD_FLAG)
      ? `${OLD_FLAG}${Math.ceil(Number(flag.slice(OLD_FLAG.length)) / workers)}`
      : flag,
  )
  // First: what the user says of it counts.
  return [`--max-semi-space-size=${young}`, ...shared]
}
