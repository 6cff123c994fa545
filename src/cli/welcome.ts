// The first lines of a start: what a newcomer needs, and three lines to paste.
import type { ServeConfig } from '../config.ts'
import { counted } from '../kit/counted.ts'
import { nameCode } from '../kit/erasure-code.ts'
import { localOrigin } from '../kit/origin.ts'
import type { Member } from '../member.ts'

/** Prints endpoint, data, credentials and three lines to paste. The secret itself is never printed. */
export function printWelcome(member: Member, config: ServeConfig, adminEndpoint: string): void {
  process.stdout.write(`${welcomeLines(member, config, adminEndpoint).join('\n')}\n`)
}

/** The lines of it. */
export function welcomeLines(member: Member, config: ServeConfig, adminEndpoint: string): string[] {
  const { endpoint, drives, code, reducedCode, credentials } = member
  const lines = [
    `S3 endpoint   ${endpoint}`,
    `Admin         ${adminEndpoint}`,
    `Data          ${drives.map(({ path }) => path).join(' ')} (code ${nameCode(code)}, reduced ${nameCode(reducedCode)})`,
    `Access key    ${credentials.accessKeyId}`,
    `Secret key    ${secretPlace(member)}`,
    ...processLines(member, config),
    ...member.readiness().degraded,
    ...(member.sharesDisk ? [SHARED_DISK] : []),
    ...(code.parityCount === 0 ? [noParity(drives.length)] : []),
    '',
    'Try it:',
    ...pasteLines(member, config),
  ]
  return lines
}

/** Nothing where somebody said that one process does all. */
function processLines(member: Member, { processes, processesByCores }: ServeConfig): string[] {
  const pids = member.workerPids()
  const who = `${process.pid} has the store, ${pids.join(', ')} serve S3`
  if (processesByCores === undefined) return pids.length === 0 ? [] : [`Processes     ${who}`]
  const what = processes === 1 ? 'this one does everything' : who
  const cores = counted(processesByCores, 'core')
  return [
    `Processes     ${processes}, chosen for ${cores}: ${what} (--processes N sets the number)`,
  ]
}

const SHARED_DISK =
  'The drives share a disk: they survive lost directories and flipped bits, not the loss of that disk.'

function noParity(driveCount: number): string {
  return driveCount === 1
    ? 'The store has one drive: the loss of it loses everything.'
    : 'The store has no parity: the loss of any drive loses data.'
}

function secretPlace({ credentials }: Member): string {
  return credentials.keptIn === undefined
    ? 'from KINTSUGI_ROOT_SECRET_ACCESS_KEY'
    : `in ${credentials.keptIn} (only its owner can read it)`
}

function pasteLines({ endpoint: listened, credentials }: Member, config: ServeConfig): string[] {
  const endpoint = localOrigin(listened)
  const keys =
    credentials.keptIn === undefined
      ? `export AWS_ACCESS_KEY_ID=$KINTSUGI_ROOT_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY=$KINTSUGI_ROOT_SECRET_ACCESS_KEY`
      : `export AWS_SHARED_CREDENTIALS_FILE=${quoted(credentials.keptIn)}`
  const aws = config.tls ? 'aws --no-verify-ssl' : 'aws'
  return [
    `  ${keys} AWS_DEFAULT_REGION=${config.region}`,
    `  ${aws} --endpoint-url ${endpoint} s3 mb s3://my-bucket`,
    `  ${aws} --endpoint-url ${endpoint} s3 cp README.md s3://my-bucket/`,
  ]
}

/** A path as a shell takes it. */
function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}
