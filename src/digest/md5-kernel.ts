// MD5 of four streams at once, one in each 32-bit lane of a vector (RFC 1321). The steps of one stream wait for each other, so
// a processor has room for those of three more beside them.
import { type Code, encodeModule, instruction } from '../kit/wasm-module.ts'
import { type WasmMemory, webAssembly } from '../kit/webassembly.ts'

/** Streams that one run takes on. */
export const LANES = 4

/** Bytes of a block of MD5. */
export const MD5_BLOCK_BYTES = 64

/**
 * What a run is told, at an address of its own: where the blocks of each lane begin, then words a, b, c, d of every lane, then
 * the constants of all steps (read from there: to make one in a register takes longer).
 */
export const CONTROL_BYTES = 16 + 64 + 64 * 16
const CONSTANTS = 16 + 64

/** Takes `blocks` blocks of each lane into the states at `control`; at least one. */
export type Md5Run = (control: number, blocks: number) => void

const { localGet, localSet, localTee, i32Const, i32Load, i32Add, i32Subtract } = instruction
const { v128Load, v128Store, v128ShuffleLanes, repeatWhile } = instruction
const { v128And, v128Or, v128Xor, v128Not } = instruction
const { i32x4Add, i32x4ShiftLeft, i32x4ShiftRightUnsigned } = instruction

// Locals: the two parameters, pointers, then vectors.
const CONTROL = 0
const BLOCKS = 1
const POINTER = 2
const STATE = POINTER + LANES
const BEFORE = STATE + 4
const WORD = BEFORE + 4
const ROW = WORD + 16
const PAIR = ROW + 4
const V128_LOCALS = PAIR + 4 - STATE

/** Compiles the run for controls at `control` of this memory; throws WebAssembly.CompileError where SIMD is missing. */
export function compileMd5(memory: WasmMemory, control: number): Md5Run {
  const constants = new Uint32Array(memory.buffer, control + CONSTANTS, 64 * LANES)
  for (let step = 0; step < 64; step += 1) {
    constants.fill(Math.abs(Math.sin(step + 1)) * 2 ** 32, step * LANES, (step + 1) * LANES)
  }
  const function_ = { i32Locals: LANES, v128Locals: V128_LOCALS, body: emitBody() }
  const module = new webAssembly.Module(encodeModule([function_]))
  const { exports } = new webAssembly.Instance(module, { env: { memory } })
  return exports.run as Md5Run
}

function emitBody(): Code {
  const load = [
    ...four((lane) => [...localGet(CONTROL), ...i32Load(4 * lane), ...localSet(POINTER + lane)]),
    ...four((word) => [
      ...localGet(CONTROL),
      ...v128Load(stateAt(word)),
      ...localSet(STATE + word),
    ]),
  ]
  const block = [
    ...four(emitWords),
    ...four((word) => [...localGet(STATE + word), ...localSet(BEFORE + word)]),
    ...Array.from({ length: 64 }, (_, step) => emitStep(step)).flat(),
    ...four((word) => [
      ...[...localGet(STATE + word), ...localGet(BEFORE + word)],
      ...[...i32x4Add, ...localSet(STATE + word)],
    ]),
    ...four((lane) => [
      ...[...localGet(POINTER + lane), ...i32Const(MD5_BLOCK_BYTES)],
      ...[...i32Add, ...localSet(POINTER + lane)],
    ]),
  ]
  const left = [...localGet(BLOCKS), ...i32Const(1), ...i32Subtract, ...localTee(BLOCKS)]
  const store = four((word) => [
    ...[...localGet(CONTROL), ...localGet(STATE + word), ...v128Store(stateAt(word))],
  ])
  return [...load, ...repeatWhile(block, left), ...store]
}

function four(emit: (index: number) => Code): Code {
  return [0, 1, 2, 3].flatMap(emit)
}

function stateAt(word: number): number {
  return LANES * 4 + word * LANES * 4
}

/** Words 4 * group to 4 * group + 3 of the block of every lane: four vectors of one stream each become four of one word each. */
function emitWords(group: number): Code {
  const rows = four((lane) => [
    ...[...localGet(POINTER + lane), ...v128Load(16 * group), ...localSet(ROW + lane)],
  ])
  const pair = (to: number, from: number, lanes: [number, number, number, number]): Code => [
    ...[...localGet(ROW + from), ...localGet(ROW + from + 1)],
    ...[...v128ShuffleLanes(...lanes), ...localSet(PAIR + to)],
  ]
  const word = (at: number, from: number, lanes: [number, number, number, number]): Code => [
    ...[...localGet(PAIR + from), ...localGet(PAIR + from + 2)],
    ...[...v128ShuffleLanes(...lanes), ...localSet(WORD + 4 * group + at)],
  ]
  return [
    ...rows,
    ...[...pair(0, 0, [0, 4, 1, 5]), ...pair(1, 0, [2, 6, 3, 7])],
    ...[...pair(2, 2, [0, 4, 1, 5]), ...pair(3, 2, [2, 6, 3, 7])],
    ...[...word(0, 0, [0, 1, 4, 5]), ...word(1, 0, [2, 3, 6, 7])],
    ...[...word(2, 1, [0, 1, 4, 5]), ...word(3, 1, [2, 3, 6, 7])],
  ]
}

const SHIFTS = [
  [7, 12, 17, 22],
  [5, 9, 14, 20],
  [4, 11, 16, 23],
  [6, 10, 15, 21],
] as const

/** a = b + ((a + F(b, c, d) + word + constant) <<< shift); the four words change their roles from step to step. */
function emitStep(step: number): Code {
  const round = step >> 4
  const role = (index: number): number => STATE + ((index - (step % 4) + 4) % 4)
  const [a, b, c, d] = [role(0), role(1), role(2), role(3)]
  const word = [step, 5 * step + 1, 3 * step + 5, 7 * step][round]! & 15
  const shift = SHIFTS[round]![step % 4]!
  return [
    ...[...localGet(a), ...localGet(WORD + word), ...i32x4Add],
    ...[...localGet(CONTROL), ...v128Load(CONSTANTS + 16 * step), ...i32x4Add],
    ...[...emitMix(round, b, c, d), ...i32x4Add, ...localTee(a)],
    ...[...i32Const(shift), ...i32x4ShiftLeft],
    ...[...localGet(a), ...i32Const(32 - shift), ...i32x4ShiftRightUnsigned],
    ...[...v128Or, ...localGet(b), ...i32x4Add, ...localSet(a)],
  ]
}

/** F, G, H and I of the RFC, with as few operations as they can be written in. */
function emitMix(round: number, b: number, c: number, d: number): Code {
  const [B, C, D] = [localGet(b), localGet(c), localGet(d)]
  if (round === 0) return [...D, ...B, ...C, ...D, ...v128Xor, ...v128And, ...v128Xor]
  if (round === 1) return [...C, ...D, ...B, ...C, ...v128Xor, ...v128And, ...v128Xor]
  if (round === 2) return [...B, ...C, ...v128Xor, ...D, ...v128Xor]
  return [...C, ...B, ...D, ...v128Not, ...v128Or, ...v128Xor]
}
