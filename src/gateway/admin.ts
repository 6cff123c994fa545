// The admin API on the S3 port: /_kintsugi/v1/ is no bucket, so these requests never become S3 operations.
// Root only, signed as S3 requests are (Authorization header of version 4), answered in JSON.
import { type Address, parseAddress } from './address.ts'
import {
  ADMIN_PREFIX,
  type AdminApi,
  type InspectedObject,
  type InspectRequest,
} from './admin-api.ts'
import {
  DRIVE_COMMANDS,
  DriveRefusal,
  NODE_COMMANDS,
  whatWasDone,
  wrongArgument,
} from './admin-drives.ts'
import type { AuthParts } from './auth/auth-request.ts'
import { authenticateHeader } from './auth/header-v4.ts'
import { ALGORITHM, EMPTY_SHA256 } from './auth/sigv4.ts'
import type { Headers, Query, Reply } from './call.ts'
import type { ClusterApi } from './cluster-api.ts'
import type { ErrorContext } from './error-reply.ts'
import { parseVersionId } from './headers/version-id.ts'
import { S3Error } from './s3-error.ts'

/** A request of the admin API, before anything of it is believed. */
export interface AdminRequest {
  method: string
  address: Address
  headers: Headers
  rawHeaders: Headers
}

/** What an action is given. */
interface AdminCall<Api> {
  api: Api
  query: Query
  signal: AbortSignal
}

type Action<Api> = (call: AdminCall<Api>) => Promise<unknown>

/** One thing that can be asked: its methods, and the parameters that it takes. */
interface AdminResource<Api> {
  parameters: readonly string[]
  methods: Readonly<Record<string, Action<Api>>>
}

type Resources<Api> = ReadonlyMap<string, AdminResource<Api>>

const INSPECT: AdminResource<Pick<AdminApi, 'inspect'>> = {
  parameters: ['bucket', 'key', 'versionId', 'afterPart'],
  methods: { GET: inspect },
}

/** Of a store in one process. */
const RESOURCES: Resources<AdminApi> = new Map<string, AdminResource<AdminApi>>([
  ['status', { parameters: [], methods: { GET: async ({ api }) => api.status() } }],
  [
    'heal',
    {
      parameters: [],
      methods: {
        GET: async ({ api }) => api.healing(),
        POST: async ({ api }) => api.beginHeal(),
      },
    },
  ],
  [
    'orphans/release',
    { parameters: [], methods: { POST: async ({ api }) => api.releaseOrphans() } },
  ],
  ['inspect', INSPECT],
  ...driveResources(),
])

/** Of a cluster, through any gateway. */
const CLUSTER_RESOURCES: Resources<ClusterApi> = new Map<string, AdminResource<ClusterApi>>([
  ['status', { parameters: [], methods: { GET: async ({ api }) => api.clusterStatus() } }],
  ['inspect', INSPECT],
  [
    'heal',
    {
      parameters: [],
      methods: { GET: ({ api }) => api.healing(), POST: ({ api }) => api.beginHeal() },
    },
  ],
  [
    'orphans/release',
    { parameters: [], methods: { POST: async ({ api }) => api.releaseOrphans() } },
  ],
  [
    'map',
    {
      parameters: ['table'],
      methods: { GET: ({ api, query }) => api.map({ withTable: query.table !== undefined }) },
    },
  ],
  ...driveResources(),
  ...Object.entries(NODE_COMMANDS).map(([name, command]): [string, AdminResource<ClusterApi>] => [
    `nodes/${name}`,
    {
      parameters: command.parameters,
      methods: { POST: async ({ api, query }) => whatWasDone(await command.run(api.nodes, query)) },
    },
  ]),
])

function driveResources(): [string, AdminResource<Pick<AdminApi, 'drives'>>][] {
  const list: Action<Pick<AdminApi, 'drives'>> = async ({ api }) => api.drives.list()
  return [
    ['drives', { parameters: [], methods: { GET: list } }],
    ...Object.entries(DRIVE_COMMANDS).map(
      ([name, command]): [string, AdminResource<Pick<AdminApi, 'drives'>>] => [
        `drives/${name}`,
        {
          parameters: command.parameters,
          methods: {
            POST: async ({ api, query }) => whatWasDone(await command.run(api.drives, query)),
          },
        },
      ],
    ),
  ]
}

/** The address of an admin request; undefined for what is S3's. A bucket in the Host makes any path a key. */
export function findAdminAddress(
  url: string,
  host: string | undefined,
  domains: readonly string[],
): Address | undefined {
  if (!url.startsWith(ADMIN_PREFIX)) return undefined
  const address = parseAddress(url, host, domains)
  return address.virtualHost ? undefined : address
}

/** The access key of the root who signed this. Throws S3Error for everybody else. */
export function authenticateAdmin(request: AdminRequest, parts: AuthParts): string {
  if (!request.headers.authorization?.startsWith(`${ALGORITHM} `)) throw new S3Error('AccessDenied')
  const { identity } = authenticateHeader(request, parts)
  if (identity.kind !== 'root') throw new S3Error('AccessDenied')
  refuseBody(request.headers)
  return identity.accessKeyId
}

/** No request of this API has a body: all it says is signed with its head. */
function refuseBody(headers: Headers): void {
  const isEmpty = (headers['content-length'] ?? '0') === '0'
  const isFramed = headers['transfer-encoding'] !== undefined
  if (isEmpty && !isFramed && headers['x-amz-content-sha256'] === EMPTY_SHA256) return
  throw new S3Error('UnexpectedContent')
}

/** Does what the root asks. */
export function runAdmin(
  request: AdminRequest,
  api: AdminApi | ClusterApi,
  signal: AbortSignal,
): Promise<Reply> {
  return 'clusterStatus' in api
    ? runIn(CLUSTER_RESOURCES, request, { api, signal })
    : runIn(RESOURCES, request, { api, signal })
}

async function runIn<Api>(
  resources: Resources<Api>,
  { method, address }: AdminRequest,
  { api, signal }: { api: Api; signal: AbortSignal },
): Promise<Reply> {
  const resource = resources.get(nameIn(address))
  if (resource === undefined) return replyUnknown(address)
  const action = Object.hasOwn(resource.methods, method) ? resource.methods[method] : undefined
  if (action === undefined) {
    const allow = Object.keys(resource.methods).join(', ')
    throw new S3Error('MethodNotAllowed', {}, { headers: { allow } })
  }
  const unknown = address.pairs.find(([name]) => !resource.parameters.includes(name))
  if (unknown !== undefined) throw wrongArgument(unknown[0], 'is not known here')
  try {
    return jsonReply(200, await action({ api, query: address.query, signal }))
  } catch (error) {
    if (!(error instanceof DriveRefusal)) throw error
    return refusalReply(error)
  }
}

function nameIn({ rawPath }: Address): string {
  return rawPath.slice(ADMIN_PREFIX.length)
}

/** Of what only clusters have, a store on one machine says so. Throws S3Error for what nobody has. */
function replyUnknown(address: Address): Reply {
  if (CLUSTER_RESOURCES.has(nameIn(address))) return refusalReply(new DriveRefusal(NO_NODES))
  throw new S3Error('InvalidURI', {}, { message: `There is no ${address.rawPath}.` })
}

const NO_NODES = 'this store is on one machine and has no nodes: see kintsugi drive list.'

function refusalReply({ code, message }: DriveRefusal): Reply {
  return jsonReply(409, { error: { code, message } })
}

/** The reply for what was thrown, in JSON. */
export function adminErrorReply(error: S3Error, { method, requestId }: ErrorContext): Reply {
  const { code, message, status, headers } = error
  const reply = jsonReply(status, { error: { code, message, requestId } })
  return method === 'HEAD'
    ? { status, headers: { ...headers } }
    : { ...reply, headers: { ...headers, ...reply.headers } }
}

function jsonReply(status: number, value: unknown): Reply {
  return {
    status,
    headers: { 'content-type': 'application/json' },
    body: { kind: 'text', text: `${JSON.stringify(value)}\n` },
  }
}

async function inspect({
  api,
  query,
  signal,
}: AdminCall<Pick<AdminApi, 'inspect'>>): Promise<InspectedObject> {
  const outcome = await api.inspect(parseInspect(query), signal)
  switch (outcome.kind) {
    case 'inspected':
      return outcome.object
    case 'no-bucket':
      throw new S3Error('NoSuchBucket')
    case 'no-key':
      throw new S3Error('NoSuchKey')
    default:
      throw new S3Error('NoSuchVersion')
  }
}

function parseInspect({ bucket, key, versionId, afterPart = '0' }: Query): InspectRequest {
  if (!bucket) throw wrongArgument('bucket', 'is missing')
  if (!key) throw wrongArgument('key', 'is missing')
  if (!/^\d{1,5}$/.test(afterPart)) throw wrongArgument('afterPart', 'is not the number of a part')
  const asked = parseVersionId(versionId)
  if (asked.kind === 'unknown') throw new S3Error('NoSuchVersion')
  const named = asked.kind === 'named' ? { versionId: asked.versionId } : {}
  return { bucket, key, afterPart: Number(afterPart), ...named }
}
