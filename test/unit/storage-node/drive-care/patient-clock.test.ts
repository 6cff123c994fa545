// A clock that does not count what the process slept away.
import t from 'tap'
import { sleepPatiently } from '../../../../src/kit/patient-sleep.ts'
import { PatientClock } from '../../../../src/storage-node/drive-care/patient-clock.ts'

t.test('it goes on with the machine while ticks come', async (t) => {
  let machineMs = 5_000
  const clock = new PatientClock({ monotonicMs: () => machineMs }, 300)
  const startMs = clock.now()
  for (let tick = 0; tick < 50; tick += 1) {
    machineMs += 100
    clock.tick()
  }
  t.equal(clock.now() - startMs, 5_000)
})

t.test('a pause of a minute counts for no more than a step', async (t) => {
  let machineMs = 5_000
  const clock = new PatientClock({ monotonicMs: () => machineMs }, 300)
  const startMs = clock.now()
  machineMs += 60_000
  t.equal(clock.now() - startMs, 300, 'before the first tick')
  clock.tick()
  t.equal(clock.now() - startMs, 300, 'after it')
  machineMs += 100
  t.equal(clock.now() - startMs, 400, 'and then it goes on')
})

t.test('a patient sleep takes many small ones', async (t) => {
  const slept: number[] = []
  const sleep = async (ms: number): Promise<void> => {
    slept.push(ms)
  }
  await sleepPatiently({ sleep }, 2_500)
  t.same(slept, [1000, 1000, 500])
})
