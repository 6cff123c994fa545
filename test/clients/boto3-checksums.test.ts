// boto3 with checksums wherever it can (its default), and only where it must: what most write who use it with another store than AWS.
import { checkWithPython } from './python.ts'

const boto3 = { script: 'boto3_job.py', module: 'boto3' }
for (const choice of ['when_supported', 'when_required']) {
  checkWithPython({
    ...boto3,
    client: `boto3 with checksums ${choice}`,
    settings: {
      AWS_REQUEST_CHECKSUM_CALCULATION: choice,
      AWS_RESPONSE_CHECKSUM_VALIDATION: choice,
    },
  })
}
