// The part of the engine's WebAssembly interface that is used here: neither the language nor
// Node's types declare it, only the browser's do.

/** Linear memory. Never grown here, so its buffer is always the same. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer
}

/** An instantiated module; calling an export calls the compiled function. */
export interface WasmInstance {
  readonly exports: Readonly<Record<string, unknown>>
}

interface WebAssemblyInterface {
  Memory: new (size: { initial: number; maximum: number }) => WasmMemory
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object, imports: Record<string, Record<string, unknown>>) => WasmInstance
}

/** As the engine offers it. */
export const webAssembly = (globalThis as unknown as { WebAssembly: WebAssemblyInterface })
  .WebAssembly
