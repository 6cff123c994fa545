// How options are read, whichever command they are of: a table of them, the command line, the environment, a file, and
// readers of numbers, switches and the like that say what would be right.
import { parse as parseToml, TomlError } from 'smol-toml'
import type { ErasureCode } from './kit/erasure-code.ts'
import { LOG_LEVELS, type LogLevel } from './kit/log-levels.ts'

/** One option: the table that the command line, the environment and the file share. */
export interface OptionSpec {
  name: string
  /** What stands for the value in `--help`; absent for a switch. */
  value?: string
  /** May be given several times; comma-separated in the environment, an array in the file. */
  repeatable?: boolean
  fallback?: string
  /** Neither the environment nor a file gives it: it is for one run, and somebody is to have typed it. */
  isTyped?: true
  help: string
}

/** Something is wrong with what the user wrote: exit code 2, one sentence. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/** Text of an option: one string, or several for a repeatable one. */
export type Settings = Record<string, string[] | undefined>

/** Where the settings come from. */
export interface ConfigSources {
  directories: readonly string[]
  /** As given on the command line: option names without dashes in front. */
  options: Record<string, string | string[] | boolean | undefined>
  environment: Record<string, string | undefined>
  readFile: (path: string) => Promise<string>
}

/** Option beats environment beats file beats default. Throws ConfigError. */
export async function composeSettings(
  specs: readonly OptionSpec[],
  sources: ConfigSources,
): Promise<Settings> {
  const fromOptions = settingsFromOptions(specs, sources.options)
  const fromEnvironment = settingsFromEnvironment(specs, sources.environment)
  const path = fromOptions.config?.[0] ?? fromEnvironment.config?.[0]
  const fromFile = path === undefined ? {} : await settingsFromFile(specs, path, sources.readFile)
  const settings: Settings = {}
  for (const { name, fallback } of specs) {
    settings[name] = fromOptions[name] ?? fromEnvironment[name] ?? fromFile[name] ?? only(fallback)
  }
  return settings
}

function only(text: string | undefined): string[] | undefined {
  return text === undefined ? undefined : [text]
}

function settingsFromOptions(
  specs: readonly OptionSpec[],
  options: ConfigSources['options'],
): Settings {
  const settings: Settings = {}
  for (const { name, repeatable } of specs) {
    const given = options[name]
    if (given === undefined || given === false) continue
    settings[name] = given === true ? ['true'] : splitted([given].flat(), repeatable)
  }
  return settings
}

function settingsFromEnvironment(
  specs: readonly OptionSpec[],
  environment: ConfigSources['environment'],
): Settings {
  const settings: Settings = {}
  for (const { name, repeatable, isTyped } of specs) {
    if (isTyped) continue
    const given = environment[environmentName(name)]
    if (given !== undefined && given !== '') settings[name] = splitted([given], repeatable)
  }
  return settings
}

/** `--a-b` as KINTSUGI_A_B. */
export function environmentName(option: string): string {
  return `KINTSUGI_${option.replaceAll('-', '_').toUpperCase()}`
}

function splitted(texts: readonly string[], repeatable = false): string[] {
  if (!repeatable) return [...texts]
  return texts
    .flatMap((text) => text.split(','))
    .map((text) => text.trim())
    .filter(Boolean)
}

async function settingsFromFile(
  specs: readonly OptionSpec[],
  path: string,
  readFile: ConfigSources['readFile'],
): Promise<Settings> {
  const table = parseConfigFile(path, await readConfigFile(path, readFile))
  const settings: Settings = {}
  for (const [name, value] of Object.entries(table)) {
    const spec = specs.find((option) => option.name === name && name !== 'config')
    if (!spec || spec.isTyped) throw new ConfigError(`${path}: there is no option "${name}"`)
    settings[name] = splitted([value].flat().map(String), spec.repeatable)
  }
  return settings
}

async function readConfigFile(path: string, readFile: ConfigSources['readFile']): Promise<string> {
  try {
    return await readFile(path)
  } catch (error) {
    throw new ConfigError(`--config ${path} can not be read: ${(error as Error).message}`)
  }
}

function parseConfigFile(path: string, text: string): Record<string, unknown> {
  try {
    return parseToml(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const what = error.message.split('\n')[0]!.replace('Invalid TOML document: ', '')
    throw new ConfigError(
      `${path} is not TOML: line ${error.line}, column ${error.column}: ${what}`,
    )
  }
}

/** 0 takes a free one. */
export function readPort(name: string, text: string): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port > 65_535) {
    throw new ConfigError(`--${name} takes a number from 0 to 65535, not "${text}"`)
  }
  return port
}

/** More would cost memory, and no machine that this was measured on has more cores. */
const PROCESSES_MAX = 64

/** Leaves a number to the program. */
export const AUTO = 'auto'

/** A number of processes. */
export function readProcesses(name: string, text: string): number {
  const count = Number(text)
  if (!/^\d+$/.test(text) || count < 1 || count > PROCESSES_MAX) {
    throw new ConfigError(
      `--${name} takes a number from 1 to ${PROCESSES_MAX}, or ${AUTO}, not "${text}"`,
    )
  }
  return count
}

// The process with the drives uses up its core when so many others ask it: three for HEADs, one or two for small objects and
// large ones. More have nothing to do (docs/decisions/0025-workers-on-one-port.md).
const WORKERS_OF_USE = 3

/** How many processes a store is on so many cores. On two, one does more: drives and clients want the other core. */
export function processesFor(cores: number): number {
  return cores <= 2 ? 1 : Math.min(cores, 1 + WORKERS_OF_USE)
}

/** Whole seconds. */
export function readSeconds(name: string, text: string): number {
  if (!/^\d+$/.test(text)) throw new ConfigError(`--${name} takes whole seconds, not "${text}"`)
  return Number(text)
}

/** Days above 0, fractions too. */
export function readDays(name: string, text: string): number {
  const days = Number(text)
  if (!/^\d+(\.\d+)?$/.test(text) || days === 0 || days > 3650) {
    throw new ConfigError(`--${name} takes a number of days above 0, not "${text}"`)
  }
  return days
}

/** Hours, fractions too. */
export function readHours(name: string, text: string): number {
  const hours = Number(text)
  if (!/^\d+(\.\d+)?$/.test(text) || hours > 87_600) {
    throw new ConfigError(`--${name} takes a number of hours, not "${text}"`)
  }
  return hours
}

/** Switches are off unless something says `true`. */
export function readSwitch(name: string, text: string | undefined): boolean {
  if (text === undefined || text === 'false') return false
  if (text === 'true') return true
  throw new ConfigError(`--${name} is true or false, not "${text}"`)
}

/** One of LOG_LEVELS. */
export function readLogLevel(text: string): LogLevel {
  const level = LOG_LEVELS.find((known) => known === text)
  if (!level) throw new ConfigError(`--log-level is one of ${LOG_LEVELS.join(', ')}, not "${text}"`)
  return level
}

/** An erasure code, as 8+4. */
export function readCode(
  name: string,
  text: string,
): Pick<ErasureCode, 'dataCount' | 'parityCount'> {
  const [, data, parity] = /^(\d{1,2})\+(\d)$/.exec(text) ?? []
  const dataCount = Number(data)
  const parityCount = Number(parity)
  if (!data || dataCount < 1 || dataCount > 16 || parityCount > 4) {
    throw new ConfigError(
      `--${name} takes K+M with K from 1 to 16 and M from 0 to 4, not "${text}"`,
    )
  }
  return { dataCount, parityCount }
}
