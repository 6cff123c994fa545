// The command line: all commands, their arguments and options. Those of serve, node and gateway come from tables that
// environment and file share (config.ts, config-cluster.ts).
import { Command, Option } from 'commander'
import { SERVE_OPTIONS } from '../config.ts'
import { LOAD_NAMES } from '../load/loads.ts'
import { VERSION } from '../version.ts'
import type { BenchOptions } from './bench.ts'
import { clusterCommand, gatewayCommand, nodeCommand } from './cluster-commands.ts'
import { leaveFrom, namedOptions, optionOf, QUIET } from './command-line.ts'
import { addDrive, drainDrive, listDrives, removeDrive, replaceDrive, weighDrive } from './drive.ts'
import { heal } from './heal.ts'
import { inspect } from './inspect.ts'
import { drain, removeNode } from './leave.ts'
import { showMapOf } from './map.ts'
import { newKey } from './new-key.ts'
import type { RecoverOptions } from './recover.ts'
import { releaseOrphansCommand } from './release-orphans.ts'
import { serveGuarded } from './serve-guarded.ts'
import { status } from './status.ts'

/** The program; parsing it runs the command. Throws Exit. */
export function buildProgram(): Command {
  const program = new Command('kintsugi')
    .description('An S3-compatible object store that mends itself.')
    .version(VERSION)
    // `node` and `node join` have options of the same names.
    .enablePositionalOptions()
    .exitOverride((error) => leaveFrom('', error))
    .configureOutput(QUIET)
  program.addCommand(serveCommand())
  program.addCommand(clusterCommand())
  program.addCommand(nodeCommand().addCommand(removeNodeCommand()))
  program.addCommand(gatewayCommand())
  program.addCommand(newKeyCommand())
  program.addCommand(statusCommand())
  program.addCommand(healCommand())
  program.addCommand(inspectCommand())
  program.addCommand(recoverCommandLine())
  program.addCommand(driveCommand())
  program.addCommand(drainCommand())
  program.addCommand(mapCommand())
  program.addCommand(releaseOrphansCommandLine())
  program.addCommand(benchCommand())
  return program
}

function serveCommand(): Command {
  const command = new Command('serve')
    .description(
      'Serves S3 over local directories, one drive each. Without directories: six drives under ./data.',
    )
    .argument('[DIR...]', 'drive directories')
    .exitOverride((error) => leaveFrom('serve', error))
    .configureOutput(QUIET)
    .addHelpText('after', ENVIRONMENT_HELP)
  for (const spec of SERVE_OPTIONS) command.addOption(optionOf(spec))
  // Without commander's camelCase: options keep the names they have in the file.
  command.action(async (directories: string[]) => {
    await serveGuarded({ directories, options: namedOptions(command) })
  })
  return command
}

function newKeyCommand(): Command {
  return new Command('new-key')
    .description(
      'Adds a key to a file for --encryption-key-file. New objects are encrypted with it; earlier keys stay.',
    )
    .argument('FILE', 'made when it is not there')
    .exitOverride((error) => leaveFrom('new-key', error))
    .configureOutput(QUIET)
    .action(newKey)
}

function statusCommand(): Command {
  return adminCommand('status')
    .description('Says how a running store stands: drives, metadata, mending, what was verified.')
    .action(status)
}

function healCommand(): Command {
  return adminCommand('heal', 'heal', FIVE.heal)
    .description(
      'Begins a pass that reads and verifies every byte of a running store and mends it.',
    )
    .option(
      '--wait',
      'end only when a verified pass left nothing owed; code 5 when that can not be',
    )
    .option('--timeout <SECONDS>', 'how long --wait waits at most', '604800')
    .action(heal)
}

function inspectCommand(): Command {
  return adminCommand('inspect', 'inspect', FIVE.inspect)
    .description('Says where an object lies, and reads and verifies every byte of its shards.')
    .argument('s3://BUCKET/KEY')
    .option('--version-id <ID>', 'a version, or null (default: the current one)')
    .action(inspect)
}

function recoverCommandLine(): Command {
  return new Command('recover')
    .description(
      'The last resort, while the store is stopped: makes metadata again of which no replica is left.',
    )
    .argument('DIR...', 'the directories of all drives')
    .option('--dry-run', 'say what would come out, and change nothing')
    .option('--yes', 'do it; without it only what is lost is said')
    .option(
      '--without-missing',
      'drives that are missing are gone for good: if nothing else is left, go on without what only they knew',
    )
    .option('--json', 'answer for programs')
    .exitOverride((error) => leaveFrom('recover', error))
    .configureOutput(QUIET)
    .action(async (directories: string[], options: RecoverOptions) => {
      // Only now, as the bench below: whoever serves comes by here too, and has no use for what they load.
      const { recoverCommand } = await import('./recover.ts')
      await recoverCommand(directories, options)
    })
}

function releaseOrphansCommandLine(): Command {
  return adminCommand('release-orphans')
    .description(
      'After kintsugi recover, cluster recover or cluster restore-coordinator: lets shards that no object names be deleted again. What they held is gone then.',
    )
    .action(releaseOrphansCommand)
}

function benchCommand(): Command {
  return new Command('bench')
    .description(
      'Measures stores of S3: writing, reading, listing, deleting, in a bucket of its own.',
    )
    .argument(
      '<URL...>',
      'as http://HOST:PORT, or http://KEY:SECRET@HOST:PORT for a key of its own',
    )
    .option('--loads <NAMES>', `which, with commas: ${LOAD_NAMES.join(', ')} (default: all)`)
    .option('--seconds <N>', 'how long each load runs', '12')
    .option('--processes <N>', 'processes that ask (default: as many as there are cores)')
    .option('--clients <N>', 'how many ask at once (default: as many as each load has)')
    .option('--region <REGION>', 'region that requests are signed for', 'us-east-1')
    .option('--json', 'answer for programs')
    .exitOverride((error) => leaveFrom('bench', error))
    .configureOutput(QUIET)
    .addHelpText('after', CREDENTIALS_HELP + exitHelp())
    .action(async (urls: string[], options: BenchOptions) => {
      const { bench } = await import('./bench.ts')
      await bench(urls, options)
    })
}

function driveCommand(): Command {
  const commands = [
    adminCommand('list', 'drive list')
      .description('Shows the drives: their states, how much is left of those that are to leave.')
      .action(listDrives),
    adminCommand('add', 'drive add')
      .description('Makes an empty or missing directory a drive; or takes back one that was away.')
      .argument('DIR', 'a directory of the machine that the store runs on')
      .addOption(weightOption())
      .addOption(homeOption())
      .action(addDrive),
    adminCommand('replace', 'drive replace', FIVE.leaving)
      .description('Makes a directory the drive in place of another one, which is then emptied.')
      .argument('ID', 'the drive that goes')
      .argument('DIR', 'a directory of the machine that the store runs on')
      .addOption(weightOption())
      .addOption(homeOption())
      .option('--wait', 'end only when nothing names the drive that goes any more')
      .addOption(timeoutOption())
      .action(replaceDrive),
    adminCommand('weight', 'drive weight')
      .description('Gives a drive another share of the data: what has to move follows.')
      .argument('ID')
      .argument('WEIGHT', 'relative to the other drives, which have GiB of their file systems')
      .action(weighDrive),
    ...leavingCommands(),
  ]
  const command = new Command('drive')
    .description('The drives of a running store: list, add, replace, weight, drain, remove.')
    .exitOverride((error) => leaveFrom('drive', error))
    .configureOutput(QUIET)
  for (const one of commands) command.addCommand(one)
  return command
}

function leavingCommands(): Command[] {
  return [
    adminCommand('drain', 'drive drain', FIVE.leaving)
      .description('Empties a drive: what is on it moves to the others, while the store serves.')
      .argument('ID')
      .option('--wait', 'end only when nothing names the drive any more')
      .option('--cancel', 'leave off: the drive stays and gets its share again')
      .addOption(reEncodeOption())
      .addOption(timeoutOption())
      .action(drainDrive),
    adminCommand('remove', 'drive remove', FIVE.leaving)
      .description('Takes an emptied drive out of the store, for ever.')
      .argument('ID')
      .option('--drain', 'empty it first')
      .option('--wait', 'with --drain: wait until it is empty')
      .addOption(reEncodeOption())
      .addOption(timeoutOption())
      .action(removeDrive),
  ]
}

function drainCommand(): Command {
  return adminCommand('drain', 'drain', FIVE.leaving)
    .description(
      'Empties a drive, or all drives of a node: what is on them moves to the others, while the store serves.',
    )
    .argument('ID', 'of a drive or of a node')
    .option('--wait', 'end only when nothing names the drives any more')
    .option('--cancel', 'leave off: they stay and get their share again')
    .addOption(reEncodeOption())
    .addOption(timeoutOption())
    .action(drain)
}

function removeNodeCommand(): Command {
  return adminCommand('remove', 'node remove', FIVE.leaving)
    .description('Takes a node out of the cluster, for ever, once nothing names its drives.')
    .argument('ID')
    .option('--drain', 'empty it first')
    .option('--lost', 'it never comes back: make what it had again from the others')
    .option('--wait', 'with --drain or --lost: wait until nothing names its drives')
    .addOption(reEncodeOption())
    .addOption(timeoutOption())
    .action(removeNode)
}

function mapCommand(): Command {
  return adminCommand('map')
    .description('Shows what lies where in a cluster: slots by drive, replicas, and what moves.')
    .option('--table', 'with the drives of every data partition')
    .action(showMapOf)
}

function weightOption(): Option {
  return new Option(
    '--weight <N>',
    'its share of the data, relative to the others (default: GiB of its file system)',
  )
}

function homeOption(): Option {
  return new Option('--node <ID>', 'of a cluster: the node that has the directory')
}

function reEncodeOption(): Option {
  return new Option(
    '--re-encode',
    'write objects again with another code where too few drives stay',
  )
}

function timeoutOption(): Option {
  return new Option('--timeout <SECONDS>', 'how long --wait waits at most').default('604800')
}

/** A command that asks a running store. `fullName`: with that of the command it belongs to. `five`: when it ends with code 5. */
function adminCommand(name: string, fullName = name, five?: string): Command {
  return new Command(name)
    .option('--endpoint <URL>', 'where the store serves S3', 'http://127.0.0.1:9000')
    .option('--region <REGION>', 'region that requests are signed for', 'us-east-1')
    .option('--json', 'answer for programs')
    .exitOverride((error) => leaveFrom(fullName, error))
    .configureOutput(QUIET)
    .addHelpText('after', CREDENTIALS_HELP + exitHelp(five))
}

const CREDENTIALS_HELP = `
It asks with the root credentials: KINTSUGI_ROOT_ACCESS_KEY_ID and KINTSUGI_ROOT_SECRET_ACCESS_KEY, else
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, else the profile [default] of the file AWS_SHARED_CREDENTIALS_FILE.
`

/** When a command that asks ends with 5, in the words of its help. */
const FIVE = {
  heal: 'a node was not told; with --wait: something stays unmended',
  inspect: 'a shard is not whole',
  leaving: 'with --wait: the drives are not empty when the wait is over',
} as const

function exitHelp(five?: string): string {
  const known = '\nExit codes: 1 no answer or a refusal, 2 usage'
  return five === undefined ? `${known}.` : `${known}, 5 ${five}.`
}

const ENVIRONMENT_HELP = `
Every option --a-b is also KINTSUGI_A_B in the environment and a-b in the file; option beats environment beats file.

KINTSUGI_ROOT_ACCESS_KEY_ID and KINTSUGI_ROOT_SECRET_ACCESS_KEY set the root credentials. Without them a key
is made at the first start and kept on the drives, in files that only their owner can read. KINTSUGI_VAULT_TOKEN is
the token for Vault where no file has it.

Exit codes: 1 unexpected, 2 usage or configuration, 3 port or directory in use, 4 a foreign drive or too many missing.`
