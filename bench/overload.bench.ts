// More clients than can be served at once: what is served, how long the slowest wait, and how many are told to come again;
// and small requests beside as many large ones as there is room for.
import type { LoadName } from '../src/load/loads.ts'
import { openEmbedded } from './bench-stores.ts'
import { benchLoads, type LoadRow, type LoadsOptions } from './loads.bench.ts'

/** The first is what a server is usually measured with. */
const CLIENTS = [32, 128, 512, 2_048] as const
const LOADS: readonly LoadName[] = ['put-4k', 'get-4k', 'head']

/** Uploads of 10 MiB beside the small loads. */
const UPLOADS = 64

/** Rows of small loads, by more and more clients, then by as many as usual while others upload. */
export async function benchOverload(
  options: Pick<LoadsOptions, 'seconds' | 'processes'>,
): Promise<LoadRow[]> {
  const store = await openEmbedded()
  try {
    const rows: LoadRow[] = []
    for (const load of LOADS)
      for (const clients of CLIENTS)
        rows.push(...(await benchLoads(store, { ...options, loads: [load], clients })))
    const seconds = options.seconds * 3
    const uploads = { ...options, loads: ['put-10m'] as const, seconds, clients: UPLOADS }
    const [large, small] = await Promise.all([
      benchLoads(store, uploads),
      benchLoads(store, { ...options, loads: ['get-4k', 'head'] }),
    ])
    return [...rows, ...[...large, ...small].map((row) => ({ ...row, store: 'both at once' }))]
  } finally {
    await store.close()
  }
}
