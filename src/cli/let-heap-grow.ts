// How often V8 collects the whole heap of a node and of a gateway. kintsugi serve has an option of its own: guard-server.ts.
import { setFlagsFromString } from 'node:v8'

/** Of what a collection left; V8 takes anything from 10 to 300 by itself, little where most was garbage. */
const GROWING_PERCENT = 300

/**
 * Before V8 collects everything again the heap may become four times as large as the last collection left it. To be called at the
 * start. What passes through these processes is garbage soon, and there is much of it: decision 36.
 */
export function letHeapGrow(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWING_PERCENT}`)
}
