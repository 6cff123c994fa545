// Words of RFC 2047 (pitfall 93).
import t from 'tap'
import { decodeWords, encodeWords } from '../../../../src/gateway/headers/encoded-words.ts'

t.test('words are decoded, in both encodings and any charset', async (t) => {
  const rows: [words: string, text: string][] = [
    ['=?UTF-8?B?WsO8cmljaA==?=', 'Zürich'],
    ['=?utf-8?q?Z=C3=BCrich_am_See?=', 'Zürich am See'],
    ['=?ISO-8859-1?Q?Z=FCrich?=', 'Zürich'],
    ['to =?UTF-8?Q?Z=C3=BCrich?= by train', 'to Zürich by train'],
    ['=?UTF-8?Q?Z=C3=BC?= =?UTF-8?Q?rich?=', 'Zürich'],
    ['=?UTF-8?B?WsO8?=  =?UTF-8?B?cmk=?= =?UTF-8?Q?ch?=', 'Zürich'],
    ['=?UTF-8?Q??=', ''],
    ['=?UTF-8?B?WsO8cmljaA?=', 'Zürich'],
  ]
  for (const [words, text] of rows) t.equal(decodeWords(words), text, words)
})

t.test('what is no word stays', async (t) => {
  for (const text of [
    '',
    'plain',
    '=?UTF-8?X?a?=',
    '=?UTF-8?B?a',
    '=?no-such?Q?a?=',
    '=?UTF-8?Q?=FF?=',
    'a=?b',
    '=?UTF-8?B?=GGG?=',
    '=?UTF-8?B?WsO8*cmk=?=',
    '=?UTF-8?B?WsO8===?=',
    '=?UTF-8?B?W?=',
  ])
    t.equal(decodeWords(text), text, text)
})

t.test('words are at most 75 characters long and decoded each by itself', async (t) => {
  for (const text of ['ü', 'ü'.repeat(1000), '😀'.repeat(300), `a${'文'.repeat(200)}`]) {
    const words = encodeWords(text)
    for (const word of words.split(' ')) {
      t.ok(word.length <= 75)
      t.notMatch(decodeWords(word), /�/)
    }
    t.equal(decodeWords(words), text)
  }
})
