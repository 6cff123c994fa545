// As much of the WebAssembly binary format as the functions need that are made at run time: opcodes, integers, sections.
// https://webassembly.github.io/spec/core/binary/

/** Bytes of WebAssembly, not yet in a typed array. */
export type Code = readonly number[]

const I32 = 0x7f
const I64 = 0x7e
const V128 = 0x7b
const SIMD = 0xfd

/** A function of the signature of its module, with extra locals behind its parameters: first i32, then i64, then v128. */
export interface WasmFunction {
  i32Locals: number
  i64Locals?: number
  v128Locals: number
  body: Code
}

/** Instructions. Operands of plain ones are on the stack. */
export const instruction = {
  localGet: (local: number): Code => [0x20, ...unsigned(local)],
  localSet: (local: number): Code => [0x21, ...unsigned(local)],
  localTee: (local: number): Code => [0x22, ...unsigned(local)],
  i32Const: (value: number): Code => [0x41, ...signed(value)],
  i32Load: (offset: number): Code => [0x28, BYTE_ALIGNED, ...unsigned(offset)],
  i32Store: (offset: number): Code => [0x36, BYTE_ALIGNED, ...unsigned(offset)],
  i32Add: [0x6a] as Code,
  i32Subtract: [0x6b] as Code,
  i32And: [0x71] as Code,
  i32Or: [0x72] as Code,
  i32Xor: [0x73] as Code,
  i32ShiftLeft: [0x74] as Code,
  i32ShiftRightUnsigned: [0x76] as Code,
  i32RotateLeft: [0x77] as Code,
  i32WrapI64: [0xa7] as Code,
  i32Load8: (offset: number): Code => [0x2d, 0, ...unsigned(offset)],
  i32LessOrEqualUnsigned: [0x4d] as Code,
  i64Const: (value: number | bigint): Code => [0x42, ...signedLong(BigInt(value))],
  i64Load: (offset: number): Code => [0x29, BYTE_ALIGNED, ...unsigned(offset)],
  i64Store: (offset: number): Code => [0x37, BYTE_ALIGNED, ...unsigned(offset)],
  i64Load32: (offset: number): Code => [0x35, BYTE_ALIGNED, ...unsigned(offset)],
  i64Add: [0x7c] as Code,
  i64Subtract: [0x7d] as Code,
  i64Multiply: [0x7e] as Code,
  i64Xor: [0x85] as Code,
  i64RotateLeft: [0x89] as Code,
  i64ExtendI32: [0xad] as Code,
  i64ShiftRightUnsigned: [0x88] as Code,
  i32LessUnsigned: [0x49] as Code,
  select: [0x1b] as Code,
  call: (index: number): Code => [0x10, ...unsigned(index)],
  v128Load: (offset: number): Code => [SIMD, 0x00, BYTE_ALIGNED, ...unsigned(offset)],
  v128Store: (offset: number): Code => [SIMD, 0x0b, BYTE_ALIGNED, ...unsigned(offset)],
  /** Four of the eight 32-bit lanes of the two operands. */
  v128ShuffleLanes: (...lanes: readonly [number, number, number, number]): Code => [
    ...[SIMD, 0x0d],
    ...lanes.flatMap((lane) => [4 * lane, 4 * lane + 1, 4 * lane + 2, 4 * lane + 3]),
  ],
  v128Not: [SIMD, 0x4d] as Code,
  v128And: [SIMD, 0x4e] as Code,
  /** The first operand, where the second has no bit. */
  v128AndNot: [SIMD, 0x4f] as Code,
  v128Or: [SIMD, 0x50] as Code,
  v128Xor: [SIMD, 0x51] as Code,
  i32x4ShiftLeft: [SIMD, 0xab, 0x01] as Code,
  i32x4ShiftRightUnsigned: [SIMD, 0xad, 0x01] as Code,
  i32x4Add: [SIMD, 0xae, 0x01] as Code,
  /** Runs `body`, then again while the i32 that `condition` leaves is not zero. */
  repeatWhile: (body: Code, condition: Code): Code => [
    0x03,
    0x40,
    ...body,
    ...condition,
    0x0d,
    0,
    0x0b,
  ],
  /** Runs one of the two, by whether the i32 on the stack is not zero; neither leaves anything on it. */
  ifElse: (then: Code, otherwise: Code): Code => [0x04, 0x40, ...then, 0x05, ...otherwise, 0x0b],
} as const

/** What functions take and give. */
export interface WasmSignature {
  parameters: readonly ('i32' | 'i64')[]
  results: readonly ('i32' | 'i64')[]
}

const RUN: WasmSignature = { parameters: ['i32', 'i32'], results: [] }
const VALUE_TYPES = { i32: [I32], i64: [I64] } as const

/** Nothing is promised of addresses; x64 and arm64 take any. */
const BYTE_ALIGNED = 0

/** A module that imports env.memory and exports its last function as `run`; all functions have the same signature. */
export function encodeModule(
  functions: readonly WasmFunction[],
  { parameters, results }: WasmSignature = RUN,
): Uint8Array<ArrayBuffer> {
  const magicAndVersion = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]
  const types = (names: WasmSignature['results']): Code =>
    vector(names.map((name) => VALUE_TYPES[name]))
  const type = [0x60, ...types(parameters), ...types(results)]
  const memoryImport = [...name('env'), ...name('memory'), 0x02, 0x00, 1]
  const runExport = [...name('run'), 0x00, ...unsigned(functions.length - 1)]
  return Uint8Array.from([
    ...magicAndVersion,
    ...section(1, [type]),
    ...section(2, [memoryImport]),
    ...section(
      3,
      functions.map(() => [0]),
    ),
    ...section(7, [runExport]),
    ...section(10, functions.map(encodeFunction)),
  ])
}

function encodeFunction({ i32Locals, i64Locals = 0, v128Locals, body }: WasmFunction): Code {
  const locals = vector([
    [...unsigned(i32Locals), I32],
    [...unsigned(i64Locals), I64],
    [...unsigned(v128Locals), V128],
  ])
  const END = 0x0b
  return [...unsigned(locals.length + body.length + 1), ...locals, ...body, END]
}

function section(id: number, items: readonly Code[]): Code {
  const content = vector(items)
  return [id, ...unsigned(content.length), ...content]
}

function vector(items: readonly Code[]): Code {
  return [...unsigned(items.length), ...items.flat()]
}

function name(text: string): Code {
  return [...unsigned(text.length), ...Buffer.from(text)]
}

/** LEB128 of a number below 2^32. */
function unsigned(value: number): Code {
  const bytes: number[] = []
  let rest = value
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  return [...bytes, rest]
}

/** Signed LEB128 of a 32-bit number. */
function signed(value: number): Code {
  return signedLong(BigInt(value))
}

/** Signed LEB128 of the low 64 bits: the last byte must carry the sign in its bit 6. */
function signedLong(value: bigint): Code {
  const bytes: number[] = []
  let rest = BigInt.asIntN(64, value)
  while (rest < -0x40n || rest > 0x3fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  return [...bytes, Number(rest & 0x7fn)]
}
