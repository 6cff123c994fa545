// Real processes: a node leaves a cluster that has one too few for its code then. Everything is written again as 2+2 while nodes
// die and clients write, and the loss of a node loses nothing afterwards.
import t from 'tap'
import { DevCluster, KnownObjects, openClients } from '../support/dev-cluster.ts'

const CLUSTER = ['--nodes', '5', '--code', '3+2', '--garbage-grace', '5']
const SIZES = [1, 3_000, 131_072, 131_073, 400_000, 2_000_000, 9_000_000]

interface Status {
  code: string
  drives: { id: number; code?: string }[]
}

t.test('a node leaves that the code needs', { timeout: 600_000 }, async (t) => {
  const dev = await DevCluster.make(t, CLUSTER)
  const cluster = await dev.up()
  const [leaving, dying, lost] = cluster.nodes
  const endpoint = ['--endpoint', cluster.gateways[0]!]
  const objects = new KnownObjects(openClients(t, cluster), 're-encoded')
  await objects.makeBucket()
  for (const name of ['a', 'b', 'c']) await objects.write(name, SIZES)

  await t.rejects(dev.kintsugi('drain', leaving!.id, ...endpoint), {
    code: 1,
    stderr: /4 drives would be left.*--re-encode: .* as 2\+2 then, which takes 20 % more space/,
  })
  await dev.kintsugi('drain', leaving!.id, '--re-encode', ...endpoint)
  process.kill(dying!.pid, 'SIGKILL')
  await objects.write('meanwhile', SIZES)
  await objects.readAll(t, 'a node is dead while everything is written again')
  await dev.up()
  await dev.kintsugi('node', 'remove', leaving!.id, '--drain', '--wait', ...endpoint)
  await dev.forget(leaving!.id)
  const status = JSON.parse(await dev.kintsugi('status', '--json', ...endpoint)) as Status
  t.equal(status.code, '2+2')
  t.equal(status.drives.length, 4)

  process.kill(lost!.pid, 'SIGKILL')
  await objects.readAll(t, 'of four nodes one is lost')
  await objects.write('after', SIZES)
  await objects.readAll(t, 'it is written without it')
})
