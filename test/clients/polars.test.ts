// polars against a real store over http and https. The checks are in polars_job.py.
import { checkWithPython } from './python.ts'

checkWithPython({ client: 'polars', script: 'polars_job.py', module: 'polars' })
