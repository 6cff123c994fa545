// Names from outside may be anything, and find nothing that was not put there.
import t from 'tap'
import { NameBag } from '../../../src/kit/name-bag.ts'

t.test('a bag has nothing but what was put into it', async (t) => {
  const names = ['constructor', '__proto__', 'toString', 'hasOwnProperty', '0', '']
  const bag = new NameBag()
  for (const name of names) t.equal(bag[name], undefined, name)
  for (const name of names) bag[name] = `<${name}>`
  for (const name of names) t.equal(bag[name], `<${name}>`, name)
  t.strictSame(Object.keys(bag).sort(), names.sort())
  t.strictSame(Object.keys(new NameBag()), [], 'and another has none of it')
})
