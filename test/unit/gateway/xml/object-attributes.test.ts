// The document of GetObjectAttributes (pitfalls 36, 114).
import t from 'tap'
import {
  ATTRIBUTE_NAMES,
  type AttributeName,
  attributesDocument,
  type ObjectParts,
} from '../../../../src/gateway/xml/documents/object-attributes.ts'
import type { ObjectVersion } from '../../../../src/objects/object-store.ts'

const VERSION: ObjectVersion = {
  headers: {},
  userMetadata: {},
  storageClass: 'STANDARD',
  versionId: 'v',
  modifiedMs: 0,
  bytes: 11,
  etag: 'e2-2',
  checksum: { algorithm: 'XXHASH128', type: 'COMPOSITE', value: 'aGk=-2' },
}
const PAGE = {
  marker: 0,
  maxParts: 1000,
  more: false,
  parts: [
    {
      number: 1,
      bytes: 6,
      etag: 'a',
      modifiedMs: 0,
      checksum: { algorithm: 'XXHASH128', type: 'FULL_OBJECT', value: 'bw==' },
    },
    { number: 2, bytes: 5, etag: 'b', modifiedMs: 0 },
  ],
} satisfies ObjectParts['page']
const PARTS: ObjectParts = { count: 2, page: PAGE }
const ALL = new Set<AttributeName>(ATTRIBUTE_NAMES)

function shown(...given: Parameters<typeof attributesDocument>): string {
  return attributesDocument(...given).replace(/^.*?GetObjectAttributesResponse xmlns="[^"]*">/s, '')
}

t.test('everything: ETag without quotes, COMPOSITE without its count', async (t) => {
  t.equal(
    shown(VERSION, ALL, PARTS),
    '<ETag>e2-2</ETag>' +
      '<Checksum><ChecksumXXHASH128>aGk=</ChecksumXXHASH128>' +
      '<ChecksumType>COMPOSITE</ChecksumType></Checksum>' +
      '<ObjectParts><IsTruncated>false</IsTruncated><MaxParts>1000</MaxParts>' +
      '<NextPartNumberMarker>2</NextPartNumberMarker><PartNumberMarker>0</PartNumberMarker>' +
      '<Part><ChecksumXXHASH128>bw==</ChecksumXXHASH128>' +
      '<PartNumber>1</PartNumber><Size>6</Size></Part>' +
      '<PartsCount>2</PartsCount></ObjectParts>' +
      '<StorageClass>STANDARD</StorageClass><ObjectSize>11</ObjectSize>' +
      '</GetObjectAttributesResponse>',
  )
})

t.test('parts that are not listed are counted; a page past the end goes on at 0', async (t) => {
  const wanted = new Set<AttributeName>(['ObjectParts'])
  t.match(
    shown(VERSION, wanted, { count: 2, page: undefined }),
    /^<ObjectParts><PartsCount>2<\/PartsCount><\/ObjectParts>/,
  )
  t.match(
    shown(VERSION, wanted, { count: 2, page: { ...PAGE, marker: 9, parts: [] } }),
    /<NextPartNumberMarker>0<\/NextPartNumberMarker><PartNumberMarker>9<\/PartNumberMarker><PartsCount>/,
  )
})

t.test('only what is asked for and there is', async (t) => {
  const end = '</GetObjectAttributesResponse>'
  t.equal(shown(VERSION, new Set(['ObjectSize']), undefined), `<ObjectSize>11</ObjectSize>${end}`)
  t.equal(shown(VERSION, new Set(['ObjectParts']), undefined), end, 'not uploaded in parts')
  const { checksum: _, ...plain } = VERSION
  t.equal(shown(plain, new Set(['Checksum']), undefined), end, 'no checksum')
})
