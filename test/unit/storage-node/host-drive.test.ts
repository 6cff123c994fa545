// Rows of a partition on one drive: who changes them, or removes what is left of them, keeps others away.
import t from 'tap'
import { HostDrive } from '../../../src/storage-node/metadata-host/drive.ts'

/** Rows whose clear() ends when the test says so. */
function openHost(): { host: HostDrive; endClear: () => void } {
  let endClear = (): void => {}
  const cleared = new Promise<void>((resolve) => {
    endClear = resolve
  })
  const rows = { clear: () => cleared } as never
  const host = new HostDrive({ drive: {} as never, log: {} as never, rows, marker: undefined })
  return { host, endClear }
}

t.test('rows that are being removed are busy', async (t) => {
  const { host, endClear } = openHost()
  const clearing = host.clear(3)
  t.ok(host.isBusyWith(3), 'no replica may be made there now')
  t.notOk(host.isBusyWith(4))
  endClear()
  await clearing
  t.notOk(host.isBusyWith(3))
})

t.test('who makes a replica holds its rows until it is there', async (t) => {
  const { host, endClear } = openHost()
  const letGo = host.hold(3)
  const clearing = host.clear(3)
  endClear()
  await clearing
  t.ok(host.isBusyWith(3), 'between the clearing and the replica as well')
  host.attach(3, 'new', { epoch: 1, sequence: 5 })
  letGo()
  t.ok(host.isBusyWith(3))
  host.detach(3)
  t.notOk(host.isBusyWith(3))
})
