// Drives come, leave and are replaced: what each change makes of the agreed state, and what is refused in words.
import t from 'tap'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import { nameCode } from '../../../src/kit/erasure-code.ts'
import { buildMap, codeForDrives } from '../../../src/placement/build-map.ts'
import type { MapDrive } from '../../../src/placement/cluster-map.ts'
import type { Change, ClusterState } from '../../../src/placement/coordinator.ts'
import {
  addDrive,
  addReplica,
  changeCode,
  drainDrive,
  dropReplicasOn,
  markActive,
  markOut,
  releaseOrphans,
  removeDrive,
  replaceDrive,
  replaceReplicas,
  reserveDriveId,
  setPath,
  setWeight,
  undrainDrive,
  vacate,
  withoutReplica,
} from '../../../src/placement/coordinator-changes.ts'
import {
  refuseDrain,
  refuseRemove,
  refuseReplace,
  refuseUndrain,
} from '../../../src/placement/drive-edits.ts'
import { codeForAnew, shardsOfWidest } from '../../../src/placement/fit-code.ts'
import { placeBlob } from '../../../src/placement/place.ts'

await prepareDigests()

function stateOf(driveCount: number): ClusterState {
  const drives = Array.from({ length: driveCount }, (_, index) => ({
    id: index + 1,
    uuid: `drive-${index + 1}`,
    weight: 1,
    state: 'active' as const,
  }))
  return {
    clusterId: 'c',
    epoch: 1,
    map: buildMap(drives, codeForDrives(6), '42'),
    metaPartitions: [
      { epoch: 1, inSync: [1, 2, 3].map((driveId) => ({ driveId, incarnation: 'i' })) },
    ],
    buckets: {},
    nextBucketId: 1,
    nextDriveId: driveCount + 1,
  }
}

/** The state after these changes; one that changes nothing leaves it as it is. */
function after(state: ClusterState, ...changes: Change[]): ClusterState {
  return changes.reduce((now, change) => ({ ...(change(now) ?? now), epoch: now.epoch + 1 }), state)
}

function driveOf({ map }: ClusterState, id: number): MapDrive | undefined {
  return map.drives.find((drive) => drive.id === id)
}

/** Without spares. */
function slotsOf({ map }: ClusterState, id: number): number {
  return map.slots.flatMap((row) => row.slice(0, 6)).filter((holder) => holder === id).length
}

const NEW = { id: 8, uuid: 'new', weight: 1, path: '/new' }

t.test('a new drive needs an id of its own and gets its share', async (t) => {
  const state = stateOf(7)
  t.equal(addDrive(NEW)(state), undefined, 'the id was not reserved')
  const added = after(state, reserveDriveId(), addDrive(NEW))
  t.match(driveOf(added, 8), { state: 'active', path: '/new' })
  t.equal(added.nextDriveId, 9)
  t.ok(slotsOf(added, 8) > 180)
  t.equal(addDrive(NEW)(added), undefined, 'it is there already')
  t.equal(addDrive({ ...NEW, id: 3, uuid: 'x' })(added), undefined)
})

t.test(
  'a drive that is drained keeps no slot, is not written to, and is removed when it is vacated',
  async (t) => {
    const drained = after(stateOf(7), drainDrive(2))
    t.match(driveOf(drained, 2), { state: 'draining', isLeaving: true })
    t.equal(slotsOf(drained, 2), 0)
    for (const partition of drained.map.slots.keys()) {
      const { drives } = placeBlob(drained.map, partition, drained.map.code)!
      if (drives.includes(2)) t.fail('it is written to')
    }
    t.equal(drainDrive(2)(drained), undefined)
    t.equal(vacate(2)(drained), undefined, 'a replica of metadata is on it')
    t.equal(removeDrive(2)(drained), undefined)
    t.match(refuseRemove(drained.map, 2), /can not be removed yet/)
    const vacated = after(drained, dropReplicasOn(2), vacate(2))
    t.equal(driveOf(vacated, 2)!.isVacated, true)
    t.equal(refuseRemove(vacated.map, 2), undefined)
    const removed = after(vacated, removeDrive(2))
    t.equal(driveOf(removed, 2), undefined)
    t.same(removed.map.slots, vacated.map.slots)
    t.equal(removed.nextDriveId, 8, 'its id is not given again')
  },
)

t.test('a drive that was removed from a cluster does not come in again', async (t) => {
  const state = after(stateOf(7), reserveDriveId())
  const removed = { ...state, map: { ...state.map, removed: [NEW.id] } }
  t.ok(addDrive(NEW)(state))
  t.equal(addDrive(NEW)(removed), undefined)
  t.equal(replaceDrive(3, NEW)(removed), undefined)
})

t.test('draining is called off', async (t) => {
  const state = stateOf(7)
  const back = after(state, drainDrive(2), dropReplicasOn(2), vacate(2), undrainDrive(2))
  t.same(driveOf(back, 2), driveOf(state, 2))
  t.ok(slotsOf(back, 2) > 200)
  t.equal(undrainDrive(2)(back), undefined)
  t.equal(vacate(2)(back), undefined, 'an active drive is never vacated')
})

t.test(
  'a drive that is out stays out when it is drained, and drains when it is back',
  async (t) => {
    const out = after(stateOf(7), markOut(2, 'a test'), drainDrive(2))
    t.match(driveOf(out, 2), { state: 'out', isLeaving: true, reason: 'a test' })
    t.equal(slotsOf(out, 2), 0)
    const back = after(out, vacate(2), markActive(2))
    t.match(driveOf(back, 2), { state: 'draining', isLeaving: true })
    t.notOk(driveOf(back, 2)!.isVacated, 'what it holds is not known any more')
    const calledOff = after(out, undrainDrive(2))
    t.equal(driveOf(calledOff, 2)!.state, 'out')
    t.equal(slotsOf(calledOff, 2), 0, 'it gets nothing while it is out')
    const active = after(calledOff, markActive(2))
    t.equal(driveOf(active, 2)!.state, 'active')
    t.ok(slotsOf(active, 2) > 200)
  },
)

t.test('a drive that fails while it is drained goes on draining when it is back', async (t) => {
  const back = after(stateOf(7), drainDrive(2), markOut(2, 'a test'), markActive(2))
  t.match(driveOf(back, 2), { state: 'draining', isLeaving: true })
  t.notOk(driveOf(back, 2)!.reason)
})

t.test('a drive that was out and is vacated counts again when it is back', async (t) => {
  const state = stateOf(7)
  const out = after(state, markOut(2, 'a test'), vacate(2))
  t.equal(driveOf(out, 2)!.isVacated, true)
  t.same(after(out, markActive(2)).map, state.map)
  t.equal(refuseRemove(out.map, 2), undefined)
  t.equal(slotsOf(after(out, removeDrive(2)), 2), 0)
})

t.test('a replaced drive: exactly its slots are the new one’s', async (t) => {
  for (const before of [stateOf(7), after(stateOf(7), markOut(3, 'a test'))]) {
    const replaced = after(before, reserveDriveId(), replaceDrive(3, { ...NEW, weight: 9 }))
    t.same(
      replaced.map.slots,
      before.map.slots.map((row) => row.map((id) => (id === 3 ? 8 : id))),
    )
    const wasOut = driveOf(before, 3)!.state === 'out'
    t.match(driveOf(replaced, 3), { state: wasOut ? 'out' : 'draining', isLeaving: true })
    t.equal(driveOf(replaced, 8)!.state, 'active')
    t.equal(replaceDrive(3, { ...NEW, id: 9, uuid: 'z' })(replaced), undefined)
  }
})

t.test('weights, paths and the code', async (t) => {
  const state = stateOf(12)
  const heavy = after(state, setWeight(5, 2))
  t.ok(slotsOf(heavy, 5) > slotsOf(state, 5) * 1.5)
  t.equal(setWeight(5, 2)(heavy), undefined)
  t.equal(driveOf(after(state, setPath(5, '/five')), 5)!.path, '/five')
  t.equal(setPath(5, '/five')(after(state, setPath(5, '/five'))), undefined)
  const wide = after(state, changeCode(codeForDrives(12)))
  t.ok(wide.map.slots.every((row) => row.length === 12))
  t.equal(changeCode(codeForDrives(12))(stateOf(7)), undefined, 'too few drives')
})

t.test('what can not be done is said', async (t) => {
  const { map } = stateOf(7)
  t.equal(refuseDrain(map, 2), undefined)
  t.match(refuseDrain(map, 9), /no drive 9.*1, 2, 3, 4, 5, 6, 7/)
  t.match(refuseDrain(after(stateOf(7), drainDrive(2)).map, 2), /already/)
  t.match(refuseDrain(stateOf(6).map, 2), /5 drives would be left, but .* 4\+2, needs 6/)
  t.match(
    refuseDrain(after(stateOf(7), markOut(1, 'a test')).map, 2),
    /5 drives would be left, beside one that is out of service/,
  )
  t.match(refuseUndrain(map, 2), /not being emptied/)
  t.match(refuseUndrain(map, 22), /no drive 22/)
  t.equal(refuseReplace(map, 2), undefined)
  t.match(refuseReplace(map, 22), /no drive 22/)
  t.match(refuseReplace(after(stateOf(7), drainDrive(2)).map, 2), /already/)
  t.match(refuseRemove(map, 2), /drain it first/)
  t.match(refuseRemove(map, 22), /no drive 22/)
  const few = after(stateOf(6), markOut(2, 'a test'), dropReplicasOn(2), vacate(2))
  t.match(refuseRemove(few.map, 2), /5 drives would be left/)
  t.equal(removeDrive(2)(few), undefined)
})

t.test('where too few stay for the code, it has fewer data shards', async (t) => {
  const anew = { reEncode: true }
  const five = after(stateOf(6), drainDrive(2, anew))
  t.match(driveOf(five, 2), { state: 'draining', isLeaving: true })
  t.equal(nameCode(five.map.code), '3+2')
  t.equal(five.map.widestShards, 6, 'blobs of 4+2 may be there')
  t.ok(five.map.slots.every((row) => [...row].sort().join() === '1,3,4,5,6'))
  const four = after(five, dropReplicasOn(2), vacate(2), removeDrive(2), drainDrive(3, anew))
  t.equal(nameCode(four.map.code), '2+2')
  t.equal(four.map.widestShards, 6)
  const three = after(four, drainDrive(4, anew))
  t.equal(nameCode(three.map.code), '1+2')
  t.equal(drainDrive(5, anew)(three), undefined)
  t.match(refuseDrain(three.map, 5, anew), /2 drives would be left, but with 2 .* less than 3/)
  t.match(refuseDrain(three.map, 5), /less than 3/, 'what would not help is not offered')

  const back = after(five, undrainDrive(2))
  t.equal(nameCode(back.map.code), '3+2', 'it does not grow by itself')
  t.equal(after(stateOf(7), drainDrive(2, anew)).map.code.dataCount, 4, 'only where it has to')
  t.equal(after(stateOf(7), drainDrive(2, anew)).map.widestShards, 7)
  const withOneOut = after(stateOf(6), markOut(1, 'a test'), drainDrive(2, anew))
  t.equal(nameCode(withOneOut.map.code), '2+2', 'those in service count')
  const dead = after(stateOf(6), markOut(2, 'a test'), drainDrive(2, anew))
  t.equal(nameCode(dead.map.code), '3+2')
})

t.test('another code is offered with its price, for drains and for dead drives', async (t) => {
  t.match(
    refuseDrain(stateOf(6).map, 2),
    /drive drain 2 --re-encode: .* as 3\+2 then, which takes 11 % more space/,
  )
  const dead = after(stateOf(6), markOut(2, 'a test'), dropReplicasOn(2), vacate(2))
  t.match(refuseRemove(dead.map, 2), /can not be removed: .* kintsugi drive drain 2 --re-encode/)
  const drained = after(dead, drainDrive(2, { reEncode: true }))
  t.equal(refuseRemove(drained.map, 2), undefined, 'that was all it lacked')
})

t.test('the code of the reduced class has to fit as well, where somebody chose it', async (t) => {
  const { map } = stateOf(8)
  const reducedCode = { ...map.code, dataCount: 7, parityCount: 1 }
  const refusal = /REDUCED_REDUNDANCY, 7\+1, needs 8. .* of 7 shards at most/
  t.match(refuseDrain(map, 2, { reducedCode }), refusal)
  t.match(refuseDrain(map, 2, { reducedCode, reEncode: true }), refusal)
  t.equal(drainDrive(2, { reducedCode })(stateOf(8)), undefined)
  t.equal(refuseDrain(map, 2, { reducedCode: { ...reducedCode, dataCount: 6 } }), undefined)
  const dead = after(stateOf(8), markOut(2, 'a test'), dropReplicasOn(2), vacate(2))
  t.match(refuseRemove(dead.map, 2, undefined, { reducedCode }), refusal)
})

t.test('which blobs are written anew: those with more shards than places', async (t) => {
  const { map } = after(stateOf(6), drainDrive(2, { reEncode: true }))
  const anew = (dataCount: number, parityCount: number) => {
    const code = codeForAnew(map, { partition: 3, code: { ...map.code, dataCount, parityCount } })
    return code && nameCode(code)
  }
  t.same(
    [anew(4, 2), anew(3, 2), anew(1, 2), anew(4, 1), anew(5, 1)],
    ['3+2', undefined, undefined, undefined, '4+1'],
  )
  t.equal(shardsOfWidest(map), 6)
  t.equal(shardsOfWidest(stateOf(7).map), 7)
})

t.test('a replica comes to count only on a drive that is active', async (t) => {
  const state = stateOf(7)
  const replica = { driveId: 6, incarnation: 'new' }
  const added = after(state, addReplica(0, replica)).metaPartitions[0]
  t.match(added, { epoch: 2, inSync: [{}, {}, {}, replica] })
  t.equal(addReplica(0, { ...replica, driveId: 3 })(state), undefined, 'one for each drive')
  const changed = [after(state, markOut(6, 'gone')), after(state, drainDrive(6))]
  for (const now of changed) t.equal(addReplica(0, replica)(now), undefined)
  const removed = after(state, drainDrive(6), vacate(6), removeDrive(6))
  t.notOk(removed.map.drives.some(({ id }) => id === 6))
  t.equal(addReplica(0, replica)(removed), undefined)
})

t.test('a replica surely does not count any more', async (t) => {
  const replica = { driveId: 6, incarnation: 'new' }
  const state = after(stateOf(7), addReplica(0, replica))
  const without = after(state, withoutReplica(0, replica))
  t.match(without.metaPartitions[0], { epoch: 3, inSync: [{}, {}, {}] })
  t.equal(without.metaPartitions[0]!.inSync.length, 3)
  t.match(after(without, withoutReplica(0, replica)).metaPartitions[0], { epoch: 4 })
  const alone = { ...state, metaPartitions: [{ epoch: 1, inSync: [replica] }] }
  t.equal(withoutReplica(0, replica)(alone), undefined, 'the last one stays')
})

t.test('replicas that were made anew: orphans are held from the same decision on', async (t) => {
  const made = new Map([[0, [{ driveId: 5, incarnation: 'new' }]]])
  const recovered = after(stateOf(8), replaceReplicas(made, 7))
  t.match(recovered, {
    metaPartitions: [{ epoch: 2, inSync: made.get(0) }],
    orphanHold: { sinceMs: 7 },
  })
  t.same(after(recovered, replaceReplicas(made, 9)).orphanHold, { sinceMs: 7 }, 'since the first')
  const drained = after(recovered, drainDrive(2), vacate(2))
  t.match(refuseRemove(drained.map, 2, drained.orphanHold), /release-orphans/)
  t.equal(removeDrive(2)(drained), undefined)
  const out = after(drained, markOut(2, 'gone'))
  t.equal(refuseRemove(out.map, 2, out.orphanHold), undefined, 'of one that is out nothing is lost')
  const released = after(drained, releaseOrphans())
  t.notOk('orphanHold' in released)
  t.equal(releaseOrphans()(released), undefined)
  t.equal(driveOf(after(released, removeDrive(2)), 2), undefined)
})
