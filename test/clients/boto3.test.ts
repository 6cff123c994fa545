// boto3, unmodified and with its defaults, against a real store over http and https. The checks are in boto3_checks.py.
import t from 'tap'
import { skipWithout } from './commands.ts'
import { SCHEMES, startStore, TEST_MS } from './store.ts'

t.setTimeout(SCHEMES.length * TEST_MS)
for (const scheme of SCHEMES) {
  t.test(
    `boto3 over ${scheme}`,
    { timeout: TEST_MS, skip: skipWithout(['python3']) },
    async (t) => {
      const { environment, scratch } = await startStore(t, scheme)
      const args = ['test/clients/boto3_checks.py', scratch]
      await t.spawn('python3', args, { env: environment, timeout: TEST_MS }, 'boto3_checks.py')
    },
  )
}
