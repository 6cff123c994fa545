// etcd as a process of a cluster reaches it: what the configuration says, with the certificates read from their files.
import type { EtcdAccess, TlsFiles } from '../config-etcd.ts'
import { Exit } from '../exit.ts'
import type { ClientTls } from '../kit/http-exchange.ts'
import type { World } from '../kit/world.ts'
import { EtcdClient } from '../placement/etcd/etcd-client.ts'

/** Of a command, for which somebody waits: an answer that comes late is better than none. */
const COMMAND_MS = 15_000

/** Throws Exit when a certificate can not be read. Asks etcd nothing yet. */
export async function openEtcd(
  { endpoints, tls, user }: EtcdAccess & { endpoints: readonly string[] },
  world: Pick<World, 'disk' | 'http'>,
  options: { timeoutMs?: number } = {},
): Promise<EtcdClient> {
  const certificates = tls && (await readTlsFiles(tls, world))
  const who = { ...(certificates ? { tls: certificates } : {}), ...(user ? { user } : {}) }
  return new EtcdClient({ endpoints, ...who, ...options }, world)
}

/** As openEtcd(), for a command that is run once. */
export async function openEtcdForCommand(
  access: Parameters<typeof openEtcd>[0],
  world: Pick<World, 'disk' | 'http'>,
): Promise<EtcdClient> {
  return await openEtcd(access, world, { timeoutMs: COMMAND_MS })
}

/** The files of one side. Throws Exit that names the file. */
export async function readTlsFiles<Files extends TlsFiles>(
  files: Files,
  { disk }: Pick<World, 'disk'>,
): Promise<{ [Name in keyof Files]: string }> {
  const texts: ClientTls = {}
  for (const name of ['ca', 'cert', 'key'] as const) {
    const path = files[name]
    if (path === undefined) continue
    try {
      texts[name] = Buffer.from(await disk.readFile(path)).toString('utf8')
    } catch (error) {
      throw new Exit(2, `${path} can not be read: ${(error as Error).message}`, { cause: error })
    }
  }
  return texts as { [Name in keyof Files]: string }
}
