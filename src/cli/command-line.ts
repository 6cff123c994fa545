// What all commands share: options from the tables of the configuration, and how a wrong command line ends.
import { type Command, type CommanderError, Option } from 'commander'
import { environmentName, type OptionSpec } from '../config-settings.ts'
import { Exit } from '../exit.ts'

/** An option of a table, as the command line has it. */
export function optionOf({ name, value, repeatable, fallback, isTyped, help }: OptionSpec): Option {
  const flags = value ? `--${name} <${value}>` : `--${name}`
  const said = fallback === undefined ? help : `${help} (default: ${fallback})`
  const option = new Option(flags, isTyped ? said : `${said} [${environmentName(name)}]`)
  if (repeatable) option.argParser((text: string, before: string[] = []) => [...before, text])
  return option
}

/** What was given, without commander's camelCase: options keep the names they have in the file. */
export function namedOptions(
  command: Command,
): Record<string, string | string[] | boolean | undefined> {
  return Object.fromEntries(
    command.options.map((option) => [
      option.long!.slice(2),
      command.getOptionValue(option.attributeName()),
    ]),
  )
}

/** Errors are printed in one place, main.ts. */
export const QUIET = { writeErr: () => {} }

/**
 * Help and version end well; everything else that commander refuses is wrong usage of the command.
 * `command`: its full name, empty for the program itself.
 */
export function leaveFrom(command: string, error: CommanderError): never {
  if (error.exitCode === 0) process.exit(0)
  const page = ['kintsugi', command, '--help'].filter(Boolean).join(' ')
  const [sentence] = error.message.replace(/^error: /, '').split('\n')
  const what = error.code === 'commander.help' ? 'a command is missing' : sentence
  throw new Exit(2, `${what}: see ${page}.`)
}
