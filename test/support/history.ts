// What a load wrote and what may therefore be read: the last acknowledged state of every key, and the
// states of writes whose outcome nobody knows because the connection broke.
import { createHash } from 'node:crypto'

/** Hash of an object's bytes, or `absent`. */
export type Content = string

/** Names the bytes. */
export function contentOf(bytes: Uint8Array): Content {
  return `${bytes.length}-${createHash('sha1').update(bytes).digest('hex')}`
}

/** One writer at a time for each key. */
export class History {
  readonly #possible = new Map<string, Set<Content>>()

  /** Keys that were ever written. */
  get keys(): string[] {
    return [...this.#possible.keys()]
  }

  /** A write begins: from now on both the old and the new content may be seen. */
  begin(key: string, content: Content): void {
    this.#of(key).add(content)
  }

  /** It was acknowledged: only the new content may be seen. */
  acknowledge(key: string, content: Content): void {
    this.#possible.set(key, new Set([content]))
  }

  /** It was refused for certain. */
  refuse(key: string, content: Content): void {
    this.#of(key).delete(content)
  }

  /** Checks what was read; afterwards this is what the key is. */
  observe(key: string, content: Content): string | undefined {
    const possible = this.#of(key)
    if (!possible.has(content))
      return `${key}: read ${content}, possible are ${[...possible].join(', ')}`
    this.#possible.set(key, new Set([content]))
    return undefined
  }

  /** Whether the key certainly exists, certainly does not, or may. */
  existence(key: string): 'present' | 'absent' | 'unknown' {
    const possible = this.#of(key)
    if (!possible.has('absent')) return 'present'
    return possible.size === 1 ? 'absent' : 'unknown'
  }

  #of(key: string): Set<Content> {
    let possible = this.#possible.get(key)
    if (!possible) {
      possible = new Set(['absent'])
      this.#possible.set(key, possible)
    }
    return possible
  }
}
