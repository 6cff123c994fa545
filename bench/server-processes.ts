// What the processes of a store cost, as Linux counts it in /proc: CPU time and the most memory that they had.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

/** Of all processes together. */
export interface Cost {
  cpuSeconds: number
  /** The sum of what each had at most, which is at least what all had at once. */
  peakMebibytes: number
  /** Now, as the kernel shares out what several processes have (PSS). */
  sharedMebibytes: number
}

// What `getconf CLK_TCK` says on every Linux that Node runs on.
const TICKS_PER_SECOND = 100
/** Writing this into `clear_refs` forgets the most memory so far (proc(5)). */
const FORGET_PEAK = '5'

/** Processes that have `directory` in their command line, and all that they started. */
export class ServerProcesses {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  pids(): number[] {
    const all = readdirSync('/proc').filter(
      (name) => /^\d+$/.test(name) && name !== String(process.pid),
    )
    const ours = new Set(all.filter((pid) => readProc(pid, 'cmdline').includes(this.#directory)))
    // Parents have lower numbers mostly; after a wrap around one more round finds the rest.
    for (let round = 0; round < 3; round += 1) {
      for (const pid of all) if (ours.has(statOf(pid)[1] ?? '')) ours.add(pid)
    }
    return [...ours].map(Number)
  }

  /** From now on the peak of memory is that of what follows. */
  forgetPeak(): void {
    for (const pid of this.pids()) {
      try {
        writeFileSync(`/proc/${pid}/clear_refs`, FORGET_PEAK)
      } catch {
        // It ended, or is another user's: its peak is that of its life.
      }
    }
  }

  /** Since they began. */
  cost(): Cost {
    const costs = this.pids().map((pid) => costOf(String(pid)))
    return {
      cpuSeconds: costs.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
      peakMebibytes: costs.reduce((sum, { peakMebibytes }) => sum + peakMebibytes, 0),
      sharedMebibytes: costs.reduce((sum, { sharedMebibytes }) => sum + sharedMebibytes, 0),
    }
  }
}

function costOf(pid: string): Cost {
  const fields = statOf(pid)
  // utime and stime are the fields 14 and 15, of which the first that statOf() gives is the third.
  const ticks = Number(fields[11] ?? 0) + Number(fields[12] ?? 0)
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readProc(pid, 'status'))?.[1] ?? '0'
  const shared = /^Pss:\s+(\d+) kB$/m.exec(readProc(pid, 'smaps_rollup'))?.[1] ?? '0'
  return {
    cpuSeconds: ticks / TICKS_PER_SECOND,
    peakMebibytes: Number(peak) / 1024,
    sharedMebibytes: Number(shared) / 1024,
  }
}

/** State, parent and what follows: the name of the command before them may have spaces. */
function statOf(pid: string): string[] {
  const text = readProc(pid, 'stat')
  return text.slice(text.lastIndexOf(')') + 2).split(' ')
}

/** Empty when the process has ended. */
function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return ''
  }
}
