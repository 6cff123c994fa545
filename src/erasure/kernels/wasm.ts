// The fast kernel: a WebAssembly module made at run time for one plan. Loads, 128-bit XORs and
// stores, nothing else; coefficients and the places of the cells are in the instructions.
import { assert } from '../../kit/assert.ts'
import { BLOCK_BYTES } from '../../kit/erasure-code.ts'
import { type Code, encodeModule, instruction, type WasmFunction } from '../../kit/wasm-module.ts'
import { webAssembly } from '../../kit/webassembly.ts'
import type { Plan } from '../reed-solomon.ts'
import { STRIP_BYTES, STRIPS, stripMasks } from './bit-matrix.ts'
import type { Kernel, StripeLayout } from './kernel.ts'
import { type Signal, scheduleXors, type XorSchedule } from './xor-schedule.ts'

/** More results at once only spill registers: there are 16. */
const TARGETS_PER_PASS = 2

/** Bytes of each cell that all passes work on before the next: what the first read, the second finds in L1. */
const TILE_BYTES = 2048

/** Makes the kernel for `plan`; throws WebAssembly.CompileError where SIMD is missing. */
export function compileWasm(plan: Plan, { memory, strideBytes }: StripeLayout): Kernel {
  const module = new webAssembly.Module(emitKernel(plan, strideBytes))
  const { exports } = new webAssembly.Instance(module, { env: { memory } })
  const run = exports.run as (start: number, end: number) => void
  return (cells, cellBytes) => {
    const start = cells[0]!.byteOffset
    if (cellBytes > 0) run(start, start + cellBytes)
  }
}

/** The module: run(start, end) for cell 0 from address `start` to `end`, whole blocks, at least one. */
function emitKernel(plan: Plan, strideBytes: number): Uint8Array<ArrayBuffer> {
  const passes: WasmFunction[] = []
  for (let first = 0; first < plan.targets.length; first += TARGETS_PER_PASS) {
    passes.push(emitPass(takeTargets(plan, first, first + TARGETS_PER_PASS), strideBytes))
  }
  return encodeModule([...passes, emitTileLoop(passes.length)])
}

function takeTargets({ sources, targets, rows }: Plan, first: number, end: number): Plan {
  return { sources, targets: targets.slice(first, end), rows: rows.slice(first, end) }
}

const { localGet, localSet, localTee, i32Const, i32Add, i32LessUnsigned } = instruction
const { call, select, repeatWhile, v128Load, v128Store, v128Xor } = instruction

/** Locals of both kinds of function. */
const START = 0
const END = 1
const FIRST_FREE = 2

/** Hands every tile to every pass. */
function emitTileLoop(passCount: number): WasmFunction {
  const TILE_END = FIRST_FREE
  const body = [
    ...[...localGet(START), ...i32Const(TILE_BYTES), ...i32Add, ...localTee(TILE_END)],
    ...[...localGet(END), ...localGet(TILE_END), ...localGet(END), ...i32LessUnsigned],
    ...[...select, ...localSet(TILE_END)],
    ...Array.from({ length: passCount }, (_, pass) => [
      ...[...localGet(START), ...localGet(TILE_END), ...call(pass)],
    ]).flat(),
    ...[...localGet(TILE_END), ...localSet(START)],
  ]
  const more = [...localGet(START), ...localGet(END), ...i32LessUnsigned]
  return { i32Locals: 1, v128Locals: 0, body: repeatWhile(body, more) }
}

/** Computes at most TARGETS_PER_PASS targets, block by block. */
function emitPass(plan: Plan, strideBytes: number): WasmFunction {
  const schedule = scheduleXors(stripMasks(plan.rows), plan.targets.length * STRIPS)
  const place = (cell: number, strip: number): number =>
    cell * strideBytes + (strip % STRIPS) * STRIP_BYTES
  const emitter = new SignalEmitter(schedule, (input) =>
    place(plan.sources[Math.floor(input / STRIPS)]!, input),
  )
  const stores = schedule.outputs.flatMap((signals, output) => [
    ...localGet(START),
    ...emitter.emitSum(signals),
    ...v128Store(place(plan.targets[Math.floor(output / STRIPS)]!, output)),
  ])
  const advance = [...localGet(START), ...i32Const(BLOCK_BYTES), ...i32Add, ...localTee(START)]
  const more = [...advance, ...localGet(END), ...i32LessUnsigned]
  return { i32Locals: 0, v128Locals: emitter.locals, body: repeatWhile(stores, more) }
}

/**
 * Emits signals when they are first needed and keeps in a local what is needed again, but loads inputs
 * again each time: that costs less than the registers which keeping them would spill (measured on an
 * Intel Xeon of model 207, 16 KiB cells: encode of 4+2 at 36 instead of 22 GB/s, 12+4 at 20 instead of 11).
 */
class SignalEmitter {
  readonly #schedule: XorSchedule
  readonly #offsetOf: (input: number) => number
  readonly #uses: Map<Signal, number>
  readonly #localOf = new Map<Signal, number>()

  constructor(schedule: XorSchedule, offsetOf: (input: number) => number) {
    this.#schedule = schedule
    this.#offsetOf = offsetOf
    this.#uses = countUses(schedule)
  }

  /** Locals taken up to now. */
  get locals(): number {
    return this.#localOf.size
  }

  /** Leaves the XOR of `signals` on the stack. */
  emitSum(signals: readonly Signal[]): Code {
    assert(signals.length > 0, 'the matrix of a code has no row of zeros')
    return signals.flatMap((signal, index) =>
      index === 0 ? this.#emit(signal) : [...this.#emit(signal), ...v128Xor],
    )
  }

  #emit(signal: Signal): Code {
    const { inputCount, steps } = this.#schedule
    if (signal < inputCount) return [...localGet(START), ...v128Load(this.#offsetOf(signal))]
    const known = this.#localOf.get(signal)
    if (known !== undefined) return localGet(known)
    const value = this.emitSum(steps[signal - inputCount]!)
    if (this.#uses.get(signal) === 1) return value
    const local = FIRST_FREE + this.#localOf.size
    this.#localOf.set(signal, local)
    return [...value, ...localTee(local)]
  }
}

function countUses({ steps, outputs }: XorSchedule): Map<Signal, number> {
  const uses = new Map<Signal, number>()
  for (const signal of [...steps, ...outputs].flat()) uses.set(signal, (uses.get(signal) ?? 0) + 1)
  return uses
}
