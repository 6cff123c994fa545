// What the help of every command says of exit codes, beside who really ends with 5, and which page a wrong command line is sent to.
import type { Command } from 'commander'
import t from 'tap'
import { buildProgram } from '../../../src/cli/program.ts'

function helpOf(command: Command): string {
  let text = ''
  command.configureOutput({ writeOut: (more) => (text += more) }).outputHelp()
  return text
}

function leavesOf(command: Command, path: readonly string[] = []): [string, Command][] {
  const own: [string, Command] = [path.join(' '), command]
  const below = command.commands.flatMap((one) => leavesOf(one, [...path, one.name()]))
  return [own, ...below]
}

t.test('code 5 is promised by the help of those that give it, and by no other', async (t) => {
  const promising = leavesOf(buildProgram())
    .filter(([, command]) => /^Exit codes:.* 5 /m.test(helpOf(command)))
    .map(([name]) => name)
  t.same(promising.sort(), [
    ...['drain', 'drive drain', 'drive remove', 'drive replace'],
    ...['heal', 'inspect', 'node remove'],
  ])
})

t.test('whoever asks a running store says codes 1 and 2', async (t) => {
  const commands = new Map(leavesOf(buildProgram()))
  for (const name of ['status', 'map', 'bench', 'release-orphans', 'drive list'])
    t.match(helpOf(commands.get(name)!), /^Exit codes: 1 no answer or a refusal, 2 usage\.$/m, name)
})

t.test('the page of the command that was meant is named', async (t) => {
  const wrong: [words: string[], sentence: string][] = [
    [['statsu'], "unknown command 'statsu': see kintsugi --help."],
    [[], 'a command is missing: see kintsugi --help.'],
    [['--nope'], "unknown option '--nope': see kintsugi --help."],
    [['serve', '--nope'], "unknown option '--nope': see kintsugi serve --help."],
    [['drive'], 'a command is missing: see kintsugi drive --help.'],
    [['drive', 'lsit'], "unknown command 'lsit': see kintsugi drive --help."],
    [['drive', 'list', '--nope'], "unknown option '--nope': see kintsugi drive list --help."],
    [['cluster'], 'a command is missing: see kintsugi cluster --help.'],
    [['status', '--nope'], "unknown option '--nope': see kintsugi status --help."],
  ]
  for (const [words, message] of wrong)
    await t.rejects(buildProgram().parseAsync(['node', 'kintsugi', ...words]), {
      exitCode: 2,
      message,
    })
})
