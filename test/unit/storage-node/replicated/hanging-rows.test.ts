// Rows of one node that take no more changes, while its log goes on.
import t, { type Test } from 'tap'
import { ReplicaDrive } from '../../../../src/storage-node/replicated/replica-drive.ts'
import { put, ReplicaCluster, read } from './replica-cluster.ts'

const P = 2

async function served(): Promise<{ cluster: ReplicaCluster; lead: number }> {
  const cluster = await ReplicaCluster.make(3)
  await cluster.found(P, [1, 2, 3])
  await cluster.until('it is served', () => cluster.reignOf(P) !== undefined)
  await cluster.wait(cluster.reignOf(P)!.log.append(put('a', '1')))
  return { cluster, lead: leadOf(cluster) }
}

function leadOf(cluster: ReplicaCluster): number {
  return Number(cluster.decisions.get(P)!.primary.split('-')[0])
}

/** Nothing is applied on this drive until what it gives is called. */
function hangRows(t: Test, driveId: number): () => void {
  const { apply } = ReplicaDrive.prototype
  let goOn = (): void => {}
  const hanging = new Promise<void>((resolve) => {
    goOn = resolve
  })
  ReplicaDrive.prototype.apply = async function (this: ReplicaDrive, ...of): Promise<void> {
    if (this.drive.id === driveId) await hanging
    await apply.apply(this, of)
  }
  t.teardown(() => {
    ReplicaDrive.prototype.apply = apply
  })
  return goOn
}

t.test('a primary whose rows hang lets another one lead', async (t) => {
  const { cluster, lead } = await served()
  const goOn = hangRows(t, lead)
  const write = cluster.reignOf(P)!.log.append(put('a', '2'))
  await t.rejects(cluster.wait(write), { name: 'MetadataUnavailable' }, 'nobody knows its fate')
  await cluster.until('another one leads', () => leadOf(cluster) !== lead)
  await cluster.until('it serves', () => cluster.reignOf(P) !== undefined)
  t.equal(await cluster.wait(read(cluster.reignOf(P)!, 'a')), '2', 'it was committed')
  await cluster.wait(cluster.reignOf(P)!.log.append(put('a', '3')))
  goOn()
  await cluster.step(8)
  t.same(cluster.complaints, [])
  const applied = [1, 2, 3].map((id) => cluster.host(id).replicas()[0]!.applied)
  t.equal(new Set(applied).size, 1, `${applied}`)
  await cluster.close()
})

t.test('what waits for the rows of a replica is bounded, and it comes to the others', async (t) => {
  const { cluster, lead } = await served()
  const other = [1, 2, 3].find((id) => id !== lead)!
  const goOn = hangRows(t, other)
  const { replica } = cluster.host(other).replicas()[0]!
  const endOf = (): number => {
    const standing = cluster.host(other).standing(replica, P)
    return standing.kind === 'lives' ? standing.end.sequence : Number.NaN
  }
  const ends: number[] = []
  for (let more = 1; more <= 60; more += 1) {
    await cluster.wait(cluster.reignOf(P)!.log.append(put(`k${more}`, 'x'.repeat(1000))))
    ends.push(endOf())
  }
  t.ok(ends.at(-1)! < 30, `${ends}`)
  goOn()
  const appliedOn = (id: number): number => cluster.host(id).replicas()[0]!.applied
  await cluster.until('it has everything', () => appliedOn(other) === appliedOn(lead))
  t.same(cluster.complaints, [])
  await cluster.close()
})
