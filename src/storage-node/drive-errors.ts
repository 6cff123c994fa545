// What an error of a disk says: that the drive is bad or gone, that it has no room, or that the call was wrong.
import { DriveUnavailable, isFull } from '../kit/drive-unavailable.ts'
import { Overloaded } from '../kit/semaphore.ts'
import { isMissing } from '../kit/world.ts'

/** A drive that failed because another directory or none is where it was: it may come back as it is. */
export class DriveGone extends Error {
  override readonly name = 'DriveGone'
  readonly code = 'DRIVE_GONE'
}

// Errors that say that the device or its file system is bad or gone, rather than that a call was wrong.
const FATAL = new Set([
  'EIO',
  'EROFS',
  'ENODEV',
  'ENXIO',
  'ESTALE',
  'EBADMSG',
  'EUCLEAN',
  'ENOTCONN',
  'ESHUTDOWN',
  'EREMOTEIO',
  'ENOMEDIUM',
])

/** Whether `error` means that the device is bad or gone. */
export function saysDeviceIsBad(error: unknown): boolean {
  return FATAL.has(codeOf(error))
}

/** Whether a read or write met a bad sector. A sync that says so is another matter: what it lost is lost. */
export function isMediumError(error: unknown): boolean {
  return codeOf(error) === 'EIO'
}

// Where a directory of ours became somebody else's, or may not be changed any more.
const DENIED = new Set(['EACCES', 'EPERM'])

/** Whether a directory that a drive makes its files in is gone, or takes none any more: nothing can be written there. */
export function saysDirectoryIsLost(error: unknown): boolean {
  return isMissing(error) || DENIED.has(codeOf(error))
}

/** Whether a call of the system had no room. */
export function lacksRoom(error: unknown): boolean {
  const code = codeOf(error)
  return code === 'ENOSPC' || code === 'EDQUOT'
}

// A file that was closed meanwhile, and what a file system says that does not take such writes.
const OF_THE_CALL = new Set(['EBADF', 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP'])

/** Whether the device has nothing to do with an error of a write. What is no error of a system call has no code that is one of its. */
export function isOfTheCall(error: unknown): boolean {
  const { code } = (error ?? {}) as NodeJS.ErrnoException
  return typeof code !== 'string' || code.startsWith('ERR_') || OF_THE_CALL.has(code)
}

/** Whether the system had no memory for a call. */
export function saysNoMemory(error: unknown): boolean {
  const code = codeOf(error)
  return code === 'ENOMEM' || code === 'EAGAIN'
}

const NO_HANDLES = new Set(['EMFILE', 'ENFILE'])

/** Whether the process, or the whole system, had too many files open for something: LevelDB says so only in the text of its errors. */
export function saysNoHandles(error: unknown): boolean {
  return NO_HANDLES.has(codeOf(error)) || /Too many open files/i.test(textOfLevel(error))
}

/** Whether something was refused for want of room, memory, handles or a place in a queue: the drive is as good as before, and may do it later. */
export function mayPass(error: unknown): boolean {
  const lacks = isFull(error) || saysNoMemory(error) || saysNoHandles(error)
  return lacks || error instanceof Overloaded
}

/** Whether something was not read at all, for the drive fails, is closed or has too much to do: that says nothing of what would have been read. */
export function wasNotRead(error: unknown): boolean {
  return error instanceof DriveUnavailable || error instanceof Overloaded
}

/** Whether there was no room for something: LevelDB says so only in the text of its errors. */
export function saysNoSpace(error: unknown): boolean {
  if (lacksRoom(error) || isFull(error)) return true
  return /No space left|quota exceeded/i.test(textOfLevel(error))
}

/** What LevelDB says, and what it says the cause is; nothing of other errors. */
function textOfLevel(error: unknown): string {
  const { code, message, cause } = (error ?? {}) as NodeJS.ErrnoException & { cause?: unknown }
  if (typeof code !== 'string' || !code.startsWith('LEVEL_')) return ''
  return `${message} ${(cause as Error | undefined)?.message}`
}

function codeOf(error: unknown): string {
  return (error as { code?: string } | undefined)?.code ?? ''
}
