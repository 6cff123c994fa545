// The AWS SDK for JavaScript with its defaults, bound to a store: a client under test, and a witness for others.
import { readFileSync } from 'node:fs'
import { Agent } from 'node:https'
import { S3Client } from '@aws-sdk/client-s3'
import type { Store } from './store.ts'

/** Whoever asks for it destroys it. */
export function sdkOf({ endpoint, environment, caFile }: Store): S3Client {
  return new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: {
      accessKeyId: environment.AWS_ACCESS_KEY_ID!,
      secretAccessKey: environment.AWS_SECRET_ACCESS_KEY!,
    },
    ...(caFile ? { requestHandler: { httpsAgent: new Agent({ ca: readFileSync(caFile) }) } } : {}),
  })
}
