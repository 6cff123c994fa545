// What nodes say of their drives, as bytes and back; what is none of it is refused.
import t from 'tap'
import {
  type DriveEntered,
  type DrivesOfNode,
  decodeDriveEntered,
  decodeDrivesOfNode,
  decodeEnterDrive,
  type EnterDrive,
  encodeDriveEntered,
  encodeDrivesOfNode,
  encodeEnterDrive,
} from '../../../../src/storage-node/rpc/drive-messages.ts'
import { BadMessage } from '../../../../src/storage-node/rpc/trouble.ts'

const DRIVES: DrivesOfNode = {
  epoch: 2 ** 40,
  drives: [
    { driveId: 1, path: '/a', freeBytes: 5, totalBytes: 10, level: 'near-full' },
    { driveId: 2, path: '/b', failure: 'EIO' },
  ],
  leaving: [
    { driveId: 3, blobs: 7, oldCopies: 0 },
    { driveId: 4, oldCopies: 2 },
  ],
  moves: { phase: 'moving', movedShards: 1, movedBytes: 2, anewBlobs: 0, bytesPerSecond: 1.5 },
  counts: [{ driveId: 3, closedEpoch: 2 ** 40, partition: 5, epoch: 9, rows: 0 }],
}

t.test('what is said comes back', async (t) => {
  t.same(decodeDrivesOfNode(encodeDrivesOfNode(DRIVES)), DRIVES)
  const asked: EnterDrive[] = [
    { kind: 'add', path: '/mnt/ä' },
    { kind: 'replace', driveId: 3, path: '/mnt/b', weight: 100 },
  ]
  for (const one of asked) t.same(decodeEnterDrive(encodeEnterDrive(one)), one)
  const entered: DriveEntered[] = [
    { kind: 'done', driveId: 8, sentence: 'it is.', warnings: ['hm'] },
    { kind: 'refused', sentence: 'no.' },
  ]
  for (const one of entered) t.same(decodeDriveEntered(encodeDriveEntered(one)), one)
})

t.test('what is none of it is refused', async (t) => {
  for (const text of [
    '',
    '{',
    '[]',
    '{"kind":"drop"}',
    '{"kind":"add"}',
    '{"kind":"add","path":1}',
  ])
    t.throws(() => decodeEnterDrive(Buffer.from(text)), BadMessage, text)
  const more = Buffer.from('{"kind":"add","path":"/a","force":true}')
  t.throws(() => decodeEnterDrive(more), BadMessage, 'a request must not be half understood')
  const later = { ...DRIVES, another: 1 }
  t.same(decodeDrivesOfNode(Buffer.from(JSON.stringify(later))), DRIVES, 'an answer may say more')
  const odd = { ...DRIVES, counts: [{ ...DRIVES.counts[0], rows: -1 }] }
  t.throws(() => decodeDrivesOfNode(Buffer.from(JSON.stringify(odd))), BadMessage)
})
