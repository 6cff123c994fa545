// What the admin API is asked about drives: /_kintsugi/v1/drives and the commands below it.
import type { AddDrive, DriveDone, DriveOutcome, DrivesApi } from './admin-api.ts'
import type { Query } from './call.ts'
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
    parameters: ['path', 'weight'],
    run: (api, query) => api.add(parsePlace(query)),
  },
  replace: {
    parameters: ['drive', 'path', 'weight'],
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
  remove: {
    parameters: ['drive'],
    run: (api, query) => api.remove(parseDrive(query)),
  },
}

/** What was done. Throws DriveRefusal. */
export async function runDriveCommand(
  { run }: DriveCommand,
  api: DrivesApi,
  query: Query,
): Promise<DriveDone> {
  const outcome = await run(api, query)
  if (outcome.kind === 'refused') throw new DriveRefusal(outcome.sentence)
  const { kind: _, ...done } = outcome
  return done
}

function parsePlace({ path, weight }: Query): AddDrive {
  if (!path) throw wrongArgument('path', 'is missing')
  if (weight === undefined) return { path }
  if (!/^\d{1,9}$/.test(weight) || Number(weight) < 1)
    throw wrongArgument('weight', 'is not a whole number from 1 on')
  return { path, weight: Number(weight) }
}

function parseDrive({ drive = '' }: Query): number {
  if (!/^\d{1,9}$/.test(drive)) throw wrongArgument('drive', 'is not the number of a drive')
  return Number(drive)
}

function wrongArgument(name: string, why: string): S3Error {
  return new S3Error('InvalidArgument', {}, { message: `The parameter ${name} ${why}.` })
}
