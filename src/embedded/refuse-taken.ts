// Ports are tried before anything is made that stays: a start that can not listen is to leave nothing behind.
import { portTaken } from '../exit.ts'
import { holdPort } from '../kit/hold-port.ts'

/** Where something is to listen, and the option that says so. */
export type Place = Parameters<typeof portTaken>[1]

/** Throws Exit for the first that can not be listened on, beside those before it. */
export async function refuseTaken(places: readonly Place[]): Promise<void> {
  const held: (() => Promise<void>)[] = []
  try {
    for (const place of places) held.push(await hold(place))
  } finally {
    for (const release of held) await release()
  }
}

async function hold(place: Place): Promise<() => Promise<void>> {
  try {
    return await holdPort(place)
  } catch (error) {
    throw portTaken(error, place)
  }
}
