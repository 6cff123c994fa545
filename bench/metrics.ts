// The metrics of a server, by name.
import type { TestServer } from '../test/support/server.ts'

/** Reads all of them; the function gives one that has no labels. */
export async function readMetrics({
  adminEndpoint,
}: Pick<TestServer, 'adminEndpoint'>): Promise<(name: string) => number> {
  const text = await (await fetch(`${adminEndpoint}/metrics`)).text()
  const lines = text.split('\n')
  return (name) =>
    Number(
      lines
        .find((line) => line.startsWith(`${name} `))
        ?.split(' ')
        .at(-1),
    )
}
