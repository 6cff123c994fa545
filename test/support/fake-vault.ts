// A server that speaks the two calls of a transit engine which a store makes, with keys that exist only in it.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

/** The server, and what a test does to it. */
export interface FakeVault {
  address: string
  token: string
  /** Paths behind the mount, as they came. */
  asked: string[]
  /** Given instead of the next right answer. */
  nextAnswer: { status: number; text: string } | undefined
  rotate(key: string): void
  close(): Promise<void>
}

/** Starts it with the keys `kintsugi` and `photos`. */
export async function startVault(): Promise<FakeVault> {
  const keys = new Map(['kintsugi', 'photos'].map((name) => [name, [randomBytes(32)]]))
  const server = createServer((request, response) => {
    answer(request).then(({ status, text }) => response.writeHead(status).end(text))
  })
  const vault: FakeVault = {
    address: '',
    token: `token-${randomBytes(8).toString('hex')}`,
    asked: [],
    nextAnswer: undefined,
    rotate: (name) => keys.get(name)?.push(randomBytes(32)),
    close: () => new Promise((resolve) => server.close(() => resolve()).closeAllConnections()),
  }

  async function answer(request: IncomingMessage): Promise<{ status: number; text: string }> {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    const [, path = ''] = /^\/v1\/transit\/(.*)$/.exec(request.url ?? '') ?? []
    vault.asked.push(path)
    const { nextAnswer } = vault
    vault.nextAnswer = undefined
    if (nextAnswer) return nextAnswer
    if (request.headers['x-vault-token'] !== vault.token) return refuse(403, 'permission denied')
    const [, operation, name = ''] = /^(datakey\/plaintext|decrypt)\/([^/]+)$/.exec(path) ?? []
    const versions = keys.get(name)
    if (!versions) return refuse(400, 'encryption key not found')
    const body = JSON.parse(Buffer.concat(parts).toString()) as { ciphertext?: string }
    return operation === 'decrypt' ? decrypt(versions, body.ciphertext ?? '') : makeKey(versions)
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  vault.address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return vault
}

function makeKey(versions: readonly Buffer[]): { status: number; text: string } {
  const plain = randomBytes(32)
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', versions.at(-1)!, nonce)
  const sealed = Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  const ciphertext = `vault:v${versions.length}:${sealed.toString('base64')}`
  return give({ plaintext: plain.toString('base64'), ciphertext })
}

function decrypt(
  versions: readonly Buffer[],
  ciphertext: string,
): { status: number; text: string } {
  const [, version, encoded = ''] = /^vault:v(\d+):(.*)$/.exec(ciphertext) ?? []
  const key = versions[Number(version) - 1]
  const sealed = Buffer.from(encoded, 'base64')
  if (!key || sealed.length < 28) return refuse(400, 'invalid ciphertext: unable to decrypt')
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12))
  decipher.setAuthTag(sealed.subarray(-16))
  const plain = Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()])
  return give({ plaintext: plain.toString('base64') })
}

function give(data: object): { status: number; text: string } {
  return { status: 200, text: JSON.stringify({ request_id: 'r', data }) }
}

function refuse(status: number, sentence: string): { status: number; text: string } {
  return { status, text: JSON.stringify({ errors: [sentence] }) }
}
