// Runs a program of this directory in the hub of a network that is made for it, and takes everything away afterwards.
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { HUB, Network } from './network.ts'
import { type ClusterSize, machinesOf } from './processes.ts'

const ENDINGS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGALRM'] as const

/** A program, and what it is told beside its directory. */
export interface InNetwork {
  /** In this directory: `run.js`. */
  program: string
  size: ClusterSize
  options: object
  /** Hears each line that it says. */
  onLine: (line: string) => void
  /** What is left of a run that failed; `keep` leaves it lying about. */
  keep?: boolean
}

/** What the program wrote to `report.json` in its directory. Rejects with the directory's name when it failed. */
export async function runInNetwork<Report>(run: InNetwork): Promise<Report> {
  const directory = await mkdtemp(join(tmpdir(), 'cluster-faults-'))
  const network = await Network.make(machinesOf(run.size))
  try {
    const code = await runIn(network, directory, run)
    const report = await readFile(join(directory, 'report.json'), 'utf8').catch(() => undefined)
    if (code !== 0 || report === undefined) throw new Error(`${run.program} ended with ${code}`)
    return JSON.parse(report) as Report
  } finally {
    await network.remove()
    if (run.keep) run.onLine(`everything is in ${directory}`)
    else await rm(directory, { recursive: true, force: true })
  }
}

async function runIn(
  network: Network,
  directory: string,
  { program, size, options, onLine }: InNetwork,
): Promise<number | null> {
  const path = fileURLToPath(new URL(program, import.meta.url))
  const told = JSON.stringify({ ...options, size, directory })
  const [first, ...words] = network.wordsFor(HUB, [process.execPath, path, told])
  const child = spawn(first!, words, {
    env: { PATH: process.env.PATH, ...network.environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  // Whoever ends this ends the program, and everything is taken away all the same.
  const end = (): void => void network.endProcesses()
  for (const signal of ENDINGS) process.once(signal, end)
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', resolve)
  })
  let left = ''
  for await (const bytes of child.stdout) {
    const lines = (left + bytes).split('\n')
    left = lines.pop()!
    for (const line of lines) onLine(line)
  }
  for (const signal of ENDINGS) process.off(signal, end)
  return await ended
}
