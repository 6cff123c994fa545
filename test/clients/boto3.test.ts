// boto3, unmodified and with its defaults, against a real store over http and https. The checks are in boto3_checks.py.
import { checkWithPython } from './python.ts'

checkWithPython({ client: 'boto3', script: 'boto3_checks.py', module: 'boto3' })
