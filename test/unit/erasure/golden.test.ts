// Bytes that were once on disk must be readable for ever: matrix id 1 against vectors that an
// independent program computed symbol by symbol from docs/formats/codec.md.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { Codec, type Stripe } from '../../../src/erasure/codec.ts'
import { compileJavascript } from '../../../src/erasure/kernels/javascript.ts'
import { parityMatrix } from '../../../src/erasure/reed-solomon.ts'
import { BLOCK_BYTES, type ErasureCode } from '../../../src/kit/erasure-code.ts'
import { code, fill, others } from './codes.ts'

interface Golden {
  cellBytes: number
  /** First block of each data cell. */
  dataBlocks: string[]
  codes: Record<string, { rows: number[][]; parityBlocks: string[]; paritySha256: string[] }>
}

const golden: Golden = JSON.parse(readFileSync('test/golden/erasure-matrix-1.json', 'utf8'))
const { cellBytes } = golden

for (const [name, vector] of Object.entries(golden.codes)) {
  const [dataCount, parityCount] = name.split('+').map(Number) as [number, number]
  const shape = code(dataCount, parityCount)

  t.test(`${name} by WebAssembly`, async (t) => {
    const codec = await Codec.open({ maxShards: 20, cellBytes, poolBytes: 20 * (cellBytes + 256) })
    t.equal(codec.kernel, 'wasm')
    await check(t, codec, shape, vector)
  })

  t.test(`${name} by JavaScript`, async (t) => {
    const codec = await Codec.open(
      { maxShards: 20, cellBytes, poolBytes: 20 * (cellBytes + 256) },
      compileJavascript,
    )
    await check(t, codec, shape, vector)
  })
}

async function check(
  t: Test,
  codec: Codec,
  shape: ErasureCode,
  vector: Golden['codes'][string],
): Promise<void> {
  t.same(parityMatrix(shape), vector.rows, 'coefficients')
  const stripe = await codec.acquire()
  const data = stripe.cells.slice(0, shape.dataCount)
  for (const [index, cell] of data.entries()) fill(cell, index + 1)
  t.same(firstBlocks(data), golden.dataBlocks.slice(0, shape.dataCount), 'data')
  codec.encode(shape, stripe, cellBytes)
  t.same(firstBlocks(parityOf(shape, stripe)), vector.parityBlocks, 'parity')
  t.same(parityOf(shape, stripe).map(sha256), vector.paritySha256, 'parity of whole cells')
  const lost = [...data.keys()].slice(0, shape.parityCount)
  for (const index of lost) data[index]!.fill(0)
  const present = others(shape.dataCount + shape.parityCount, lost)
  codec.reconstruct(shape, stripe, cellBytes, present, lost)
  t.same(firstBlocks(data), golden.dataBlocks.slice(0, shape.dataCount), 'lost data again')
}

function parityOf({ dataCount, parityCount }: ErasureCode, { cells }: Stripe): Uint8Array[] {
  return cells.slice(dataCount, dataCount + parityCount)
}

function firstBlocks(cells: readonly Uint8Array[]): string[] {
  return cells.map((cell) => Buffer.from(cell.subarray(0, BLOCK_BYTES)).toString('hex'))
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
