// Certificate and key from files, read again when they change, so that a renewal needs no restart.
import { createSecureContext } from 'node:tls'
import type { Log } from '../kit/log.ts'
import { type Periodic, repeat } from '../kit/periodic.ts'
import type { World } from '../kit/world.ts'

/** PEM texts. */
export interface TlsKeys {
  cert: string
  key: string
}

/** Where they are. */
export interface TlsPaths {
  certPath: string
  keyPath: string
}

/** How often the files are looked at. */
const LOOK_EVERY_MS = 2_000

/** Reads both files. */
export async function readTlsKeys(
  paths: TlsPaths,
  { disk }: Pick<World, 'disk'>,
): Promise<TlsKeys> {
  const [cert, key] = await Promise.all([
    disk.readFile(paths.certPath),
    disk.readFile(paths.keyPath),
  ])
  return { cert: Buffer.from(cert).toString('utf8'), key: Buffer.from(key).toString('utf8') }
}

/** Says what keeps these from being served; undefined when nothing does. */
export function tlsMisfit(
  { cert, key }: TlsKeys,
  { certPath, keyPath }: TlsPaths,
): string | undefined {
  if (!isTaken({ cert })) return `--tls-cert ${certPath} is not a certificate in PEM.`
  if (!isTaken({ key }))
    return `--tls-key ${keyPath} is not a private key in PEM without a passphrase.`
  if (!isTaken({ cert, key }))
    return `--tls-key ${keyPath} is not the key of the certificate in ${certPath}.`
  return undefined
}

function isTaken(keys: Partial<TlsKeys>): boolean {
  // An empty text would count as none given.
  if (Object.values(keys).includes('')) return false
  try {
    createSecureContext(keys)
    return true
  } catch {
    return false
  }
}

/** Calls `reload` when the files say something new. A pair that does not fit is logged and left alone. */
export function watchTlsFiles(
  paths: TlsPaths,
  first: TlsKeys,
  reload: (keys: TlsKeys) => void,
  { world, log }: { world: World; log: Log },
): Periodic {
  let current = first
  const look = async (): Promise<void> => {
    const keys = await readTlsKeys(paths, world)
    if (keys.cert === current.cert && keys.key === current.key) return
    // Remembered even if it does not fit, so that one bad pair is one line in the log.
    current = keys
    reload(keys)
    log.info({ certPath: paths.certPath }, 'the certificate was read again')
  }
  return repeat('reload-certificate', LOOK_EVERY_MS, look, { clock: world.clock, log })
}
