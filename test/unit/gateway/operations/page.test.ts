// docs/operations.md says of every operation how it is answered. What it says is compared with what is done.
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { OPERATION_NAMES, type OperationName } from '../../../../src/gateway/operation-names.ts'
import { cleared, notImplemented } from '../../../../src/gateway/operations/unconfigured.ts'
import { operations } from '../../../../src/gateway/operations.ts'
import { type Gateway, openGateway } from './fake-call.ts'

const ROW = /^\| `(\w+)` \| ([^|]+) \|/

/** The table: answer by operation. */
function readTable(): Map<string, string> {
  const [table = ''] = readFileSync('docs/operations.md', 'utf8').split('\n## ')
  const lines = table.split('\n')
  const rows = lines.flatMap((line) => {
    const [, name, answer] = ROW.exec(line) ?? []
    return name && answer ? [[name, answer.trim()] as const] : []
  })
  return new Map(rows)
}

t.test('every operation has its row, and every row its operation', async (t) => {
  t.same([...readTable().keys()].sort(), [...OPERATION_NAMES].sort())
})

t.test('what a row says is what is answered', async (t) => {
  const gateway = await openGateway()
  await gateway.ask('PutObject', { key: 'a', body: 'x' })
  const table = readTable()
  for (const name of OPERATION_NAMES) await check(t, gateway, name, table.get(name) ?? '')
})

async function check(
  t: Test,
  { ask, refused }: Gateway,
  name: OperationName,
  said: string,
): Promise<void> {
  const asked = { key: name.includes('Object') ? 'a' : '' }
  const [, code] = /^404 `(\w+)`$/.exec(said) ?? []
  if (code) t.match(await refused(name, asked), { code, status: 404 }, name)
  else if (said === '501') t.match(await refused(name, asked), { code: 'NotImplemented' }, name)
  else if (said === '204: never set') t.equal((await ask(name, asked)).status, 204, name)
  else if (said === 'empty document')
    t.match(await ask(name, asked), { status: 200, text: '<?xml' })
  else isDone(t, name, said)
}

/** The handler bears the name of its operation: nothing stands in for it. */
function isDone(t: Test, name: OperationName, said: string): void {
  t.equal(said, 'done', name)
  const handler = operations[name]
  t.notOk(handler === notImplemented || handler === cleared, `${name} is built`)
  t.equal(handler.name.toLowerCase(), name.toLowerCase())
}
