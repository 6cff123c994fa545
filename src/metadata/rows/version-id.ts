// Version ids: 16 bytes as 26 digits whose order is that of the bytes, so that the ids of a key sort newest first.

const DIGITS = '0123456789abcdefghijklmnopqrstuv'

/** Bytes of a version id in the key of a row. */
export const VERSION_ID_BYTES = 16

/** Five bits a digit, most significant first; zero bits fill the last. */
export function versionIdOf(bytes: Uint8Array): string {
  let text = ''
  let pending = 0
  let pendingBits = 0
  for (const byte of bytes) {
    pending = ((pending << 8) | byte) & 0xfff
    pendingBits += 8
    while (pendingBits >= 5) {
      pendingBits -= 5
      text += DIGITS[(pending >> pendingBits) & 31]
    }
  }
  return pendingBits === 0 ? text : text + DIGITS[(pending << (5 - pendingBits)) & 31]
}

/** The bytes of a version id, or undefined when `text` is none. */
export function versionIdBytes(text: string): Buffer | undefined {
  if (!/^[0-9a-v]{25}[048cgkos]$/.test(text)) return undefined
  const bytes = Buffer.alloc(VERSION_ID_BYTES)
  let pending = 0
  let pendingBits = 0
  let length = 0
  for (const digit of text) {
    pending = ((pending << 5) | DIGITS.indexOf(digit)) & 0xfff
    pendingBits += 5
    if (pendingBits < 8) continue
    pendingBits -= 8
    bytes[length] = (pending >> pendingBits) & 0xff
    length += 1
  }
  return bytes
}
