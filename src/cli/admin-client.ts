// Asks a running store: signs requests of the admin API as S3 requests are signed, and reads the JSON that comes.
import { processEnvironment } from '../config.ts'
import { Exit } from '../exit.ts'
import {
  ADMIN_PREFIX,
  type AddDrive,
  type DrainDrive,
  type DriveDone,
  type DriveList,
  type HealBegun,
  type HealingStatus,
  type InspectedObject,
  type InspectRequest,
  type OrphansReleased,
  type ReplaceDrive,
  type StoreStatus,
  type WeighDrive,
} from '../gateway/admin-api.ts'
import {
  authorizationHeader,
  canonicalQuery,
  EMPTY_SHA256,
  signingKey,
} from '../gateway/auth/sigv4.ts'
import { formatBasicTime } from '../gateway/auth/times.ts'
import type { ClusterStatus, DrainNode, MapView, NodeDone } from '../gateway/cluster-api.ts'
import { mebibytes } from '../kit/bytes.ts'
import type { HttpAnswer, HttpRequest, World } from '../kit/world.ts'
import { type AdminCredentials, findCredentials } from './admin-credentials.ts'

/** Any region is accepted unless the store was started with --strict-region, and then it is usually this. */
const REGION = 'us-east-1'

/** A look at one part of an object reads all its shards: gigabytes. */
const ANSWER_MS = 15 * 60_000

const ANSWER_BYTES_MAX = mebibytes(16)

/** Options that every command of the admin API has. */
export interface AdminOptions {
  endpoint: string
  region?: string
  json?: boolean
}

/** Nothing answers there, or who does says that the store is not ready: it may be starting. */
export class NoAnswer extends Exit {
  constructor(sentence: string, options?: { cause?: unknown }) {
    super(1, sentence, options)
  }
}

/** Bad gateway, service unavailable, gateway timeout. */
const NOT_READY: ReadonlySet<number> = new Set([502, 503, 504])

/** One request before it is signed. */
export interface AdminAsked {
  method: 'GET' | 'POST'
  /** `status`, `heal`, `orphans/release`, `inspect`, `drives` or a command about them, `drives/add`. */
  resource: string
  query?: Readonly<Record<string, string>>
}

/** A running store. */
export interface AdminClient {
  status(): Promise<StoreStatus | ClusterStatus>
  healing(): Promise<HealingStatus>
  beginHeal(): Promise<HealBegun>
  releaseOrphans(): Promise<OrphansReleased>
  inspect(request: InspectRequest): Promise<InspectedObject>
  listDrives(): Promise<DriveList>
  addDrive(request: AddDrive): Promise<DriveDone>
  replaceDrive(request: ReplaceDrive): Promise<DriveDone>
  drainDrive(request: DrainDrive): Promise<DriveDone>
  weighDrive(request: WeighDrive): Promise<DriveDone>
  removeDrive(driveId: number): Promise<DriveDone>
  /** Of clusters only, as what follows. */
  map(options: { withTable: boolean }): Promise<MapView>
  drainNode(request: DrainNode): Promise<NodeDone>
  removeNode(nodeId: string): Promise<NodeDone>
}

/** A client with the credentials of the environment. Throws Exit. */
export async function openAdminClient(
  options: AdminOptions,
  world: Pick<World, 'clock' | 'disk' | 'http'>,
): Promise<AdminClient> {
  const origin = parseEndpoint(options.endpoint)
  const credentials = await findCredentials(processEnvironment(), world)
  const ask = async (asked: AdminAsked): Promise<unknown> => {
    const nowMs = world.clock.now()
    const region = options.region ?? REGION
    return await send(signRequest(asked, { origin, credentials, region, nowMs }), origin, world)
  }
  return {
    status: async () =>
      (await ask({ method: 'GET', resource: 'status' })) as StoreStatus | ClusterStatus,
    healing: async () => (await ask({ method: 'GET', resource: 'heal' })) as HealingStatus,
    beginHeal: async () => (await ask({ method: 'POST', resource: 'heal' })) as HealBegun,
    releaseOrphans: async () =>
      (await ask({ method: 'POST', resource: 'orphans/release' })) as OrphansReleased,
    inspect: async ({ bucket, key, versionId, afterPart }) => {
      const named = versionId === undefined ? {} : { versionId }
      const query = { bucket, key, afterPart: String(afterPart), ...named }
      return (await ask({ method: 'GET', resource: 'inspect', query })) as InspectedObject
    },
    listDrives: async () => (await ask({ method: 'GET', resource: 'drives' })) as DriveList,
    ...driveCommands(async (command, query) => {
      const resource = `drives/${command}`
      return (await ask({ method: 'POST', resource, query })) as DriveDone
    }),
    map: async ({ withTable }) => {
      const query: Record<string, string> = withTable ? { table: '' } : {}
      return (await ask({ method: 'GET', resource: 'map', query })) as MapView
    },
    drainNode: async ({ nodeId, isCancelled, reEncode, isLost }) => {
      const lost = isLost ? { lost: '' } : {}
      const query = { node: nodeId, ...drainQuery({ isCancelled, reEncode }), ...lost }
      return (await ask({ method: 'POST', resource: 'nodes/drain', query })) as NodeDone
    },
    removeNode: async (node) => {
      const asked = { method: 'POST', resource: 'nodes/remove', query: { node } } as const
      return (await ask(asked)) as NodeDone
    },
  }
}

function driveCommands(
  run: (command: string, query: Record<string, string>) => Promise<DriveDone>,
): Pick<AdminClient, 'addDrive' | 'replaceDrive' | 'drainDrive' | 'weighDrive' | 'removeDrive'> {
  return {
    addDrive: (place) => run('add', placeQuery(place)),
    replaceDrive: ({ driveId, ...place }) =>
      run('replace', { drive: String(driveId), ...placeQuery(place) }),
    drainDrive: ({ driveId, ...how }) =>
      run('drain', { drive: String(driveId), ...drainQuery(how) }),
    weighDrive: ({ driveId, weight }) =>
      run('weight', { drive: String(driveId), weight: String(weight) }),
    removeDrive: (driveId) => run('remove', { drive: String(driveId) }),
  }
}

function placeQuery({ path, weight, nodeId }: AddDrive): Record<string, string> {
  return {
    path,
    ...(weight === undefined ? {} : { weight: String(weight) }),
    ...(nodeId === undefined ? {} : { node: nodeId }),
  }
}

function drainQuery({
  isCancelled,
  reEncode,
}: Pick<DrainDrive, 'isCancelled' | 'reEncode'>): Record<string, string> {
  return { ...(isCancelled ? { cancel: '' } : {}), ...(reEncode ? { 're-encode': '' } : {}) }
}

/** Scheme, host and port of an endpoint. Throws Exit for anything else. */
export function parseEndpoint(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isOrigin = url !== undefined && url.pathname === '/' && url.search === '' && !url.username
  if (isOrigin && /^https?:$/.test(url.protocol)) return url
  throw new Exit(2, `--endpoint ${text} is not of the form http://HOST:PORT.`)
}

/** What a request is signed with. */
export interface Signer {
  origin: URL
  credentials: AdminCredentials
  region: string
  nowMs: number
}

/** The request, signed by its Authorization header. */
export function signRequest(
  { method, resource, query = {} }: AdminAsked,
  { origin, credentials, region, nowMs }: Signer,
): HttpRequest {
  const path = `${ADMIN_PREFIX}${resource}`
  const time = formatBasicTime(nowMs)
  const scope = { date: time.slice(0, 8), region, service: 's3' }
  const headers = [
    ['host', origin.host],
    ['x-amz-content-sha256', EMPTY_SHA256],
    ['x-amz-date', time],
  ] as const
  const sorted = canonicalQuery(Object.entries(query))
  const parts = { method, path, query: sorted, headers, payloadHash: EMPTY_SHA256 }
  const { accessKeyId, secretAccessKey } = credentials
  const key = signingKey(secretAccessKey, scope)
  return {
    method,
    url: `${origin.origin}${path}${sorted === '' ? '' : `?${sorted}`}`,
    headers: {
      ...Object.fromEntries(headers.slice(1)),
      authorization: authorizationHeader(parts, { accessKeyId, key, scope, time }),
    },
    timeoutMs: ANSWER_MS,
    maxBytes: ANSWER_BYTES_MAX,
  }
}

async function send(
  request: HttpRequest,
  { origin }: URL,
  { http }: Pick<World, 'http'>,
): Promise<unknown> {
  let answer: HttpAnswer
  try {
    answer = await http.send(request)
  } catch (error) {
    const { message, code } = innermost(error)
    const why = speaksNoTls(code) ? 'does it serve https?' : message
    throw new NoAnswer(`no answer from ${origin}: ${why}`, { cause: error })
  }
  const value = parseJson(answer.text)
  if (answer.status === 200 && value !== undefined) return value
  const { message, code } = (value as { error?: { message?: string; code?: string } })?.error ?? {}
  // The store refuses in a sentence that needs no more.
  if (code === 'DriveRefused' && message !== undefined) throw new Exit(1, message)
  const why = message === undefined ? 'is it a Kintsugi store?' : `${message} (${code})`
  const sentence = `${origin} answered ${answer.status}: ${why}`
  throw NOT_READY.has(answer.status) ? new NoAnswer(sentence) : new Exit(1, sentence)
}

/** Undefined for what is no JSON: another server listens there. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // Said by who asked, with the status.
  }
}

/** fetch only says that it failed: why is in its cause. */
function innermost(error: unknown): NodeJS.ErrnoException {
  const { cause } = error as { cause?: unknown }
  return cause === undefined ? (error as Error) : innermost(cause)
}

/** What came was no TLS: Node says it by one code or the other. */
function speaksNoTls(code = ''): boolean {
  return ['EPROTO', 'ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG'].includes(code)
}
