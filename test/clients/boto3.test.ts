// boto3, unmodified and with its defaults, against a real store over http and https. The checks are in boto3_checks.py.
import t from 'tap'
import { skipWithout } from './commands.ts'
import { SCHEMES, startStore } from './store.ts'

for (const scheme of SCHEMES) {
  t.test(`boto3 over ${scheme}`, { skip: skipWithout(['python3']) }, async (t) => {
    const { environment, scratch } = await startStore(t, scheme)
    const args = ['test/clients/boto3_checks.py', scratch]
    await t.spawn('python3', args, { env: environment }, 'boto3_checks.py')
  })
}
