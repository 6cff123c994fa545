// What the admin API is asked about drives and nodes: /_kintsugi/v1/drives, nodes, and the commands below them.
import type { AddDrive, DriveOutcome, DrivesApi } from './admin-api.ts'
import type { Query } from './call.ts'
import type { NodeOutcome, NodesApi } from './cluster-api.ts'
import { S3Error } from './s3-error.ts'

/** Thrown for what the store will not do with its drives; the message is for people. */
export class DriveRefusal extends Error {
  override readonly name = 'DriveRefusal'
  readonly code = 'DriveRefused'
}

/** One command: the parameters that it takes, and what it does. */
export interface DriveCommand {
  parameters: readonly string[]
  run(api: DrivesApi, query: Query): Promise<DriveOutcome>
}

/** The commands by the last part of their path; all of them are POST. */
export const DRIVE_COMMANDS: Readonly<Record<string, DriveCommand>> = {
  add: {
    parameters: ['path', 'weight', 'node'],
    run: (api, query) => api.add(parsePlace(query)),
  },
  replace: {
    parameters: ['drive', 'path', 'weight', 'node'],
    run: (api, query) => api.replace({ driveId: parseDrive(query), ...parsePlace(query) }),
  },
  drain: {
    parameters: ['drive', 'cancel', 're-encode'],
    run: (api, query) =>
      api.drain({
        driveId: parseDrive(query),
        isCancelled: query.cancel !== undefined,
        reEncode: query['re-encode'] !== undefined,
      }),
  },
  weight: {
    parameters: ['drive', 'weight'],
    run: (api, query) => {
      const weight = parseWeight(query)
      if (weight === undefined) throw wrongArgument('weight', 'is missing')
      return api.weigh({ driveId: parseDrive(query), weight })
    },
  },
  remove: {
    parameters: ['drive'],
    run: (api, query) => api.remove(parseDrive(query)),
  },
}

/** One command about a node. */
export interface NodeCommand {
  parameters: readonly string[]
  run(api: NodesApi, query: Query): Promise<NodeOutcome>
}

/** The commands about nodes by the last part of their path; all of them are POST. */
export const NODE_COMMANDS: Readonly<Record<string, NodeCommand>> = {
  drain: {
    parameters: ['node', 'cancel', 're-encode', 'lost'],
    run: (api, query) =>
      api.drain({
        nodeId: parseNode(query),
        isCancelled: query.cancel !== undefined,
        reEncode: query['re-encode'] !== undefined,
        isLost: query.lost !== undefined,
      }),
  },
  remove: {
    parameters: ['node'],
    run: (api, query) => api.remove(parseNode(query)),
  },
}

/** What was done. Throws DriveRefusal. */
export function whatWasDone<Done>(
  outcome: ({ kind: 'done' } & Done) | { kind: 'refused'; sentence: string },
): Omit<{ kind: 'done' } & Done, 'kind'> {
  if (outcome.kind === 'refused') throw new DriveRefusal(outcome.sentence)
  const { kind: _, ...done } = outcome
  return done
}

function parsePlace(query: Query): AddDrive {
  const { path } = query
  if (!path) throw wrongArgument('path', 'is missing')
  const weight = parseWeight(query)
  return {
    path,
    ...(weight === undefined ? {} : { weight }),
    ...(query.node === undefined ? {} : { nodeId: parseNode(query) }),
  }
}

function parseWeight({ weight }: Query): number | undefined {
  if (weight === undefined) return undefined
  if (!/^\d{1,9}$/.test(weight) || Number(weight) < 1)
    throw wrongArgument('weight', 'is not a whole number from 1 on')
  return Number(weight)
}

function parseNode({ node = '' }: Query): string {
  if (!/^[0-9a-f]{16}$/.test(node)) throw wrongArgument('node', 'is not the id of a node')
  return node
}

function parseDrive({ drive = '' }: Query): number {
  if (!/^\d{1,9}$/.test(drive)) throw wrongArgument('drive', 'is not the number of a drive')
  return Number(drive)
}

/** What is said of a parameter: `why` goes on after its name. */
export function wrongArgument(name: string, why: string): S3Error {
  return new S3Error('InvalidArgument', {}, { message: `The parameter ${name} ${why}.` })
}
