// The root key that a store makes for itself where nobody gives it one.
import { asBuffer } from '../kit/bytes.ts'
import type { World } from '../kit/world.ts'

/** 100 random bits of name, 240 of secret. */
export function makeCredentials({ random }: Pick<World, 'random'>): {
  accessKeyId: string
  secretAccessKey: string
} {
  const name = asBuffer(random.bytes(10)).toString('hex').toUpperCase().slice(0, 18)
  return {
    accessKeyId: `KG${name}`,
    secretAccessKey: asBuffer(random.bytes(30)).toString('base64url'),
  }
}
