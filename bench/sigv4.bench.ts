// What it costs to know who sent a request: its head signed by header, verified as the gateway does it, in CPU time.
import { parseAddress } from '../src/gateway/address.ts'
import { authenticate } from '../src/gateway/auth/authenticate.ts'
import { rootCredentials } from '../src/gateway/auth/credentials.ts'
import { SigningKeys } from '../src/gateway/auth/signing-keys.ts'
import { Signer } from '../src/load/signer.ts'
import { TEST_KEYS } from '../test/support/server.ts'
import { endpointOf } from './bench-stores.ts'
import { printLine, rateOf, round } from './measure.ts'

/** One line of the result. */
export interface SignatureRow {
  request: string
  perSecond: number
  microseconds: number
}

const HOST = '127.0.0.1:9000'
const KEYS = 1000

/** Measures for `forMs` of CPU time, after half as much to warm up. */
export function benchSignatures(forMs = 1000): SignatureRow[] {
  const nowMs = Date.now()
  const signer = new Signer(endpointOf(`http://${HOST}`), { now: () => nowMs })
  const heads = Array.from({ length: KEYS }, (_, at) =>
    readHead(signer.head({ method: 'GET', bucket: 'photos', key: `2026/cat-${at}.jpg` })),
  )
  const parts = {
    credentials: rootCredentials(TEST_KEYS.accessKeyId, TEST_KEYS.secretAccessKey),
    keys: new SigningKeys(),
    region: { name: 'us-east-1', enforced: false },
    nowMs,
  }
  const verifyAll = (): void => {
    for (const { method, path, headers } of heads) {
      const address = parseAddress(path, HOST, [])
      const { identity } = authenticate({ method, address, headers, rawHeaders: headers }, parts)
      if (identity.kind === 'anonymous') throw new Error('the signature is good')
    }
  }
  rateOf(verifyAll, KEYS, forMs / 2)
  // rateOf() counts in 1e9 of what each call does.
  const perSecond = rateOf(verifyAll, KEYS, forMs) * 1e9
  const row = {
    request: 'GET signed by header',
    perSecond: Math.round(perSecond),
    microseconds: round(1e6 / perSecond),
  }
  printLine(`SigV4 ${row.request}: ${row.perSecond}/s per core, ${row.microseconds} us`)
  return [row]
}

function readHead(head: Buffer): { method: string; path: string; headers: Record<string, string> } {
  const [line = '', ...lines] = head.toString('latin1').trimEnd().split('\r\n')
  const [method = '', path = ''] = line.split(' ')
  const headers = lines.map((text): [string, string] => {
    const at = text.indexOf(': ')
    return [text.slice(0, at).toLowerCase(), text.slice(at + 2)]
  })
  return { method, path, headers: Object.fromEntries(headers) }
}
