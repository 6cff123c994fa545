// MD5 of several streams at once (RFC 1321). The steps of one stream wait for each other, so a processor has room for those of
// others beside them: two or three in plain registers, four in the 32-bit lanes of a vector, eight in those of two vectors.
import { type Code, encodeModule, instruction } from '../kit/wasm-module.ts'
import { type WasmMemory, webAssembly } from '../kit/webassembly.ts'

/** Bytes of a block of MD5. */
export const MD5_BLOCK_BYTES = 64

/** Streams that one run takes on at most. */
export const LANES = 8

/**
 * What a run is told, at an address of its own: where the blocks of each lane begin, then the states, then the constants of
 * all steps for vectors (read from there: to make one in a register takes longer), then room for the words of a block.
 */
export const CONTROL_BYTES = 1792
const STATES = 64
const CONSTANTS = 256
const WORDS = CONSTANTS + 64 * 16

/** Runs for one number of lanes. */
export interface Md5Kernel {
  readonly lanes: number
  /** Takes `blocks` blocks of each lane into the states at the control; at least one. */
  run(control: number, blocks: number): void
  /** Where word `word` of lane `lane` is among the 32-bit words of the states. */
  stateAt(lane: number, word: number): number
}

/** States begin so many bytes behind the control. */
export const MD5_STATES = STATES

const { localGet, localSet, localTee, i32Const, i32Load, i32Store, i32Subtract } = instruction
const { i32Add, i32And, i32Or, i32Xor, i32RotateLeft, repeatWhile } = instruction
const { v128Load, v128Store, v128ShuffleLanes, v128And, v128AndNot, v128Or } = instruction
const { v128Xor, v128Not, i32x4Add, i32x4ShiftLeft, i32x4ShiftRightUnsigned } = instruction

/** What a register holds, and how it is calculated with: one stream, or four. */
interface Arithmetic {
  streams: number
  load(offset: number): Code
  store(offset: number): Code
  add: Code
  and: Code
  or: Code
  xor: Code
  not: Code
  /** The first operand, where the second has no bit. */
  andNot: Code
  /** Of what is on the stack; `scratch` is a local. */
  rotateLeft(scratch: number, bits: number): Code
}

const plain: Arithmetic = {
  streams: 1,
  load: i32Load,
  store: i32Store,
  add: i32Add,
  and: i32And,
  or: i32Or,
  xor: i32Xor,
  not: [...i32Const(-1), ...i32Xor],
  andNot: [...i32Const(-1), ...i32Xor, ...i32And],
  rotateLeft: (_scratch, bits) => [...i32Const(bits), ...i32RotateLeft],
}

const vectors: Arithmetic = {
  streams: 4,
  load: v128Load,
  store: v128Store,
  add: i32x4Add,
  and: v128And,
  or: v128Or,
  xor: v128Xor,
  not: v128Not,
  andNot: v128AndNot,
  rotateLeft: (scratch, bits) => [
    ...[...localTee(scratch), ...i32Const(bits), ...i32x4ShiftLeft],
    ...[...localGet(scratch), ...i32Const(32 - bits), ...i32x4ShiftRightUnsigned, ...v128Or],
  ],
}

/** By how many lanes they have. */
export interface Md5Kernels {
  1: Md5Kernel
  2: Md5Kernel
  3: Md5Kernel
  4: Md5Kernel
  8: Md5Kernel
}

/** With controls at `control` of this memory. Throws WebAssembly.CompileError where SIMD is missing. */
export function compileMd5(memory: WasmMemory, control: number): Md5Kernels {
  const constants = new Uint32Array(memory.buffer, control + CONSTANTS, 64 * vectors.streams)
  for (let step = 0; step < 64; step += 1) constants.fill(sineOf(step), 4 * step, 4 * step + 4)
  const compile = (arithmetic: Arithmetic, registers: number): Md5Kernel =>
    compileKernel(memory, arithmetic, registers)
  return {
    ...{ 1: compile(plain, 1), 2: compile(plain, 2), 3: compile(plain, 3) },
    ...{ 4: compile(vectors, 1), 8: compile(vectors, 2) },
  }
}

function compileKernel(memory: WasmMemory, arithmetic: Arithmetic, registers: number): Md5Kernel {
  const { streams } = arithmetic
  const function_ = new KernelEmitter(arithmetic, registers).emit()
  const module = new webAssembly.Module(encodeModule([function_]))
  const { exports } = new webAssembly.Instance(module, { env: { memory } })
  return {
    lanes: streams * registers,
    run: exports.run as Md5Kernel['run'],
    stateAt: (lane, word) => (Math.floor(lane / streams) * 4 + word) * streams + (lane % streams),
  }
}

function sineOf(step: number): number {
  return Math.floor(Math.abs(Math.sin(step + 1)) * 2 ** 32)
}

const SHIFTS = [
  [7, 12, 17, 22],
  [5, 9, 14, 20],
  [4, 11, 16, 23],
  [6, 10, 15, 21],
] as const

// The two parameters; pointers follow.
const CONTROL = 0
const BLOCKS = 1
const POINTER = 2

/** Writes the function for so many registers beside each other. Locals: pointers, then per register its state and that before. */
class KernelEmitter {
  readonly #arithmetic: Arithmetic
  readonly #registers: readonly number[]
  readonly #lanes: readonly number[]

  constructor(arithmetic: Arithmetic, registers: number) {
    this.#arithmetic = arithmetic
    this.#registers = Array.from({ length: registers }, (_, register) => register)
    this.#lanes = Array.from({ length: registers * arithmetic.streams }, (_, lane) => lane)
  }

  emit(): { i32Locals: number; v128Locals: number; body: Code } {
    const { streams, add, load, store } = this.#arithmetic
    const pointers = this.#lanes.length
    const others = 8 * this.#registers.length
    const begin = [
      ...this.#lanes.flatMap((lane) => [
        ...[...localGet(CONTROL), ...i32Load(4 * lane), ...localSet(POINTER + lane)],
      ]),
      ...this.#eachWord((state, offset) => [
        ...[...localGet(CONTROL), ...load(offset), ...localSet(state)],
      ]),
    ]
    const block = [
      ...(streams === 1 ? [] : this.#registers.flatMap((register) => this.#emitWords(register))),
      ...this.#eachWord((state) => [...localGet(state), ...localSet(state + 4)]),
      ...Array.from({ length: 64 }, (_, step) =>
        this.#registers.flatMap((register) => this.#emitStep(register, step)),
      ).flat(),
      ...this.#eachWord((state) => [
        ...[...localGet(state), ...localGet(state + 4), ...add, ...localSet(state)],
      ]),
      ...this.#lanes.flatMap((lane) => [
        ...[...localGet(POINTER + lane), ...i32Const(MD5_BLOCK_BYTES)],
        ...[...i32Add, ...localSet(POINTER + lane)],
      ]),
    ]
    const left = [...localGet(BLOCKS), ...i32Const(1), ...i32Subtract, ...localTee(BLOCKS)]
    const end = this.#eachWord((state, offset) => [
      ...[...localGet(CONTROL), ...localGet(state), ...store(offset)],
    ])
    return {
      i32Locals: pointers + (streams === 1 ? others : 0),
      // Four rows and four pairs are for the words.
      v128Locals: streams === 1 ? 0 : others + 8,
      body: [...begin, ...repeatWhile(block, left), ...end],
    }
  }

  /** The local of a word of the state; the one four further is that of before the block. */
  #stateOf(register: number, word: number): number {
    return POINTER + this.#lanes.length + 8 * register + word
  }

  #eachWord(emit: (state: number, offset: number) => Code): Code {
    const bytes = 4 * this.#arithmetic.streams
    return this.#registers.flatMap((register) =>
      four((word) => emit(this.#stateOf(register, word), STATES + (4 * register + word) * bytes)),
    )
  }

  /** Stores the 16 words of a block of four streams each: vectors of one stream become vectors of one word. */
  #emitWords(register: number): Code {
    const row = POINTER + this.#lanes.length + 8 * this.#registers.length
    const pair = row + 4
    const toPair = (to: number, from: number, lanes: Shuffle): Code => [
      ...[...localGet(row + from), ...localGet(row + from + 1)],
      ...[...v128ShuffleLanes(...lanes), ...localSet(pair + to)],
    ]
    const toWord = (word: number, from: number, lanes: Shuffle): Code => [
      ...[...localGet(CONTROL), ...localGet(pair + from), ...localGet(pair + from + 2)],
      ...[...v128ShuffleLanes(...lanes), ...v128Store(wordsAt(register, word))],
    ]
    return four((group) => [
      ...four((lane) => [
        ...[...localGet(POINTER + 4 * register + lane), ...v128Load(16 * group)],
        ...localSet(row + lane),
      ]),
      ...[...toPair(0, 0, [0, 4, 1, 5]), ...toPair(1, 0, [2, 6, 3, 7])],
      ...[...toPair(2, 2, [0, 4, 1, 5]), ...toPair(3, 2, [2, 6, 3, 7])],
      ...[...toWord(4 * group, 0, [0, 1, 4, 5]), ...toWord(4 * group + 1, 0, [2, 3, 6, 7])],
      ...[...toWord(4 * group + 2, 1, [0, 1, 4, 5]), ...toWord(4 * group + 3, 1, [2, 3, 6, 7])],
    ])
  }

  /** a = b + ((a + F(b, c, d) + word + constant) <<< shift); the four words change their roles from step to step. */
  #emitStep(register: number, step: number): Code {
    const { add, rotateLeft } = this.#arithmetic
    const round = step >> 4
    const role = (index: number): number => this.#stateOf(register, (index - (step % 4) + 4) % 4)
    const [a, b, c, d] = [role(0), role(1), role(2), role(3)]
    const word = [step, 5 * step + 1, 3 * step + 5, 7 * step][round]! & 15
    return [
      ...[...localGet(a), ...this.#emitWord(register, word), ...add],
      ...[...this.#emitConstant(step), ...add, ...this.#emitAddMix(round, b, c, d)],
      ...[...rotateLeft(a, SHIFTS[round]![step % 4]!), ...localGet(b), ...add, ...localSet(a)],
    ]
  }

  #emitWord(register: number, word: number): Code {
    return this.#arithmetic.streams === 1
      ? [...localGet(POINTER + register), ...i32Load(4 * word)]
      : [...localGet(CONTROL), ...v128Load(wordsAt(register, word))]
  }

  #emitConstant(step: number): Code {
    return this.#arithmetic.streams === 1
      ? i32Const(sineOf(step) | 0)
      : [...localGet(CONTROL), ...v128Load(CONSTANTS + 16 * step)]
  }

  /** Adds F, G, H or I of the RFC, in a form in which `b`, the word that is known last, is waited for by few operations. */
  #emitAddMix(round: number, b: number, c: number, d: number): Code {
    const { add, and, andNot, or, xor, not } = this.#arithmetic
    const [B, C, D] = [localGet(b), localGet(c), localGet(d)]
    if (round === 0) return [...D, ...B, ...C, ...D, ...xor, ...and, ...xor, ...add]
    if (round === 1) return [...C, ...D, ...andNot, ...add, ...B, ...D, ...and, ...add]
    if (round === 2) return [...C, ...D, ...xor, ...B, ...xor, ...add]
    return [...C, ...B, ...D, ...not, ...or, ...xor, ...add]
  }
}

type Shuffle = [number, number, number, number]

function wordsAt(register: number, word: number): number {
  return WORDS + 16 * (16 * register + word)
}

function four(emit: (index: number) => Code): Code {
  return [0, 1, 2, 3].flatMap(emit)
}
