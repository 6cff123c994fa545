// What every kernel looks like from outside.

import type { WasmMemory } from '../../kit/webassembly.ts'
import type { Plan } from '../reed-solomon.ts'

/**
 * Carries out one plan over the first `cellBytes` bytes (a multiple of 128) of the cells of a stripe.
 * The cells must be those of the memory and stride that it was compiled for.
 */
export type Kernel = (cells: readonly Uint8Array[], cellBytes: number) => void

/** Where the cells of a stripe lie: cell i starts `strideBytes` * i behind cell 0. */
export interface StripeLayout {
  memory: WasmMemory
  strideBytes: number
}

/** Makes the kernel for a plan. */
export type KernelCompiler = (plan: Plan, layout: StripeLayout) => Kernel
