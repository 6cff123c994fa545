// The body of PutBucketVersioning.
import { S3Error } from '../../s3-error.ts'
import { malformed, readXml, refuseOthers, textOf } from '../read.ts'

/** What the bucket is to do from now on. Deletes that need a second factor are refused. */
export function readVersioning(text: string): 'enabled' | 'suspended' {
  const configuration = readXml(text, 'VersioningConfiguration')
  refuseOthers(configuration, ['Status', 'MfaDelete'])
  refuseMfaDelete(textOf(configuration, 'MfaDelete')?.trim())
  switch (textOf(configuration, 'Status')?.trim()) {
    case 'Enabled':
      return 'enabled'
    case 'Suspended':
      return 'suspended'
    case undefined:
      throw new S3Error('IllegalVersioningConfigurationException')
    default:
      throw malformed()
  }
}

function refuseMfaDelete(asked: string | undefined): void {
  if (asked === undefined || asked === 'Disabled') return
  if (asked !== 'Enabled') throw malformed()
  throw new S3Error(
    'NotImplemented',
    { AdditionalMessage: 'MfaDelete' },
    { message: 'MFA delete is not implemented.' },
  )
}
