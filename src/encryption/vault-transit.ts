// Keys in HashiCorp Vault or OpenBao: the transit engine makes and opens data keys, and never shows the key that wraps.
// https://developer.hashicorp.com/vault/api-docs/secret/transit
import type { HttpAnswer, World } from '../kit/world.ts'
import {
  KEY_BYTES,
  type KeyProvider,
  KeyProviderUnavailable,
  type KeyRequest,
  type NewDataKey,
  WrappedBy,
  WrongKey,
} from './key-provider.ts'
import { deriveKey } from './key-wrap.ts'

/** A client waits that long at most; Vault answers within milliseconds. */
const TIMEOUT_MS = 5_000

/** Answers are some hundred bytes long. */
const ANSWER_BYTES_MAX = 64 * 1024

/** Names of transit keys, and nothing that would leave the path. */
const KEY_NAME = /^[\w][\w.-]{0,199}$/

/** Where the keys are. */
export interface VaultOptions {
  /** https://vault.example:8200 */
  address: string
  /** Where the transit engine is mounted. */
  mount: string
  /** The transit key when nobody names one. */
  keyId: string
}

/** What Vault is asked with. */
export interface VaultParts {
  http: World['http']
  /** Asked for each request, so that a token may be renewed. */
  token: () => Promise<string>
}

/** Data keys of one transit engine. A key id is the name of a transit key. */
export class VaultTransit implements KeyProvider {
  readonly #options: VaultOptions
  readonly #parts: VaultParts

  constructor(options: VaultOptions, parts: VaultParts) {
    this.#options = options
    this.#parts = parts
  }

  async newDataKey({ keyId = this.#options.keyId, context }: KeyRequest): Promise<NewDataKey> {
    if (!KEY_NAME.test(keyId)) return { kind: 'no-such-key', keyId }
    const answer = await this.#post(`datakey/plaintext/${keyId}`, { bits: KEY_BYTES * 8 })
    if (isNoKey(answer)) return { kind: 'no-such-key', keyId }
    const { plaintext, ciphertext } = dataOf(answer)
    if (typeof ciphertext !== 'string') throw unexpected('no ciphertext')
    const wrappedKey = encodeWrapped(keyId, ciphertext)
    return { kind: 'made', dataKey: bind(keyFrom(plaintext), context), wrappedKey, keyId }
  }

  async unwrap(
    wrappedKey: Uint8Array,
    { context }: Pick<KeyRequest, 'context'>,
  ): Promise<Uint8Array> {
    const { keyId, ciphertext } = decodeWrapped(wrappedKey)
    const answer = await this.#post(`decrypt/${keyId}`, { ciphertext })
    if (isNoKey(answer)) throw new KeyProviderUnavailable(`Vault has no key ${keyId} any more`)
    return bind(keyFrom(dataOf(answer).plaintext), context)
  }

  async #post(path: string, body: object): Promise<HttpAnswer> {
    const { address, mount } = this.#options
    try {
      return await this.#parts.http.send({
        method: 'POST',
        url: `${address.replace(/\/+$/, '')}/v1/${mount}/${path}`,
        headers: {
          'content-type': 'application/json',
          'x-vault-request': 'true',
          'x-vault-token': await this.#parts.token(),
        },
        body: JSON.stringify(body),
        timeoutMs: TIMEOUT_MS,
        maxBytes: ANSWER_BYTES_MAX,
      })
    } catch (cause) {
      throw new KeyProviderUnavailable('Vault does not answer', { cause })
    }
  }
}

/**
 * The context becomes part of the key that is used: Vault's data keys can not be bound to one themselves, and with
 * another context every seal is broken.
 */
function bind(key: Uint8Array, context: string | undefined): Uint8Array {
  return context === undefined ? key : deriveKey(key, Buffer.from(context), 'kintsugi context 1')
}

/** Vault says 400 or, in some versions, 404, with a sentence. */
function isNoKey({ status, text }: HttpAnswer): boolean {
  return (status === 400 || status === 404) && /key not found/i.test(text)
}

/** What is in a good answer. Bodies of others are told by their status alone: they may repeat what was sent. */
function dataOf({ status, text }: HttpAnswer): { plaintext?: unknown; ciphertext?: unknown } {
  if (status !== 200) throw unexpected(`status ${status}`)
  try {
    return (JSON.parse(text) as { data?: object }).data ?? {}
  } catch {
    throw unexpected('no JSON') // The parser's own error would quote the text, and a key with it.
  }
}

function keyFrom(encoded: unknown): Uint8Array {
  const key = Buffer.from(typeof encoded === 'string' ? encoded : '', 'base64')
  if (key.length !== KEY_BYTES) throw unexpected('no key of 32 bytes')
  return key
}

function unexpected(what: string): KeyProviderUnavailable {
  return new KeyProviderUnavailable(`Vault answered with ${what}`)
}

/** Kind, the name of the key after its length, then what Vault gave. */
function encodeWrapped(keyId: string, ciphertext: string): Uint8Array {
  const name = Buffer.from(keyId)
  return Buffer.concat([Buffer.of(WrappedBy.Vault, name.length), name, Buffer.from(ciphertext)])
}

function decodeWrapped(wrappedKey: Uint8Array): { keyId: string; ciphertext: string } {
  const text = Buffer.from(wrappedKey.subarray(2)).toString('utf8')
  const keyId = text.slice(0, wrappedKey[1])
  if (!KEY_NAME.test(keyId)) throw new WrongKey('a wrapped key names no key')
  return { keyId, ciphertext: text.slice(keyId.length) }
}
