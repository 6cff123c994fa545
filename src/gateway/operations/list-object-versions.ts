// GET bucket?versions, where buckets are never versioned: every object is its own latest version, called null.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
import type { Call, Reply } from '../call.ts'
import { invalidArgument, parseCount, parseListParameters } from '../headers/list-parameters.ts'
import { parseVersionId } from '../headers/version-id.ts'
import { xmlReply } from '../reply.ts'
import { listVersionsDocument } from '../xml/documents/list-versions.ts'
import { findBucket } from './steps/find-bucket.ts'
import { listPage } from './steps/list-page.ts'

export async function listObjectVersions(call: Call): Promise<Reply> {
  const { query } = call
  const bucket = findBucket(call)
  const { prefix, delimiter, encoding } = parseListParameters(query)
  const maxKeys = parseCount(query, 'max-keys')
  const keyMarker = query['key-marker'] ?? ''
  const versionIdMarker = parseVersionIdMarker(query['version-id-marker'] ?? '', keyMarker)
  const page = await listPage(call, { bucket, prefix, delimiter, after: keyMarker, limit: maxKeys })
  const lastIsKey = page.entries.at(-1)?.kind === 'entry'
  return xmlReply(
    listVersionsDocument({
      bucket: bucket.name,
      prefix,
      delimiter,
      encoding,
      maxKeys,
      keyMarker,
      versionIdMarker,
      next:
        page.last === undefined
          ? undefined
          : { keyMarker: page.last, versionIdMarker: lastIsKey ? 'null' : '' },
      entries: page.entries,
    }),
  )
}

function parseVersionIdMarker(marker: string, keyMarker: string): string {
  if (marker === '') return ''
  if (keyMarker === '')
    throw invalidArgument(
      'version-id-marker',
      marker,
      'A version-id marker cannot be specified without a key marker.',
    )
  parseVersionId(marker)
  return marker
}
