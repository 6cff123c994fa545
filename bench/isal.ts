// Intel ISA-L beside our codec, where this machine has it (Debian libisal-dev) and a compiler of C.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const SOURCE = fileURLToPath(new URL('../../bench/isal.c', import.meta.url))
const HEADERS = ['/usr/include/isa-l.h', '/usr/include/isa-l/erasure_code.h']

/** GB/s of data per core, by the names that CodecRow has for operations. */
export type IsalRates = Record<'encode' | 'one lost' | 'two lost', number>

/** Rates by `K+M`; a sentence where they can not be measured. */
export function measureIsal(
  shapes: readonly (readonly [number, number])[],
): Map<string, IsalRates> | string {
  const missing = HEADERS.find((path) => readIfThere(path) === undefined)
  if (missing !== undefined) return `ISA-L is not installed: no ${missing}`
  const directory = mkdtempSync(join(tmpdir(), 'kintsugi-bench-'))
  const program = join(directory, 'isal')
  try {
    execFileSync('cc', ['-O2', '-o', program, SOURCE, '-lisal'], { stdio: 'pipe' })
    return new Map(shapes.map(([k, m]) => [`${k}+${m}`, ratesOf(program, k, m)]))
  } catch (error) {
    return `ISA-L can not be measured: ${(error as Error).message.split('\n')[0]}`
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/** As its headers say. */
export function isalVersion(): string {
  const text = readIfThere('/usr/include/isa-l.h') ?? ''
  const parts = ['MAJOR', 'MINOR', 'PATCH'].map(
    (name) => new RegExp(`ISAL_${name}_VERSION (\\d+)`).exec(text)?.[1] ?? '?',
  )
  return parts.join('.')
}

function ratesOf(program: string, k: number, m: number): IsalRates {
  const text = execFileSync(program, [String(k), String(m)], { encoding: 'utf8' })
  const [encode = Number.NaN, one = Number.NaN, two = Number.NaN] = text.split(' ').map(Number)
  return { encode, 'one lost': one, 'two lost': two }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
