// Uploads that nobody finishes are seen on the admin port: no listing of objects shows them.
import t from 'tap'
import { ask, BUCKET, elementsOf, withWire } from './wire.ts'

t.test('gauges of multipart uploads', { timeout: 60_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    const path = `/${BUCKET}/orphan`
    const created = await ask(wire, { method: 'POST', path, query: { uploads: '' } })
    const [uploadId = ''] = elementsOf(created, 'UploadId')
    await ask(wire, { method: 'POST', path: `/${BUCKET}/other`, query: { uploads: '' } })
    const scrape = async (): Promise<string> =>
      (await fetch(`${wire.server.adminEndpoint}/metrics`)).text()
    const first = await scrape()
    t.match(first, /^kintsugi_multipart_uploads 2$/m)
    t.match(first, /^kintsugi_multipart_upload_oldest_seconds \d+(\.\d+)?$/m)
    await ask(wire, { method: 'DELETE', path, query: { uploadId } })
    t.match(await scrape(), /^kintsugi_multipart_uploads 2$/m, 'counted once a minute at most')
  })
})
