// Ids are spelled from random blocks: none comes twice, also where one block ends and the next begins.
import t from 'tap'
import { RequestIds } from '../../../src/gateway/request-ids.ts'
import { realWorld } from '../../../src/kit/world.ts'

t.test('16 digits each, all different', async (t) => {
  const ids = new RequestIds(realWorld().random)
  const given = Array.from({ length: 2000 }, () => ids.next())
  t.equal(new Set(given).size, given.length)
  t.ok(given.every((id) => /^[0-9A-F]{16}$/.test(id)))
})
