// Drives: what a directory is taken for, one process at a time, no more than eight operations, no second life.
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { DriveUnavailable } from '../../../src/kit/drive-unavailable.ts'
import { type Disk, type DiskFile, realWorld } from '../../../src/kit/world.ts'
import { Drive } from '../../../src/storage-node/drive.ts'
import { DriveGone } from '../../../src/storage-node/drive-errors.ts'
import {
  type DriveMarker,
  formatDrive,
  inspectDrive,
} from '../../../src/storage-node/drive-format.ts'
import { byChance, EVERYTHING, ForgetfulMachine, NOTHING } from '../../crash/forgetful-machine.ts'

const world = realWorld()
const marker: DriveMarker = {
  format: 4,
  clusterId: 'one',
  driveId: 3,
  uuid: 'aa-bb',
  createdMs: 1_700_000_000_000,
}
const failed = { name: 'DriveUnavailable', trouble: 'failed' }

async function openedDrive(t: Test): Promise<Drive> {
  const path = t.testdir()
  await formatDrive(world, path, marker)
  const drive = await Drive.open(world, path, marker)
  t.teardown(() => drive.close())
  return drive
}

t.test('what a directory is', async (t) => {
  const path = t.testdir({ 'lost+found': {}, file: 'x' })
  t.same(await inspectDrive(world, `${path}/none`), { kind: 'missing' })
  t.match(await inspectDrive(world, `${path}/file`), { kind: 'foreign' })
  t.match(await inspectDrive(world, path), { kind: 'foreign', what: 'it holds file' })
  rmSync(`${path}/file`)
  t.same(await inspectDrive(world, path), { kind: 'empty' })
  await formatDrive(world, path, marker)
  t.same(await inspectDrive(world, path), { kind: 'formatted', marker })
  await t.rejects(formatDrive(world, path, marker), { name: 'AssertionFailed' })
  const text = JSON.stringify({ ...marker, format: 1 })
  writeFileSync(`${path}/format.json`, text)
  t.same(await inspectDrive(world, path), { kind: 'wrong-format', format: 1 })
})

t.test(
  'what a store wrote too late into an empty directory is gone when that is formatted',
  async (t) => {
    for (const name of [
      'meta.serving',
      'scrub-position',
      'scrub-position.tmp',
      'coordinator.copy',
      'probe',
    ]) {
      const path = t.testdir({ [name]: 'of the drive that was here' })
      t.same(await inspectDrive(world, path), { kind: 'empty' }, name)
      await formatDrive(world, path, marker)
      t.same(await inspectDrive(world, path), { kind: 'formatted', marker })
      t.notOk(existsSync(`${path}/${name}`))
    }
  },
)

t.test('a damaged marker is broken, never empty or of another version', async (t) => {
  const path = t.testdir()
  await formatDrive(world, path, marker)
  const whole = await world.disk.readFile(`${path}/format.json`)
  for (let at = 0; at < whole.length; at += 1) {
    writeFileSync(`${path}/format.json`, whole.subarray(0, at))
    const cut = await inspectDrive(world, path)
    // The last byte is a line feed, which JSON does not need.
    if (at < whole.length - 1) t.match(cut, { kind: 'broken' }, `cut at ${at}`)
    const flipped = Uint8Array.from(whole)
    flipped[at]! ^= 1
    writeFileSync(`${path}/format.json`, flipped)
    const found = await inspectDrive(world, path)
    const same =
      found.kind === 'formatted' && JSON.stringify(found.marker) === JSON.stringify(marker)
    t.ok(found.kind === 'broken' || same, `flipped at ${at}: ${found.kind}`)
  }
  rmSync(`${path}/format.json`)
  writeFileSync(`${path}/seg/00000001.seg`, 'bytes')
  t.match(await inspectDrive(world, path), {
    kind: 'broken',
    what: 'it holds seg but no format.json',
  })
})

t.test('formatting that is interrupted leaves an empty directory or a drive', async (t) => {
  for (let cut = 0; cut < 40; cut += 1) {
    for (const survives of [NOTHING, EVERYTHING, byChance(cut)]) {
      const machine = new ForgetfulMachine(1)
      await machine.disk.makeDirectory('/d')
      await machine.disk.syncDirectory('/')
      machine.disk.powerOffAfter(cut)
      const done = await formatDrive(machine.world, '/d', marker).then(
        () => true,
        () => false,
      )
      const after = machine.crash(survives, 1)
      const found = await inspectDrive(after.world, '/d')
      t.ok(
        found.kind === 'formatted' || (found.kind === 'empty' && !done),
        `cut at ${cut}: ${found.kind}`,
      )
      if (found.kind === 'empty') await formatDrive(after.world, '/d', marker)
    }
  }
})

t.test('one process at a time', async (t) => {
  const drive = await openedDrive(t)
  await t.rejects(Drive.open(world, drive.path, marker), { code: 'DRIVE_LOCKED' })
  const script = `
    const { Drive } = await import(${JSON.stringify(import.meta.resolve('../../../src/storage-node/drive.js'))})
    const { realWorld } = await import(${JSON.stringify(import.meta.resolve('../../../src/kit/world.js'))})
    const marker = ${JSON.stringify(marker)}
    await Drive.open(realWorld(), ${JSON.stringify(drive.path)}, marker).catch((error) => process.stdout.write(error.code))`
  const other = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
  t.equal(other.stdout, 'DRIVE_LOCKED')
  await drive.close()
  const again = await Drive.open(world, drive.path, marker)
  await again.close()
})

t.test('the lock is given back though the marker does not close', async (t) => {
  const path = t.testdir()
  await formatDrive(world, path, marker)
  const disk: Disk = Object.assign(Object.create(world.disk) as Disk, {
    open: async (...request: Parameters<Disk['open']>) => {
      const file = await world.disk.open(...request)
      const close = async (): Promise<void> => {
        await file.close()
        throw new Error('it does not close')
      }
      return Object.assign(Object.create(file) as DiskFile, { close })
    },
  })
  const drive = await Drive.open({ disk }, path, marker)
  await t.rejects(drive.close(), /it does not close/)
  const again = await Drive.open(world, path, marker)
  await again.close()
})

t.test('a marker that can not take the place of a damaged one is closed', async (t) => {
  const path = t.testdir()
  await formatDrive(world, path, marker)
  let open = 0
  let renames = false
  const disk: Disk = Object.assign(Object.create(world.disk) as Disk, {
    open: async (...request: Parameters<Disk['open']>) => {
      const file = await world.disk.open(...request)
      open += 1
      const close = async (): Promise<void> => {
        open -= 1
        await file.close()
      }
      return Object.assign(Object.create(file) as DiskFile, { close })
    },
    rename: async (from: string, to: string) => {
      if (!renames) throw Object.assign(new Error('no room'), { code: 'ENOSPC' })
      await world.disk.rename(from, to)
    },
  })
  const drive = await Drive.open({ disk }, path, marker)
  writeFileSync(`${path}/format.json`, 'nonsense')
  const before = open
  await t.rejects(drive.mendMarker(), { name: 'DriveUnavailable', trouble: 'full' })
  t.equal(open, before)
  renames = true
  t.equal(await drive.mendMarker(), true)
  t.equal(open, before, 'the new one in the place of the old one')
  t.same(await inspectDrive(world, path), { kind: 'formatted', marker })
  await drive.close()
  t.equal(open, 0)
})

t.test('a damaged lock is made anew', async (t) => {
  const drive = await openedDrive(t)
  await drive.close()
  writeFileSync(`${drive.path}/lock/CURRENT`, 'nonsense')
  const again = await Drive.open(world, drive.path, marker)
  await again.close()
})

t.test(
  'at most eight operations at once; the others wait, and leave when the drive fails',
  async (t) => {
    const drive = await openedDrive(t)
    const release: (() => void)[] = []
    let running = 0
    const operation = (): Promise<void> => {
      running += 1
      return new Promise((resolve) => {
        release.push(resolve)
      })
    }
    const runs = Array.from({ length: 20 }, () => drive.run(operation))
    const settled = Promise.allSettled(runs)
    await new Promise((resolve) => setImmediate(resolve))
    t.equal(running, 8)
    release[0]!()
    await runs[0]
    await new Promise((resolve) => setImmediate(resolve))
    t.equal(running, 9)
    const heard: unknown[] = []
    drive.onFailure((cause) => heard.push(cause))
    drive.onFailure(() => heard.push('never'))()
    drive.fail('broken')
    drive.fail('again')
    const results = await settled
    t.equal(results.filter(({ status }) => status === 'rejected').length, 19, 'hung ones too')
    t.same(heard, ['broken'])
    t.equal(drive.failure, 'broken')
    drive.onFailure((cause) => heard.push(cause))
    t.same(heard, ['broken', 'broken'], 'who comes late hears it at once')
    await t.rejects(drive.run(operation), failed)
  },
)

t.test('errors of the disk', async (t) => {
  const throwing = (code: string) => async (): Promise<never> => {
    throw Object.assign(new Error(code), { code })
  }
  const drive = await openedDrive(t)
  await t.rejects(drive.run(throwing('ENOENT')), { code: 'ENOENT' })
  await t.rejects(drive.run(throwing('EMFILE')), { code: 'EMFILE' })
  await t.rejects(drive.run(throwing('ENOSPC')), { name: 'DriveUnavailable', trouble: 'full' })
  t.equal(drive.failure, undefined)
  await t.rejects(drive.run(throwing('EROFS')), failed)
  t.match(drive.failure, { code: 'EROFS' })
})

t.test('a file, a directory or a whole drive that is gone or replaced', async (t) => {
  const acts: Record<string, (path: string) => void> = {
    'the file is removed': (path) => rmSync(`${path}/seg/one`),
    'another file takes its name': (path) => {
      writeFileSync(`${path}/seg/two`, 'other')
      renameSync(`${path}/seg/two`, `${path}/seg/one`)
    },
    'the drive is removed': (path) => rmSync(path, { recursive: true }),
    'the drive is moved away': (path) => renameSync(path, `${path}-moved`),
    'another one takes its place': (path) => {
      renameSync(path, `${path}-old`)
      mkdirSync(path)
      writeFileSync(`${path}/format.json`, '{}')
    },
  }
  for (const [name, act] of Object.entries(acts)) {
    for (const [isNamed, disk] of [
      [true, world.disk],
      [true, withoutLooks(world.disk)],
      [false, world.disk],
    ] as const) {
      const root = `${t.testdir()}/${name.length}`
      mkdirSync(root)
      await formatDrive(world, root, marker)
      const drive = await Drive.open({ disk }, root, marker)
      const path = `${root}/seg/one`
      const file = await world.disk.open(path, 'create')
      await file.write([Buffer.from('bytes')], 0)
      const sync = (): Promise<void> => drive.syncFile(file, ...(isNamed ? [path] : []))
      await sync()
      await sync()
      await drive.checkPresence()
      act(root)
      await file.write([Buffer.from('more')], 5)
      await t.rejects(sync(), DriveUnavailable, name)
      t.ok(drive.failure)
      await file.close()
      await drive.close()
    }
  }
})

t.test('a directory that may not be looked into any more fails its drive', async (t) => {
  for (const code of ['EACCES', 'EPERM', 'EAGAIN']) {
    const root = `${t.testdir()}/${code}`
    mkdirSync(root)
    await formatDrive(world, root, marker)
    let isDenied = false
    const stat: typeof world.disk.stat = async (path) => {
      if (isDenied) throw Object.assign(new Error(code), { code })
      return await world.disk.stat(path)
    }
    const drive = await Drive.open({ disk: { ...world.disk, stat } }, root, marker)
    await drive.checkPresence()
    isDenied = true
    await t.rejects(drive.checkPresence(), code === 'EAGAIN' ? { code } : DriveUnavailable)
    t.equal(drive.failure !== undefined, code !== 'EAGAIN', code)
    await drive.close()
  }
})

t.test('what is written through is refused when its file went away before', async (t) => {
  const acts: Record<string, (path: string) => void> = {
    'the drive is removed': (path) => rmSync(path, { recursive: true }),
    'the file is removed': (path) => rmSync(`${path}/seg/one`),
    'another one takes its place': (path) => {
      renameSync(path, `${path}-old`)
      mkdirSync(`${path}/seg`, { recursive: true })
      writeFileSync(`${path}/seg/one`, 'bytes')
      writeFileSync(`${path}/format.json`, '{}')
    },
  }
  for (const [name, act] of Object.entries(acts)) {
    for (const disk of [world.disk, withoutLooks(world.disk)]) {
      const { root, path, drive, file } = await openedThrough(t, disk)
      await drive.writeThrough(file, [Buffer.from('by'), Buffer.from('tes')], 0, path)
      t.same(await world.disk.readFile(path), Buffer.from('bytes'))
      act(root)
      const late = drive.writeThrough(file, [Buffer.from('more')], 5, path)
      await t.rejects(late, DriveUnavailable, name)
      t.ok(drive.failure)
      await file.close()
      await drive.close()
    }
  }
})

t.test('a write through a file that was renamed on its drive is good', async (t) => {
  for (const disk of [world.disk, withoutLooks(world.disk)]) {
    const { path, drive, file } = await openedThrough(t, disk)
    renameSync(path, `${path}-two`)
    await drive.writeThrough(file, [Buffer.from('bytes')], 0, path)
    t.notOk(drive.failure)
    await file.close()
    await drive.close()
  }
})

t.test('what is held in memory is looked at on this thread, and nothing else is', async (t) => {
  const seen: string[] = []
  const disk: Disk = Object.assign(Object.create(world.disk) as Disk, {
    stat: (path: string) => {
      seen.push('stat')
      return world.disk.stat(path)
    },
    statNow: (path: string) => {
      seen.push('statNow')
      return world.disk.statNow!(path)
    },
  })
  for (const looksNow of [true, false]) {
    disk.looksNow = async () => looksNow
    const { path, drive, file } = await openedThrough(t, disk)
    seen.length = 0
    await drive.writeThrough(file, [Buffer.from('bytes')], 0, path)
    t.same(seen, [looksNow ? 'statNow' : 'stat'])
    rmSync(path)
    seen.length = 0
    await t.rejects(drive.writeThrough(file, [Buffer.from('more')], 5, path), DriveUnavailable)
    t.notOk(seen.includes('statNow'), 'the name of a file that was removed leads to the disk')
    await file.close()
    await drive.close()
  }
})

t.test('where the way to a drive leads over a link nothing is known to be in memory', async (t) => {
  const root = t.testdir({ here: {}, link: t.fixture('symlink', 'here') })
  t.equal(await world.disk.looksNow!(`${root}/link`), false)
  t.equal(await world.disk.looksNow!(`${root}/none`), false)
  // A file system of the kernel itself, which is none of those that are known.
  t.equal(await world.disk.looksNow!('/proc'), false)
})

t.test(
  'where write and sync are one any error fails the drive, but a lack of room or memory',
  async (t) => {
    for (const code of ['EIO', 'EFBIG', 'ENOSPC', 'ENOMEM']) {
      const { path, drive, file } = await openedThrough(t)
      const write = async (): Promise<void> => {
        throw Object.assign(new Error(code), { code })
      }
      const trouble = code === 'ENOSPC' ? 'full' : 'failed'
      const refusal = code === 'ENOMEM' ? { code } : { name: 'DriveUnavailable', trouble }
      const written = drive.writeThrough({ ...file, write }, [Buffer.from('x')], 0, path)
      await t.rejects(written, refusal)
      t.equal(drive.failure === undefined, code === 'ENOSPC' || code === 'ENOMEM')
      await file.close()
      await drive.close()
    }
  },
)

/** The same disk, but that looks go to it. */
function withoutLooks(disk: Disk): Disk {
  return Object.assign(Object.create(disk) as Disk, { looksNow: async () => false })
}

async function openedThrough(
  t: Test,
  disk = world.disk,
): Promise<{
  root: string
  path: string
  drive: Drive
  file: DiskFile
}> {
  const root = await mkdtemp(join(t.testdir(), 'drive-'))
  await formatDrive(world, root, marker)
  const drive = await Drive.open({ disk }, root, marker)
  const path = `${root}/seg/one`
  await (await world.disk.open(path, 'create')).close()
  return { root, path, drive, file: await world.disk.openThrough!(path) }
}

t.test('a file that was renamed on its drive is still there', async (t) => {
  const root = t.testdir()
  await formatDrive(world, root, marker)
  const drive = await Drive.open(world, root, marker)
  const file = await world.disk.open(`${root}/seg/one`, 'create')
  await drive.syncFile(file, `${root}/seg/one`)
  renameSync(`${root}/seg/one`, `${root}/seg/two`)
  await drive.syncFile(file, `${root}/seg/one`)
  t.notOk(drive.failure)
  await file.close()
  await drive.close()
})

t.test('a drive that is away is known from any file that is missing', async (t) => {
  const root = t.testdir()
  for (const name of ['stays', 'goes']) {
    const path = `${root}/${name}`
    mkdirSync(path)
    await formatDrive(world, path, marker)
    const looks: Promise<unknown>[] = []
    const disk: Disk = Object.assign(Object.create(world.disk) as Disk, {
      stat: (file: string) => {
        const look = world.disk.stat(file)
        looks.push(look)
        return look
      },
    })
    const drive = await Drive.open({ disk }, path, marker)
    if (name === 'goes') renameSync(path, `${path}-elsewhere`)
    const missing = Object.assign(new Error('no such file'), { code: 'ENOENT' })
    looks.length = 0
    drive.fail(missing)
    t.equal(drive.failure, missing)
    t.equal(looks.length, 1)
    await looks[0]
    await new Promise((resolve) => setImmediate(resolve))
    t.equal(drive.failure instanceof DriveGone, name === 'goes', name)
    await drive.close()
  }
})

t.test('whoever waits for a turn on a drive hears that it failed', async (t) => {
  const drive = await openedDrive(t)
  const hanging = Array.from({ length: 50 }, () =>
    t.rejects(
      drive.run(() => new Promise<void>(() => {})),
      failed,
    ),
  )
  await new Promise((resolve) => setImmediate(resolve))
  drive.fail(new Error('it hangs'))
  await Promise.all(hanging)
  await t.rejects(
    drive.run(async () => {}),
    failed,
  )
})

t.test('closing waits for what is under way and refuses the rest', async (t) => {
  const drive = await openedDrive(t)
  let finish: () => void = () => {}
  const slow = drive.run(
    () =>
      new Promise<void>((resolve) => {
        finish = resolve
      }),
  )
  await new Promise((resolve) => setImmediate(resolve))
  const closing = drive.close()
  await t.rejects(
    drive.run(async () => {}),
    failed,
  )
  finish()
  await slow
  await closing
})

t.test('what fails one use of a drive leaves it to the others', async (t) => {
  const drive = await openedDrive(t)
  const apart = drive.apart()
  const failing = apart.run(async () => {
    throw Object.assign(new Error('i/o error'), { code: 'EIO' })
  })
  await t.rejects(failing, failed)
  await t.rejects(
    apart.run(async () => 1),
    failed,
  )
  t.equal(drive.failure, undefined)
  t.equal(await drive.run(async () => 1), 1)
  await apart.close()
  await drive.checkPresence()
  const again = drive.apart()
  await again.close()
  await t.rejects(
    again.run(async () => 1),
    failed,
  )
  await t.rejects(Drive.open(world, drive.path, marker), { name: 'DriveLocked' })
})
