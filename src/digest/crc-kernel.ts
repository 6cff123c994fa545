// CRCs of up to 64 bits. What is long is folded first: where y = x^128 and some sum of its powers is 0 modulo the polynomial, a word
// of 16 bytes may be added to others behind it, as the sum says, and be forgotten. What is left, some KiB, goes by tables, eight bytes at
// a step ("slicing-by-8": Kounavis and Berry, "Novel Table Lookup-Based Algorithms for High-Performance CRC Generation", 2008). Each
// step waits for the one before, so several strands of a block are taken beside each other, and joined:
// crc(left ++ right) = crc(left) * x^(8 * |right|) ^ crc(right).
import { roundUp } from '../kit/bytes.ts'
import { type Code, encodeModule, instruction, type WasmFunction } from '../kit/wasm-module.ts'
import { type WasmMemory, webAssembly } from '../kit/webassembly.ts'

/** Where the kernels find what they work on. */
export const CRC_STATE = 2 * 8 * 256 * 8
/** Bytes of the tables and the state together. */
export const CRC_CONTROL_BYTES = CRC_STATE + 8

/** Bytes of one strand, and strands of a block: of more there is no gain, for what they read takes the time. */
const STRAND_BYTES = 1024
const STRANDS = 4

/** Bytes that the kernel of blocks takes at least, and a multiple of which it takes. */
export const CRC_BLOCK_BYTES = STRANDS * STRAND_BYTES

/** Likewise the kernel of words. */
export const CRC_WORD_BYTES = 8

/** Takes the bytes from `from` to `to` into the state; there is one block or word of them at least. */
export type CrcRun = (from: number, to: number) => void

/** Folding takes a multiple of this. */
export const FOLD_UNIT_BYTES = 64

/** The kernels of a CRC, and its tables. */
export interface CrcKernels {
  blocks: CrcRun
  words: CrcRun
  /**
   * Changes the bytes from `from` to `to`, whole units and more than are left, so that the CRC of the last `leftBytes` of them is that of
   * all. As many zeros lie before them. Absent where the processor can not.
   */
  fold: CrcRun | undefined
  leftBytes: number
  /** What a single byte becomes: of the first table of steps. */
  byteTable: BigUint64Array
}

const FOLD_WORD_BYTES = 16

const TABLE_BYTES = 256 * 8
const STEP_TABLES = 0
const JOIN_TABLES = 8 * TABLE_BYTES

/** What tells CRCs from each other. */
export interface CrcParameters {
  /** With its bits reversed and without the highest term. */
  polynomial: bigint
  /** How many words of 16 bytes further a word may be added instead: all of them together, rising. */
  shifts: readonly number[]
}

/** Bytes that folding leaves. */
export function foldedBytes(shifts: readonly number[]): number {
  return roundUp(shifts.at(-1)! * FOLD_WORD_BYTES, FOLD_UNIT_BYTES)
}

/** Memory below CRC_CONTROL_BYTES is the kernels' own. */
export function compileCrc(memory: WasmMemory, { polynomial, shifts }: CrcParameters): CrcKernels {
  const tables = new BigUint64Array(memory.buffer, 0, CRC_STATE / 8)
  const step = tables.subarray(0, 8 * 256)
  fillStepTables(step, polynomial)
  fillJoinTables(tables.subarray(8 * 256), step)
  return {
    blocks: compileTables(memory, STRANDS, STRAND_BYTES),
    words: compileTables(memory, 1, CRC_WORD_BYTES),
    fold: compileFold(memory, shifts),
    leftBytes: foldedBytes(shifts),
    byteTable: step.subarray(0, 256),
  }
}

/** Table t: what a byte becomes when t zero bytes follow it. */
function fillStepTables(tables: BigUint64Array, polynomial: bigint): void {
  for (let byte = 0; byte < 256; byte += 1) {
    let value = BigInt(byte)
    for (let bit = 0; bit < 8; bit += 1) {
      value = value & 1n ? (value >> 1n) ^ polynomial : value >> 1n
    }
    tables[byte] = value
  }
  for (let at = 256; at < tables.length; at += 1)
    tables[at] = withZeroByte(tables, tables[at - 256]!)
}

/** Table t: what byte t of a state becomes when a strand of zeros follows. Every entry is the sum of its bits'. */
function fillJoinTables(tables: BigUint64Array, step: BigUint64Array): void {
  for (let bit = 0; bit < 64; bit += 1) {
    let value = 1n << BigInt(bit)
    for (let zeros = 0; zeros < STRAND_BYTES; zeros += 1) value = withZeroByte(step, value)
    const table = tables.subarray((bit >> 3) * 256, ((bit >> 3) + 1) * 256)
    const highest = 1 << (bit & 7)
    for (let byte = highest; byte < 2 * highest; byte += 1)
      table[byte] = table[byte - highest]! ^ value
  }
}

function withZeroByte(step: BigUint64Array, state: bigint): bigint {
  return (state >> 8n) ^ step[Number(state & 0xffn)]!
}

const { localGet, localSet, localTee, i32Const, i32Add, i32And, i32LessUnsigned } = instruction
const { i32ShiftLeft, i32ShiftRightUnsigned, i32WrapI64, repeatWhile } = instruction
const { i64Const, i64Load, i64Store, i64Xor, i64ShiftRightUnsigned } = instruction
const { i32Subtract, v128Load, v128Store, v128Xor } = instruction

// Locals: the two parameters, the end of a strand, then low and high half of the word of each strand, then the states.
const AT = 0
const TO = 1
const STRAND_END = 2
const HALVES = 3

function compileTables(memory: WasmMemory, strands: number, strandBytes: number): CrcRun {
  const i32Locals = 1 + 2 * strands
  const body = emitBody(strands, strandBytes)
  return compile(memory, { i32Locals, i64Locals: strands, v128Locals: 0, body })
}

/** undefined where SIMD is missing: tables do all of it then. */
function compileFold(memory: WasmMemory, shifts: readonly number[]): CrcRun | undefined {
  try {
    return compile(memory, { i32Locals: 2, v128Locals: 0, body: emitFold(shifts) })
  } catch {
    return undefined
  }
}

function compile(memory: WasmMemory, function_: WasmFunction): CrcRun {
  const module = new webAssembly.Module(encodeModule([function_]))
  const { exports } = new webAssembly.Instance(module, { env: { memory } })
  return exports.run as CrcRun
}

function emitBody(strands: number, strandBytes: number): Code {
  const state = (strand: number): number => HALVES + 2 * strands + strand
  const all = Array.from({ length: strands }, (_, strand) => strand)
  const others = all.slice(1)
  const step = [
    ...all.flatMap((strand) => [
      ...[...localGet(AT), ...i64Load(strand * strandBytes), ...localGet(state(strand)), ...i64Xor],
      ...splitInto(strand, state(strand)),
    ]),
    ...all.flatMap((strand) => [
      ...lookUp(strand, (byte) => STEP_TABLES + (7 - byte) * TABLE_BYTES),
      ...localSet(state(strand)),
    ]),
    ...[...localGet(AT), ...i32Const(8), ...i32Add, ...localTee(AT)],
  ]
  const block = [
    ...others.flatMap((strand) => [...i64Const(0), ...localSet(state(strand))]),
    ...[...localGet(AT), ...i32Const(strandBytes), ...i32Add, ...localSet(STRAND_END)],
    ...repeatWhile(step, [...localGet(STRAND_END), ...i32LessUnsigned]),
    ...others.flatMap((strand) => [
      ...[...localGet(state(0)), ...splitInto(0, state(0))],
      ...lookUp(0, (byte) => JOIN_TABLES + byte * TABLE_BYTES),
      ...[...localGet(state(strand)), ...i64Xor, ...localSet(state(0))],
    ]),
    ...[...localGet(AT), ...i32Const((strands - 1) * strandBytes), ...i32Add, ...localTee(AT)],
  ]
  return [
    ...[...i32Const(CRC_STATE), ...i64Load(0), ...localSet(state(0))],
    ...repeatWhile(block, [...localGet(TO), ...i32LessUnsigned]),
    ...[...i32Const(CRC_STATE), ...localGet(state(0)), ...i64Store(0)],
  ]
}

/** Puts the halves of the i64 on the stack into those of the strand; `scratch` is an i64 local. */
function splitInto(strand: number, scratch: number): Code {
  return [
    ...[...localTee(scratch), ...i32WrapI64, ...localSet(HALVES + 2 * strand)],
    ...[...localGet(scratch), ...i64Const(32), ...i64ShiftRightUnsigned, ...i32WrapI64],
    ...localSet(HALVES + 2 * strand + 1),
  ]
}

/** The sum of what the eight bytes of the strand's word are in their tables. */
function lookUp(strand: number, tableOf: (byte: number) => number): Code {
  return [0, 1, 2, 3, 4, 5, 6, 7].flatMap((byte) => [
    ...localGet(HALVES + 2 * strand + (byte >> 2)),
    // Entries have eight bytes: the index is shifted by three less.
    ...(byte % 4 === 0
      ? [...i32Const(3), ...i32ShiftLeft]
      : [...i32Const(8 * (byte % 4) - 3), ...i32ShiftRightUnsigned]),
    ...[...i32Const(0xff << 3), ...i32And, ...i64Load(tableOf(byte))],
    ...(byte === 0 ? [] : i64Xor),
  ])
}

/** Every word takes what those before it give it; then the last ones, which stay, take it from those that do not. */
function emitFold(shifts: readonly number[]): Code {
  const [POINTER, END] = [2, 3]
  const behind = shifts.at(-1)! * FOLD_WORD_BYTES
  // AT is so far behind that no offset is negative.
  const sum = (base: number, at: number, taken: readonly number[]): Code => [
    ...[...localGet(base), ...localGet(base), ...v128Load(at)],
    ...taken.flatMap((shift) => [
      ...[...localGet(base), ...v128Load(at - shift * FOLD_WORD_BYTES), ...v128Xor],
    ]),
    ...v128Store(at),
  ]
  const unit = [0, 16, 32, 48].flatMap((offset) => sum(AT, behind + offset, shifts))
  const next = [...localGet(AT), ...i32Const(FOLD_UNIT_BYTES), ...i32Add, ...localTee(AT)]
  const left = shifts.flatMap((shift) => [
    ...[...localGet(AT), ...localTee(POINTER)],
    ...[...i32Const(shift * FOLD_WORD_BYTES), ...i32Add, ...localSet(END)],
    ...repeatWhile(sum(POINTER, behind, [shift]), [
      ...[...localGet(POINTER), ...i32Const(FOLD_WORD_BYTES), ...i32Add, ...localTee(POINTER)],
      ...[...localGet(END), ...i32LessUnsigned],
    ]),
  ])
  return [
    ...[...localGet(AT), ...i32Const(behind), ...i32Subtract, ...localSet(AT)],
    ...[
      ...localGet(TO),
      ...i32Const(behind + foldedBytes(shifts)),
      ...i32Subtract,
      ...localSet(TO),
    ],
    ...repeatWhile(unit, [...next, ...localGet(TO), ...i32LessUnsigned]),
    ...left,
  ]
}
