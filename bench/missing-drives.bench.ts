// GET of 10 MiB with as many drives missing as the code stands, beside the same objects with none missing.
import { rename } from 'node:fs/promises'
import { LoadProcesses } from '../src/load/processes.ts'
import { S3Client } from '../test/support/s3.ts'
import { openEmbedded } from './bench-stores.ts'
import { printLine } from './measure.ts'
import { type RatioRow, ratio } from './ratios.bench.ts'

const BUCKET = 'bench'
const LOST = 2

/** One row: the rate with two of six drives missing to that with none. */
export async function benchMissingDrives(options: {
  seconds: number
  processes: number
}): Promise<RatioRow[]> {
  const store = await openEmbedded()
  const client = new S3Client(store.endpoint.url.origin)
  try {
    await client.send({ method: 'PUT', path: `/${BUCKET}` })
    await using children = new LoadProcesses(options.processes)
    const endpoint = { ...store.endpoint, url: store.endpoint.url.href }
    await children.prepare({ load: 'get-10m', bucket: BUCKET, endpoint })
    const measure = async (): Promise<number> => {
      await children.run(1)
      const { amount, seconds, errors } = await children.run(options.seconds)
      if (errors > 0) throw new Error(`${errors} reads failed`)
      return amount / seconds
    }
    const whole = await measure()
    await store.stop()
    for (const directory of store.directories.slice(0, LOST))
      await rename(directory, `${directory}-away`)
    await store.start()
    const degraded = await measure()
    printLine(
      `GET 10 MiB: ${(whole / 1e6).toFixed(0)} MB/s with all drives, ${(degraded / 1e6).toFixed(0)} MB/s with ${LOST} missing`,
    )
    const name = `GET 10 MiB with ${LOST} drives missing to none missing`
    return [ratio(name, { atLeast: 0.85 }, [degraded, whole])]
  } finally {
    client.close()
    await store.close()
  }
}
