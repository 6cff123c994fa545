// XXH64 of bytes that lie in a WebAssembly memory, where they lie: https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md.
import { type Code, encodeModule, instruction } from '../kit/wasm-module.ts'
import { type WasmMemory, webAssembly } from '../kit/webassembly.ts'

/** XXH64 of `length` bytes at an address of the memory. */
export type Xxh64Run = (address: number, length: number, seed: bigint) => bigint

let compiled: object | undefined

/** XXH64 for this memory; compiled once for all. */
export function xxh64Of(memory: WasmMemory): Xxh64Run {
  compiled ??= compile()
  const { exports } = new webAssembly.Instance(compiled, { env: { memory } })
  const run = exports.run as Xxh64Run
  // WebAssembly has no sign; JavaScript takes one for granted.
  return (address, length, seed) => BigInt.asUintN(64, run(address, length, seed))
}

function compile(): object {
  const function_ = { i32Locals: 2, i64Locals: LANES + 1, v128Locals: 0, body: emitBody() }
  const signature = { parameters: ['i32', 'i32', 'i64'], results: ['i64'] } as const
  return new webAssembly.Module(encodeModule([function_], signature))
}

const P1 = 0x9e3779b185ebca87n
const P2 = 0xc2b2ae3d27d4eb4fn
const P3 = 0x165667b19e3779f9n
const P4 = 0x85ebca77c2b2ae63n
const P5 = 0x27d4eb2f165667c5n

const LANES = 4
const BLOCK_BYTES = 8 * LANES

// Locals: the parameters, of which AT moves on, then where the bytes and where the whole blocks end.
const AT = 0
const LENGTH = 1
const SEED = 2
const END = 3
const LAST_BLOCK = 4
const LANE = 5
const HASH = LANE + LANES

const { localGet, localSet, ifElse, repeatWhile } = instruction
const { i32Const, i32Add, i32Subtract, i32Load8 } = instruction
const { i32LessOrEqualUnsigned } = instruction
const { i64Const, i64Load, i64Load32, i64Add, i64Subtract, i64Multiply, i64Xor } = instruction
const { i64RotateLeft, i64ShiftRightUnsigned, i64ExtendI32 } = instruction

function emitBody(): Code {
  const isThere = (bytes: number): Code => [
    ...[...localGet(AT), ...i32Const(bytes), ...i32Add, ...localGet(END)],
    ...i32LessOrEqualUnsigned,
  ]
  const word = [...roundOfNothing(i64Load(0)), ...mixIn(27, P1, P4), ...moveOn(8)]
  const half = [
    ...[...localGet(AT), ...i64Load32(0), ...times(P1)],
    ...[...mixIn(23, P2, P3), ...moveOn(4)],
  ]
  const byte = [
    ...[...localGet(AT), ...i32Load8(0), ...i64ExtendI32, ...times(P5)],
    ...[...localGet(HASH), ...i64Xor, ...rotate(11), ...times(P1), ...localSet(HASH)],
    ...moveOn(1),
  ]
  return [
    ...[...localGet(AT), ...localGet(LENGTH), ...i32Add, ...localSet(END)],
    ...isThere(BLOCK_BYTES),
    ...ifElse(emitBlocks(), [...localGet(SEED), ...plus(P5), ...localSet(HASH)]),
    ...[...localGet(HASH), ...localGet(LENGTH), ...i64ExtendI32, ...i64Add, ...localSet(HASH)],
    ...[...isThere(8), ...ifElse(repeatWhile(word, isThere(8)), [])],
    ...[...isThere(4), ...ifElse(half, [])],
    ...[...isThere(1), ...ifElse(repeatWhile(byte, isThere(1)), [])],
    ...[...shiftIn(33), ...localGet(HASH), ...times(P2), ...localSet(HASH)],
    ...[...shiftIn(29), ...localGet(HASH), ...times(P3), ...localSet(HASH)],
    ...[...shiftIn(32), ...localGet(HASH)],
  ]
}

/** All whole blocks, into HASH; there is one at least. */
function emitBlocks(): Code {
  const begin: readonly Code[] = [
    [...i64Const(P1), ...i64Add, ...plus(P2)],
    plus(P2),
    [],
    [...i64Const(P1), ...i64Subtract],
  ]
  const turns = [1, 7, 12, 18]
  const lanes = Array.from({ length: LANES }, (_, lane) => lane)
  const block = [
    ...lanes.flatMap((lane) => [
      ...[...localGet(LANE + lane), ...localGet(AT), ...i64Load(8 * lane), ...times(P2), ...i64Add],
      ...[...rotate(31), ...times(P1), ...localSet(LANE + lane)],
    ]),
    ...moveOn(BLOCK_BYTES),
  ]
  const isLeft = [...localGet(AT), ...localGet(LAST_BLOCK), ...i32LessOrEqualUnsigned]
  return [
    ...[...localGet(END), ...i32Const(BLOCK_BYTES), ...i32Subtract, ...localSet(LAST_BLOCK)],
    ...lanes.flatMap((lane) => [...localGet(SEED), ...begin[lane]!, ...localSet(LANE + lane)]),
    ...repeatWhile(block, isLeft),
    ...lanes.flatMap((lane) => [
      ...[...localGet(LANE + lane), ...rotate(turns[lane]!)],
      ...(lane === 0 ? [] : i64Add),
    ]),
    ...localSet(HASH),
    ...lanes.flatMap((lane) => [
      ...[...localGet(LANE + lane), ...times(P2), ...rotate(31), ...times(P1)],
      ...[...localGet(HASH), ...i64Xor, ...times(P1), ...plus(P4), ...localSet(HASH)],
    ]),
  ]
}

/** What a word becomes in a lane of zeros. */
function roundOfNothing(load: Code): Code {
  return [...localGet(AT), ...load, ...times(P2), ...rotate(31), ...times(P1)]
}

/** Takes the i64 on the stack into HASH. */
function mixIn(turn: number, factor: bigint, term: bigint): Code {
  return [
    ...[...localGet(HASH), ...i64Xor, ...rotate(turn)],
    ...[...times(factor), ...plus(term), ...localSet(HASH)],
  ]
}

/** HASH ^= HASH >>> bits */
function shiftIn(bits: number): Code {
  return [
    ...[...localGet(HASH), ...localGet(HASH), ...i64Const(bits), ...i64ShiftRightUnsigned],
    ...[...i64Xor, ...localSet(HASH)],
  ]
}

function moveOn(bytes: number): Code {
  return [...localGet(AT), ...i32Const(bytes), ...i32Add, ...localSet(AT)]
}

function times(factor: bigint): Code {
  return [...i64Const(factor), ...i64Multiply]
}

function plus(term: bigint): Code {
  return [...i64Const(term), ...i64Add]
}

function rotate(bits: number): Code {
  return [...i64Const(bits), ...i64RotateLeft]
}
