// Files for clients to carry: bytes that follow from their name, sizes around every limit, names that are hard to spell.
import { createCipheriv, createHash } from 'node:crypto'
import { createReadStream, createWriteStream, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

export const MEBIBYTE = 1024 * 1024
/** boto3 and aws-cli cut files of 8 MiB and more into parts of this size. */
export const PART_BYTES = 8 * MEBIBYTE

/** `count` bytes that look random and are the same for the same name. */
export function sampleBytes(name: string, count: number): Buffer {
  const key = createHash('sha256').update(name).digest()
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(count))
}

/** Writes a file of `count` bytes and returns its path. */
export async function writeSample(directory: string, name: string, count: number): Promise<string> {
  const path = join(directory, name)
  mkdirSync(dirname(path), { recursive: true })
  await pipeline(Readable.from(slices(name, count)), createWriteStream(path))
  return path
}

function* slices(name: string, count: number): Generator<Buffer> {
  for (let start = 0; start < count; start += PART_BYTES) {
    yield sampleBytes(`${name} ${start}`, Math.min(PART_BYTES, count - start))
  }
}

const ODD_NAMES = [
  ...['plain', 'two words', ' leading', 'trailing ', 'plus+plus', '100%', '%41', '%', 'a=b', 'a&b'],
  ...["it's", '"quoted"', 'é', 'e\u0301', '日本語', '🏺', 'a;b', 'a:b', 'a,b', 'a?b', 'a#b', 'a*b'],
  ...[
    '[a]',
    '{a}',
    'a|b',
    'a\\b',
    '<a>',
    'a$b',
    'a!b',
    'a@b',
    '~a',
    '^a',
    '`a`',
    '(a)',
    '..a',
    'a..',
  ],
]
// Around the limits of copies (128 KiB), cells and stripes (512 KiB at 4+2).
const SIZES = [0, 1, 127, 128, 1000, 4096, 20_000, 65_536, 131_072, 131_073]

/** Writes `count` small files with odd names in odd directories; returns their paths in the tree. */
export function writeTree(directory: string, count: number): string[] {
  const paths = Array.from({ length: count }, (_, number) => {
    const name = ODD_NAMES[number % ODD_NAMES.length]!
    const folder = ODD_NAMES[Math.floor(number / ODD_NAMES.length) % ODD_NAMES.length]!
    return join(folder, `${number} ${name}`)
  })
  for (const [number, path] of paths.entries()) {
    mkdirSync(join(directory, dirname(path)), { recursive: true })
    // Most files are small, as in life; one in fifty is one of the sizes above 4 KiB.
    const size = SIZES[number % 50 === 0 ? (number / 50) % SIZES.length : number % 6]!
    writeFileSync(join(directory, path), sampleBytes(path, size))
  }
  return paths
}

/** SHA-256 of every file under a directory, by path. */
export async function hashTree(directory: string): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {}
  for (const entry of readdirSync(directory, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    hashes[path.slice(directory.length + 1)] = await hashFile(path)
  }
  return hashes
}

/** SHA-256 of a file. */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk)
  return hash.digest('hex')
}

/** The ETag that S3 gives a file uploaded by aws-cli: MD5, or MD5 of MD5s and the number of parts. */
export async function etagOf(path: string, bytes: number): Promise<string> {
  const parts: Buffer[] = []
  for await (const chunk of createReadStream(path, { highWaterMark: PART_BYTES })) {
    parts.push(createHash('md5').update(chunk).digest())
  }
  if (bytes < PART_BYTES) return (parts[0] ?? createHash('md5').digest()).toString('hex')
  return `${createHash('md5').update(Buffer.concat(parts)).digest('hex')}-${parts.length}`
}
