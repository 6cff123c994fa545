// kintsugi heal --wait in a simulated cluster: the loop of the command as shipped, through a gateway. What it calls verified
// has to be so: everything was read, and nothing is rotten any more (I2, I7).
import { waitForHealing } from '../../../src/cli/heal.ts'
import type { SimTime } from '../time.ts'
import { rotOf } from './peace.ts'
import type { ClusterWorld } from './world.ts'

const WITHIN_MS = 900_000

/** Waits for a verified pass; complains when there is none, or when it says too much. */
export async function awaitVerified(
  world: ClusterWorld,
  {
    time,
    complain,
    say,
  }: { time: SimTime; complain(trouble: string): void; say(line: string): void },
): Promise<void> {
  const clock = { monotonicMs: () => time.nowMs, sleep: (ms: number) => time.sleep(ms) }
  const untilMs = time.nowMs + WITHIN_MS
  while (world.gateways[0]!.served === undefined) await time.sleep(500)
  const { api } = world.gateways[0]!.served
  const client = { beginHeal: () => api.beginHeal(), healing: () => api.healing() }
  for (;;) {
    const timeoutMs = untilMs - time.nowMs
    const { kind, healing } = await waitForHealing(
      { timeoutMs },
      { ...{ client, clock, say }, showProgress: () => {} },
    )
    say(`heal: ${kind}`)
    if (kind === 'verified') break
    // Nodes that were down a moment ago may have what is missing.
    if (time.nowMs >= untilMs)
      return complain(`I7: no pass is verified (${kind}): ${JSON.stringify(healing)}`)
    await time.sleep(5_000)
  }
  for (const rot of await rotOf(world, time)) complain(`I7: everything was verified, and ${rot}`)
}
