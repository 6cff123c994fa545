// A whole cluster of real processes, as deploy/dev-cluster starts it: what was acknowledged is read through every gateway
// after a node was killed, after etcd was, and after each of them came back.
import { readFile } from 'node:fs/promises'
import t from 'tap'
import { DevCluster, KnownObjects, openClients, type Shown } from '../support/dev-cluster.ts'

t.test('a cluster goes on without a node, and without etcd', async (t) => {
  const dev = await DevCluster.make(t, ['--nodes', '4'])
  const cluster = await dev.up()
  t.equal(cluster.gateways.length, 2)
  t.equal(cluster.nodes.length, 4)
  t.equal((await dev.remembered()).etcd.pid, cluster.etcd.pid)
  const objects = new KnownObjects(openClients(t, cluster), 'cluster')
  await objects.makeBucket()

  await objects.write('before')
  await objects.readAll(t, 'both gateways serve what either took')

  process.kill(cluster.nodes[1]!.pid, 'SIGKILL')
  await objects.write('without-a-node')
  await objects.readAll(t, 'a node is dead')

  process.kill(cluster.etcd.pid, 'SIGKILL')
  await objects.write('without-etcd')
  await objects.readAll(t, 'etcd is dead as well')

  const again = await dev.up()
  t.not(again.nodes[1]!.pid, cluster.nodes[1]!.pid)
  t.not(again.etcd.pid, cluster.etcd.pid)
  t.equal(again.nodes[0]!.pid, cluster.nodes[0]!.pid, 'who runs is left alone')
  process.kill(again.nodes[2]!.pid, 'SIGKILL')
  await objects.write('another-one')
  await objects.readAll(t, 'the first is back and another one is dead')
  await objects.deleteLargest('before')

  await dev.down()
  for (const { pid } of again.nodes) t.notOk(await isRunning(pid), 'down ends every node')
  const restarted = await dev.up()
  t.same(restarted.gateways, cluster.gateways)
  await objects.readAll(t, 'everything was started again')
})

t.test('what could not be made whole is ended by down, and made by the next up', async (t) => {
  const wrong = await DevCluster.make(t, ['--nodes', '1', '--gateways', '1', '--code', '44'])
  await t.rejects(wrong.up(), { code: 1, stderr: /--code takes K\+M/ })
  const { etcd } = await wrong.remembered()
  t.ok(await isRunning(etcd.pid), 'etcd was started before anybody read the code')
  await wrong.down()
  t.notOk(await isRunning(etcd.pid))

  await t.rejects(wrong.run('add'), { code: 2, stderr: /add node/ })
  const { stdout, stderr } = await wrong.run('up', '--json', '--nodes', '3')
  t.equal((JSON.parse(stdout) as Shown).nodes.length, 1)
  t.match(stderr, /stays as it was made.*not used: --nodes$/m)
})

/** A process that ended and that nobody asked for its code yet does not run any more. */
async function isRunning(pid: number): Promise<boolean> {
  try {
    return !/^State:\tZ/m.test(await readFile(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
