// Gateways over nodes on loopback: every one serves every key, nodes may go, etcd may be away.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Test, test } from 'tap'
import { signRequest } from '../../src/cli/admin-client.ts'
import { showCluster } from '../../src/cli/show-cluster.ts'
import { openClusterGateway } from '../../src/cluster/gateway.ts'
import { loadGatewayConfig } from '../../src/config-cluster.ts'
import type { ClusterStatus } from '../../src/gateway/cluster-api.ts'
import { mebibytes } from '../../src/kit/bytes.ts'
import { silentLog } from '../../src/kit/log.ts'
import { Registry } from '../../src/kit/metrics.ts'
import { stayAlive } from '../../src/kit/world.ts'
import { markOut } from '../../src/placement/coordinator-changes.ts'
import { metaPartitionOf, partitionOfKey } from '../../src/placement/place.ts'
import { S3Client } from '../support/s3.ts'
import { Seeded } from '../support/seeded.ts'
import { TEST_KEYS } from '../support/server.ts'
import { openSmallCluster, type SmallCluster } from '../support/small-cluster.ts'

const random = new Seeded(77)
const SMALL = random.bytes(5_000)
const LARGE = random.bytes(3_000_000)

async function openGateway(t: Test, cluster: SmallCluster, state?: string) {
  const options = {
    etcd: cluster.endpoint,
    port: '0',
    ...(state === undefined ? {} : { state }),
  }
  const readFile = async (): Promise<string> => ''
  const config = await loadGatewayConfig({ directories: [], options, environment: {}, readFile })
  const { world } = cluster
  const gateway = await stayAlive(
    openClusterGateway(config, {
      ...{ world, log: silentLog, registry: new Registry(), poolBytes: mebibytes(8) },
    }),
  )
  const client = new S3Client(gateway.endpoint)
  let isClosed = false
  const close = async (): Promise<void> => {
    if (isClosed) return
    isClosed = true
    client.close()
    await gateway.close({ deadlineMs: 1_000 })
  }
  t.teardown(close)
  return { gateway, client, close }
}

async function makeBucket({ client }: { client: S3Client }, name: string): Promise<void> {
  const { status, body } = await client.send({ method: 'PUT', path: `/${name}` })
  if (status !== 200) throw new Error(`${status} ${body}`)
}

test('what one gateway stores another gives back', async (t) => {
  const cluster = await openSmallCluster(t)
  const [one, two] = [await openGateway(t, cluster), await openGateway(t, cluster)]
  await makeBucket(one, 'photos')
  for (const [key, bytes] of [
    ['small', SMALL],
    ['large', LARGE],
    ['empty', Buffer.alloc(0)],
  ] as const) {
    const put = await one.client.put('photos', key, bytes)
    t.equal(put.status, 200, `put ${key}: ${put.body}`)
    const got = await two.client.get('photos', key)
    t.equal(got.status, 200, `get ${key}`)
    t.ok(got.body.equals(bytes), key)
  }
  t.same(await two.client.listAll('photos'), ['empty', 'large', 'small'])
  t.equal((await two.client.delete('photos', 'small')).status, 204)
  t.equal((await one.client.get('photos', 'small')).status, 404)
})

test('a node that is gone costs neither reads nor writes', async (t) => {
  const cluster = await openSmallCluster(t)
  // Its partitions go with it: nobody else leads them here.
  const { node, keyOf } = spareNode(cluster)
  const { client } = await openGateway(t, cluster)
  await client.send({ method: 'PUT', path: '/bucket' })
  const key = keyOf('k')
  t.equal((await client.put('bucket', key, LARGE)).status, 200)
  await node.stop()
  const got = await client.get('bucket', key)
  t.equal(got.status, 200)
  t.ok(got.body.equals(LARGE))
  t.equal((await client.put('bucket', key, SMALL)).status, 200)
  t.ok((await client.get('bucket', key)).body.equals(SMALL))
})

test('a node that hangs is not waited for once it is known', async (t) => {
  const cluster = await openSmallCluster(t)
  const { node, keyOf } = spareNode(cluster)
  const { gateway, client } = await openGateway(t, cluster)
  await client.send({ method: 'PUT', path: '/bucket' })
  const key = keyOf('k')
  t.equal((await client.put('bucket', key, LARGE)).status, 200)
  const goOn = node.hang()
  while (gateway.readiness().degraded.length === 0) await sleep(50)
  t.match(gateway.readiness(), { ready: true, degraded: [/1 of 6 nodes does not answer/] })
  const asked = node.shards.drives.get(node.driveId)?.size ?? 0
  t.equal((await client.put('bucket', key, LARGE)).status, 200)
  t.ok((await client.get('bucket', key)).body.equals(LARGE))
  goOn()
  while (gateway.readiness().degraded.length > 0) await sleep(50)
  t.equal(node.shards.drives.get(node.driveId)?.size ?? 0, asked, 'nothing new went there')
})

test('buckets are the same everywhere at once', async (t) => {
  const cluster = await openSmallCluster(t)
  const [one, two] = [await openGateway(t, cluster), await openGateway(t, cluster)]
  for (let round = 0; round < 2; round += 1) {
    const name = `bucket-${round}`
    const listed = async (): Promise<boolean> =>
      (await two.client.send({ method: 'GET', path: '/' })).body.includes(`<Name>${name}<`)
    await makeBucket(one, name)
    t.equal((await two.client.put(name, 'k', SMALL)).status, 200, 'made through another')
    t.ok(await listed())
    const query = { versioning: '' }
    const body = Buffer.from(
      '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>',
    )
    const set = await one.client.send({ method: 'PUT', path: `/${name}`, query, body })
    t.equal(set.status, 200, set.body.toString())
    const put = await two.client.put(name, 'versioned', SMALL)
    t.ok(put.headers['x-amz-version-id'], 'versioned from then on')
    t.equal((await one.client.send({ method: 'DELETE', path: `/${name}` })).status, 409)
    t.equal((await two.client.put(name, 'k', LARGE)).status, 200, 'not empty: it goes on')
  }
})

test('deletions and writes through several gateways leave nothing half done', async (t) => {
  const cluster = await openSmallCluster(t)
  const gateways = [await openGateway(t, cluster), await openGateway(t, cluster)]
  for (let round = 0; round < 4; round += 1) {
    await makeBucket(gateways[0]!, 'bucket')
    const [first, second] = await Promise.all(
      gateways.map(async ({ client }) => {
        await sleep(random.below(10))
        return await client.send({ method: 'DELETE', path: '/bucket' })
      }),
    )
    const statuses = [first!.status, second!.status].sort()
    t.ok(statuses.includes(204), `${statuses}`)
    t.ok([204, 404].includes(statuses[1]!), `${statuses}`)
    t.equal((await gateways[1]!.client.put('bucket', 'k', SMALL)).status, 404)
  }
  await makeBucket(gateways[0]!, 'bucket')
  const [deleted, put] = await Promise.all([
    gateways[0]!.client.send({ method: 'DELETE', path: '/bucket' }),
    gateways[1]!.client.put('bucket', 'k', SMALL),
  ])
  const after = await gateways[1]!.client.get('bucket', 'k')
  if (deleted.status === 204) t.equal(after.status, 404)
  else t.equal(after.status, put.status === 200 ? 200 : 404, `${deleted.status} ${put.status}`)
})

test('while etcd is away objects are served, also by a gateway that starts then', async (t) => {
  const cluster = await openSmallCluster(t)
  const state = mkdtempSync(join(tmpdir(), 'gateway-'))
  t.teardown(() => rmSync(state, { recursive: true }))
  const first = await openGateway(t, cluster, state)
  await makeBucket(first, 'bucket')
  t.equal((await first.client.put('bucket', 'k', SMALL)).status, 200)
  await first.close()
  cluster.etcd.mood = 'away'
  cluster.etcd.breakWatches()
  const { gateway, client } = await openGateway(t, cluster, state)
  t.ok((await client.get('bucket', 'k')).body.equals(SMALL))
  t.equal((await client.put('bucket', 'l', LARGE)).status, 200)
  t.same(await client.listAll('bucket'), ['k', 'l'])
  t.match(gateway.readiness(), { ready: true, degraded: [/etcd does not answer/] })
  const refused = await client.send({ method: 'PUT', path: '/another' })
  t.equal(refused.status, 503)
  t.match(refused.body.toString(), /<Code>ServiceUnavailable<.*etcd.* does not answer/)
  const unknown = await client.get('nowhere', 'k')
  t.equal(unknown.status, 503, 'nobody knows whether there is such a bucket')
  await t.rejects(openGateway(t, cluster), /etcd at http:\/\/etcd.test:2379/, 'without a state')
})

/** A node that leads no partition that a test asks: keys that others lead. */
function spareNode({ nodes, coordinator }: SmallCluster) {
  const node = nodes[5]!
  const bucketId = coordinator.state.nextBucketId
  const keyOf = (name: string): string => {
    for (let number = 0; ; number += 1) {
      const key = `${name}${number}`
      const { map } = coordinator.state
      const partition = metaPartitionOf(map, partitionOfKey(map, bucketId, key))
      if (partition % nodes.length !== 5) return key
    }
  }
  return { node, keyOf }
}

test('a gateway says how the cluster stands, and where an object lies', async (t) => {
  const cluster = await openSmallCluster(t)
  const { gateway, client } = await openGateway(t, cluster)
  await makeBucket({ client }, 'bucket')
  t.equal((await client.put('bucket', 'k', LARGE)).status, 200)
  const asked = async (resource: string, query = {}): Promise<unknown> => {
    const origin = new URL(gateway.endpoint)
    const signer = { origin, credentials: TEST_KEYS, region: 'us-east-1', nowMs: Date.now() }
    const { url, headers } = signRequest({ method: 'GET', resource, query }, signer)
    return await (await fetch(url, { headers })).json()
  }
  const whole = (await asked('status')) as ClusterStatus
  t.match(whole, { kind: 'cluster', clusterId: 'small', etcd: { kind: 'current' }, replicas: 5 })
  t.equal(whole.nodes.length, 6)
  t.ok(whole.nodes.every(({ answers, address, drives }) => answers && address && drives === 1))
  t.equal(whole.partitions.length, 8)
  t.same(whole.partitions[3], {
    ...{ id: 3, epoch: 2, primary: 4, isLed: true, replicas: [4] },
    ...{ there: 1, hasMajority: true, isChanging: false },
  })
  const lines = showCluster(whole).join('\n')
  t.match(lines, /^Health {4}degraded\n {10}8 metadata partitions have fewer than 5 replicas\.$/m)
  t.match(lines, /^Nodes {5}6 of 6 answer$/m)
  t.match(lines, /8 of 8 partitions serve, 0 have all 5 replicas/)
  const fourth = whole.nodes[3]!
  const left = { id: 'f'.repeat(16), address: 'http://left:1', drives: 0, leads: 0 }
  const nodes = [...whole.nodes.with(3, { ...fourth, answers: false }), left]
  const silent = { ...whole.partitions[3]!, isLed: false, there: 0, hasMajority: false }
  const partitions = whole.partitions.with(3, silent)
  const without = showCluster({ ...whole, nodes, partitions }).join('\n')
  t.match(
    without,
    /^Nodes {5}5 of 6 answer$/m,
    'who has no drive is not counted, for nobody asks it',
  )
  t.match(without, /^ +f{16} .* is not asked: the map has no drive of it +0 drives/m)
  t.match(without, /^ +0{15}4 .* does not answer .* led 1 partition$/m)
  t.match(without, /7 of 8 partitions serve/)
  t.match(
    without,
    /^ +partition 3 .* led by 0{15}4, which does not answer +on drives 4 +without a majority: 0 there$/m,
  )
  const found = await asked('inspect', { bucket: 'bucket', key: 'k' })
  t.match(found, { parts: [{ code: '4+2', health: 'whole' }] })
  const { drives } = cluster.coordinator.state.map
  await cluster.coordinator.decide(markOut(drives[1]!.id, 'a test'))
  cluster.etcd.mood = 'away'
  cluster.etcd.breakWatches()
  while (gateway.readiness().degraded.length < 2) await sleep(20)
  const broken = showCluster((await asked('status')) as ClusterStatus).join('\n')
  t.match(broken, /^ +2 +0{15}2 +out \(a test\) +weight 1$/m)
  t.match(broken, /^etcd {6}does not answer since /m)
})

test('of many who create a key through several gateways one wins', async (t) => {
  const cluster = await openSmallCluster(t)
  const gateways = await Promise.all([1, 2, 3].map(() => openGateway(t, cluster)))
  await makeBucket(gateways[0]!, 'bucket')
  for (let round = 0; round < 2; round += 1) {
    const key = `k${round}`
    const answers = await Promise.all(
      Array.from({ length: 32 }, async (_, number) => {
        const { client } = gateways[number % 3]!
        const body = Buffer.from(String(number))
        const { status } = await client.put('bucket', key, body, { 'if-none-match': '*' })
        return { number, status }
      }),
    )
    const winners = answers.filter(({ status }) => status === 200)
    t.equal(winners.length, 1)
    t.ok(answers.every(({ status }) => [200, 409, 412].includes(status)))
    const { body } = await gateways[round % 3]!.client.get('bucket', key)
    t.equal(body.toString(), String(winners[0]?.number))
  }
})

test('who leads the partition of a damaged blob is told of it, once', async (t) => {
  const cluster = await openSmallCluster(t)
  const { client } = await openGateway(t, cluster)
  await client.send({ method: 'PUT', path: '/bucket' })
  t.equal((await client.put('bucket', 'k', LARGE)).status, 200)
  for (const { shards, driveId } of cluster.nodes.slice(0, 2))
    for (const cells of shards.drives.get(driveId)?.values() ?? [])
      for (const cell of cells) shards.rottenCells.add(cell)
  for (let round = 0; round < 3; round += 1)
    t.ok((await client.get('bucket', 'k')).body.equals(LARGE), 'read around it')
  while (cluster.reports.length === 0) await sleep(20)
  const { map } = cluster.coordinator.state
  const [told] = cluster.reports
  if (told?.report.kind !== 'damage') throw new Error('it is damage')
  t.equal(told.report.blobs.length, 1)
  const partition = metaPartitionOf(map, told.report.blobs[0]!.partition)
  t.equal(told.partition, partition)
  t.equal(told.node, cluster.nodes[partition % cluster.nodes.length]!.id, 'who leads it')
  await client.get('bucket', 'k')
  await sleep(1200)
  t.equal(cluster.reports.length, 1)
})
