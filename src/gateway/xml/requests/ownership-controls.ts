// The body of PutBucketOwnershipControls.
import { S3Error } from '../../s3-error.ts'
import { childrenOf, malformed, readXml, refuseOthers, textOf } from '../read.ts'

/** Returns when it asks for what is so anyway: ACLs are disabled, and who owns the bucket owns all that is in it. */
export function readOwnershipControls(text: string): void {
  const controls = readXml(text, 'OwnershipControls')
  refuseOthers(controls, ['Rule'])
  const [rule, second] = childrenOf(controls, 'Rule')
  if (!rule || second) throw malformed()
  refuseOthers(rule, ['ObjectOwnership'])
  switch (textOf(rule, 'ObjectOwnership')?.trim()) {
    case 'BucketOwnerEnforced':
      return
    case 'BucketOwnerPreferred':
    case 'ObjectWriter':
      throw new S3Error(
        'NotImplemented',
        { AdditionalMessage: 'ObjectOwnership' },
        { message: 'ACLs are disabled: only BucketOwnerEnforced is implemented.' },
      )
    default:
      throw malformed()
  }
}
