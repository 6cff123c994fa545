// Signing keys by secret and scope, kept because deriving one costs four HMACs and each day needs only a few.
import { type Scope, signingKey } from './sigv4.ts'

const KEYS_MAX = 256

/** A bounded cache: the key that was made first leaves first. */
export class SigningKeys {
  readonly #keys = new Map<string, Buffer>()

  /** The key of `secret` for `scope`. */
  find(secret: string, scope: Scope): Buffer {
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
