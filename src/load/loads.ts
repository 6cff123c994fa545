// The loads: what is there before, who asks, and what is counted. Sizes and clients are those that peers were measured with.
import { kibibytes, mebibytes } from '../kit/bytes.ts'

/** What a rate is of. */
export type Unit = 'requests' | 'bytes' | 'keys'

/** What `kintsugi bench --loads` calls a load. */
export type LoadName =
  | 'put-4k'
  | 'get-4k'
  | 'head'
  | 'put-10m'
  | 'get-10m'
  | 'ranges-128k'
  | 'ranges-8m'
  | 'list'
  | 'delete'
  | 'multipart'
  | 'mixed'

/** One load. */
export interface Load {
  title: string
  clients: number
  unit: Unit
  /** Objects that are written before time counts. */
  objects: number
  /** Bytes of each object. */
  objectBytes: number
}

const SMALL = { unit: 'requests', objectBytes: kibibytes(4) } as const
const LARGE = { unit: 'bytes', objectBytes: mebibytes(10) } as const

/** All loads, in the order in which they run. */
export const LOADS: { readonly [Name in LoadName]: Load } = {
  'put-4k': { ...SMALL, title: 'PUT 4 KiB', clients: 32, objects: 0 },
  'get-4k': { ...SMALL, title: 'GET 4 KiB', clients: 32, objects: 4_000 },
  head: { ...SMALL, title: 'HEAD', clients: 32, objects: 4_000 },
  'put-10m': { ...LARGE, title: 'PUT 10 MiB', clients: 8, objects: 0 },
  'get-10m': { ...LARGE, title: 'GET 10 MiB', clients: 8, objects: 60 },
  'ranges-128k': {
    ...LARGE,
    title: 'GET ranges of 128 KiB',
    clients: 16,
    unit: 'requests',
    objects: 60,
  },
  'ranges-8m': { ...LARGE, title: 'GET ranges of 8 MiB', clients: 8, objects: 60 },
  list: { title: 'LIST of 10,000 keys', clients: 4, unit: 'keys', objects: 10_000, objectBytes: 1 },
  delete: {
    title: 'DELETE 1,000 per request',
    clients: 4,
    unit: 'keys',
    objects: 20_000,
    objectBytes: 1,
  },
  multipart: {
    title: 'multipart, 8 parts of 8 MiB',
    clients: 4,
    unit: 'bytes',
    objects: 0,
    objectBytes: mebibytes(8),
  },
  mixed: {
    title: 'mixed 64 KiB',
    clients: 16,
    unit: 'bytes',
    objects: 1_000,
    objectBytes: kibibytes(64),
  },
}

/** In the order in which they run. */
export const LOAD_NAMES = Object.keys(LOADS) as LoadName[]

/** Loads by their names, separated by commas; all of them without any. Returns the first word that is none. */
export function parseLoads(text: string | undefined): LoadName[] | string {
  if (text === undefined) return LOAD_NAMES
  const words = text.split(',').map((word) => word.trim())
  return words.find((word) => !Object.hasOwn(LOADS, word)) ?? (words as LoadName[])
}

/** A load by its name; with other clients than usual where they are given. */
export function loadOf(name: LoadName, clients?: number): Load {
  return { ...LOADS[name], ...(clients === undefined ? {} : { clients }) }
}

/** Who wrote an object before time counts. */
export function ownerOf({ objects, clients }: Load, object: number): number {
  return Math.floor(((object + 1) * clients - 1) / objects)
}

/** The numbers of the objects that one of `clients` uses alone or writes before time counts. */
export function ownObjects(
  { objects, clients }: Load,
  client: number,
): { from: number; to: number } {
  const boundary = (at: number): number => Math.floor((objects * at) / clients)
  return { from: boundary(client), to: boundary(client + 1) }
}

/** The key of an object that was written before, in its client's directory. */
export function keyOf(client: number, object: number): string {
  return `${client}/object-${String(object).padStart(8, '0')}`
}
