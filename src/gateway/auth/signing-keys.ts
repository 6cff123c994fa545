// Signing keys by secret and scope, kept because deriving one costs four HMACs and each day needs only a few.
import { type Scope, signingKey } from './sigv4.ts'

const KEYS_MAX = 256

/** A bounded cache: the key that was made first leaves first. */
export class SigningKeys {
  readonly #keys = new Map<string, Buffer>()
  // A scope that was read once is the same object in every request of its client: no name has to be put together.
  readonly #latest = new WeakMap<Scope, { secret: string; key: Buffer }>()

  /** The key of `secret` for `scope`. */
  find(secret: string, scope: Scope): Buffer {
    const latest = this.#latest.get(scope)
    if (latest !== undefined && latest.secret === secret) return latest.key
    const key = this.#findByName(secret, scope)
    this.#latest.set(scope, { secret, key })
    return key
  }

  #findByName(secret: string, scope: Scope): Buffer {
    const name = [secret, scope.date, scope.region, scope.service].join('\n')
    const known = this.#keys.get(name)
    if (known !== undefined) return known
    const key = signingKey(secret, scope)
    this.#keys.set(name, key)
    this.#forgetOldest()
    return key
  }

  #forgetOldest(): void {
    if (this.#keys.size <= KEYS_MAX) return
    const [oldest] = this.#keys.keys()
    if (oldest !== undefined) this.#keys.delete(oldest)
  }
}
