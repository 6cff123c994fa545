// pyarrow against a real store over http and https. The checks are in pyarrow_job.py.
import { checkWithPython } from './python.ts'

checkWithPython({ client: 'pyarrow', script: 'pyarrow_job.py', module: 'pyarrow' })
