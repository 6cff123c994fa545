// s3fs against a real store over http and https. The checks are in s3fs_job.py.
import { checkWithPython } from './python.ts'

checkWithPython({ client: 's3fs', script: 's3fs_job.py', module: 's3fs', venv: '.venv-s3fs' })
