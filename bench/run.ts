// npm run bench: every bench once, printed and kept as JSON in bench/results/ with the processor's name.
// `npm run bench -- codec`, `-- digests`, `-- store` or `-- nodes` runs one of them; `--short` takes a tenth of the operations.
// `-- scale`, `-- mend` and `-- grow` run only when they are named: two minutes, then a quarter of an hour each, and `mend` takes 20 GB of disk.
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { benchCodec } from './codec.bench.ts'
import { benchDigests } from './digests.bench.ts'
import { benchGrow } from './grow.bench.ts'
import { benchMend } from './mend.bench.ts'
import { benchNodeProtocol } from './node-protocol.bench.ts'
import { benchPutGetList } from './put-get-list.bench.ts'
import { benchScale } from './scale.bench.ts'

const RESULTS = fileURLToPath(new URL('../../bench/results/', import.meta.url))

const wanted = process.argv.slice(2)
const isWanted = (name: string): boolean =>
  wanted.every((word) => word.startsWith('--')) || wanted.includes(name)

const result: Record<string, unknown> = {
  machine: describeMachine(),
  date: new Date().toISOString(),
}
console.log(JSON.stringify(result.machine))
if (isWanted('codec')) result.codec = await benchCodec()
if (isWanted('digests')) result.digests = await benchDigests()
if (isWanted('store')) result.store = await benchPutGetList(wanted.includes('--short') ? 0.1 : 1)
if (isWanted('nodes')) result.nodes = await benchNodeProtocol()
if (wanted.includes('mend'))
  result.mend = await benchMend(wanted.includes('--short') ? 400 : 20_000)
if (wanted.includes('scale')) result.scale = await benchScale()
if (wanted.includes('grow')) result.grow = await benchGrow(wanted.includes('--short') ? 200 : 2_000)

mkdirSync(RESULTS, { recursive: true })
const file = `${RESULTS}${String(result.date).replace(/[:.]/g, '-')}.json`
writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`)
console.log(`kept in ${file}`)

function describeMachine(): Record<string, unknown> {
  const processors = cpus()
  return {
    processor: processors[0]?.model ?? 'unknown',
    processors: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    commit: commitOf(),
  }
}

function commitOf(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
  } catch {
    return 'unknown'
  }
}
