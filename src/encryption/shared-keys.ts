// Bucket keys: for a moment all new objects of a bucket get data keys under one key of the provider, so that a server is
// asked once and not for each of them; and once for all of them when they are read.
import type { World } from '../kit/world.ts'
import {
  KEY_BYTES,
  type KeyProvider,
  type KeyRequest,
  type NewDataKey,
  WrappedBy,
  WrongKey,
} from './key-provider.ts'
import { unwrapKey, WRAP_BYTES, wrapKey } from './key-wrap.ts'

/** How long one key serves a bucket. */
const SHARED_MS = 60_000

const SHARED_MAX = 1_000

const PURPOSE = 'kintsugi shared key 1'

interface Shared {
  untilMs: number
  made: Promise<NewDataKey>
}

/** `provider`, asked once in a while for each name in `shared` and key id. */
export class SharedKeys implements KeyProvider {
  readonly #provider: KeyProvider
  readonly #world: { clock: Pick<World['clock'], 'monotonicMs'>; random: World['random'] }
  readonly #shared = new Map<string, Shared>()

  constructor(
    provider: KeyProvider,
    world: { clock: Pick<World['clock'], 'monotonicMs'>; random: World['random'] },
  ) {
    this.#provider = provider
    this.#world = world
  }

  async newDataKey(request: KeyRequest): Promise<NewDataKey> {
    const { shared, keyId, context } = request
    if (shared === undefined) return await this.#provider.newDataKey(request)
    const outer = await this.#outerKey(`${shared}\n${keyId ?? ''}`, keyId)
    if (outer.kind !== 'made') return outer
    const dataKey = this.#world.random.bytes(KEY_BYTES)
    const salt = this.#world.random.bytes(KEY_BYTES)
    const wrapped = wrapKey(dataKey, outer.dataKey, salt, bindingOf(context))
    const wrappedKey = Buffer.concat([Buffer.of(WrappedBy.Shared), wrapped, outer.wrappedKey])
    return { kind: 'made', dataKey, wrappedKey, keyId: outer.keyId }
  }

  async unwrap(wrappedKey: Uint8Array, request: Pick<KeyRequest, 'context'>): Promise<Uint8Array> {
    if (wrappedKey[0] !== WrappedBy.Shared) return await this.#provider.unwrap(wrappedKey, request)
    const outerAt = 1 + WRAP_BYTES
    if (wrappedKey.length <= outerAt) throw new WrongKey('a wrapped key is cut off')
    const outer = await this.#provider.unwrap(wrappedKey.subarray(outerAt), {})
    return unwrapKey(wrappedKey.subarray(1, outerAt), outer, bindingOf(request.context))
  }

  #outerKey(name: string, keyId: string | undefined): Promise<NewDataKey> {
    const nowMs = this.#world.clock.monotonicMs()
    const known = this.#shared.get(name)
    if (known && known.untilMs > nowMs) return known.made
    this.#dropOld(nowMs)
    const made = this.#provider.newDataKey(keyId === undefined ? {} : { keyId })
    const entry = { untilMs: nowMs + SHARED_MS, made }
    this.#shared.delete(name)
    this.#shared.set(name, entry)
    made.then(
      ({ kind }) => kind === 'made' || this.#forget(name, entry),
      () => this.#forget(name, entry),
    )
    return made
  }

  /** What did not come about is asked for again. */
  #forget(name: string, entry: Shared): void {
    if (this.#shared.get(name) === entry) this.#shared.delete(name)
  }

  /** Entries stand in the order of their ends. */
  #dropOld(nowMs: number): void {
    for (const [name, { untilMs }] of this.#shared) {
      if (untilMs > nowMs && this.#shared.size < SHARED_MAX) return
      this.#shared.delete(name)
    }
  }
}

function bindingOf(context = ''): { purpose: string; bound: Uint8Array } {
  return {
    purpose: PURPOSE,
    bound: Buffer.concat([Buffer.of(WrappedBy.Shared), Buffer.from(context)]),
  }
}
