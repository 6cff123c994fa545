// smart_open against a real store over http and https. The checks are in smart_open_job.py.
import { checkWithPython } from './python.ts'

checkWithPython({ client: 'smart_open', script: 'smart_open_job.py', module: 'smart_open' })
