// A node that was removed is forgotten, also when it registers in the same moment.
import t from 'tap'
import { silentLog } from '../../../../src/kit/log.ts'
import { realWorld } from '../../../../src/kit/world.ts'
import type { EtcdMirror } from '../../../../src/placement/etcd/mirror.ts'
import { NodeRegistry } from '../../../../src/placement/etcd/node-registry.ts'

/** An etcd in which the node registers again before each of the first `times` changes. */
function openRegistry(times: number) {
  const keys = new Map([['node/n1', { value: new Uint8Array(), modRevision: 1 }]])
  let left = times
  const mirror = {
    refresh: async () => ({ keys: new Map(keys) }),
    commit: async ({ compare }: { compare: readonly { modRevision: number }[] }) => {
      const known = keys.get('node/n1')!
      if (left-- > 0) keys.set('node/n1', { ...known, modRevision: known.modRevision + 1 })
      if (compare[0]!.modRevision !== keys.get('node/n1')!.modRevision) return 'lost'
      keys.delete('node/n1')
      return 'made'
    },
  } as unknown as EtcdMirror
  return { registry: new NodeRegistry(mirror, { world: realWorld(), log: silentLog }), keys }
}

t.test('a node is forgotten', async (t) => {
  for (const times of [0, 1, 3]) {
    const { registry, keys } = openRegistry(times)
    await registry.forget('n1')
    t.equal(keys.size, 0)
    await registry.forget('n1')
  }
  const { registry, keys } = openRegistry(1_000)
  await t.rejects(registry.forget('n1'), { message: /registers again and again/ })
  t.equal(keys.size, 1)
})
