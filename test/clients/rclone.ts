// How rclone is told of a store.
import type { Store } from './store.ts'

/** A remote of rclone, said by its environment. */
export function rcloneRemote(name: string, { endpoint, environment }: Store): NodeJS.ProcessEnv {
  const settings = {
    TYPE: 's3',
    PROVIDER: 'Other',
    ENDPOINT: endpoint,
    REGION: 'us-east-1',
    ACCESS_KEY_ID: environment.AWS_ACCESS_KEY_ID,
    SECRET_ACCESS_KEY: environment.AWS_SECRET_ACCESS_KEY,
  }
  const named = Object.entries(settings).map(([key, value]) => [
    `RCLONE_CONFIG_${name}_${key}`,
    value,
  ])
  return Object.fromEntries([...named, ['RCLONE_CONFIG', '/dev/null']])
}
