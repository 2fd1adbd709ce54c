import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DewarError } from '../../base/errors.ts'
import { parseDockerfile, stagesFor } from './dockerfile.ts'
import { expandInstruction } from './expand-instruction.ts'
import { expandWord } from './expand.ts'
import { isWild, matchPart } from './go-match.ts'

const KEYWORDS =
  'FROM RUN COPY ADD ENV ARG LABEL EXPOSE VOLUME USER WORKDIR CMD ENTRYPOINT HEALTHCHECK ONBUILD SHELL STOPSIGNAL MAINTAINER NOSUCH'
const PIECES = [
  ...KEYWORDS.split(' '),
  ...[
    '\n',
    ' ',
    '\\\n',
    '#',
    '"',
    "'",
    '[',
    ']',
    ',',
    '$',
    '${',
    '}',
    ':-',
    '=',
    '<<EOF',
    '\nEOF\n',
    '--',
    '--from=',
  ],
  ...[
    'scratch',
    'AS a',
    'a',
    '/',
    '..',
    '`',
    '\t',
    '\r\n',
    '\uFEFF',
    '# escape=`\n',
    '# syntax=x\n',
    'é',
    '\0',
    '9999999',
  ],
]

test('parseDockerfile takes any text or refuses it in words, and expansion does the same', () => {
  const texts = fc.array(fc.constantFrom(...PIECES), { maxLength: 60 }).map((pieces) => pieces.join(''))
  const variables = new Map([['a', 'b']])
  fc.assert(
    fc.property(fc.oneof(texts, fc.string({ unit: 'binary' })), (text) => {
      try {
        const { stages, args, escape } = parseDockerfile(`FROM scratch\n${text}`)
        assert.ok(stages.length > 0)
        for (const { instruction } of [...args, ...stages.flatMap(({ steps }) => steps)])
          expandInstruction(instruction, variables, escape)
      } catch (error) {
        assert.ok(error instanceof DewarError && error.code === 'invalid-argument', String(error))
      }
    }),
    { numRuns: 500 },
  )
})

test('parseDockerfile joins lines, leaves comments between them out, and keeps what each step says', () => {
  const { stages, args } = parseDockerfile(
    'ARG V=1\nFROM base:$V AS One\nRUN a \\\n  # no\n\n  && b\nCOPY ["x y", "/z"]\nfrom one\n',
  )
  assert.equal(args.length, 1)
  assert.deepEqual(
    stages.map(({ from, steps }) => [from.name, from.image, ...steps.map(({ code }) => code)]),
    [
      ['one', 'base:$V', 'RUN a   && b', 'COPY ["x y", "/z"]'],
      ['', 'one'],
    ],
  )
})

test('stagesFor takes the stages up to the target, by name in any case or by number', () => {
  const { stages } = parseDockerfile('FROM a AS x\nFROM b AS y\nFROM c\n')
  assert.equal(stagesFor(stages, 'Y').length, 2)
  assert.equal(stagesFor(stages, '0').length, 1)
  assert.equal(stagesFor(stages, '').length, 3)
  for (const target of ['3', 'nosuch', '-1', '1e0'])
    assert.throws(() => stagesFor(stages, target), /failed to reach build target/)
})

test('expandWord replaces variables as a build does, not as a shell', () => {
  const variables = new Map([
    ['set', 'v w'],
    ['empty', ''],
  ])
  const cases: Readonly<Record<string, string>> = {
    '$set-${set}': 'v w-v w',
    "'$set'": '$set',
    '"$set \\" \\$set"': 'v w " $set',
    '\\$set': '$set',
    '${empty:-d}${empty-d}': 'd',
    '${unset:+x}${set:+x}${empty+y}': 'xy',
    '${unset:-${set}}': 'v w',
    $unset: '',
    $: '$',
  }
  for (const [text, wanted] of Object.entries(cases))
    assert.equal(expandWord(text, variables, '\\'), wanted, text)
  for (const [text, why] of [
    ['${set', /syntax error: missing '}'/],
    ['"a', /double-quote/],
    ['${unset:?must be}', /unset: must be/],
    ['${}', /bad substitution/],
  ] as const)
    assert.throws(() => expandWord(text, variables, '\\'), why)
})

test('matchPart matches as Go does, and no pattern makes it slow', () => {
  for (const [pattern, name, wanted] of [
    ['*.t[xy]t', 'a.txt', true],
    ['[^a-c]?', 'dz', true],
    ['[^a-c]?', 'az', false],
    ['a\\*', 'a*', true],
    ['*', '', true],
    ['?', 'é', true],
  ] as const)
    assert.equal(matchPart(pattern, name), wanted, pattern)
  assert.throws(() => matchPart('[a', 'a'), /syntax error in pattern/)
  assert.equal(matchPart(`${'*a'.repeat(100)}b`, 'a'.repeat(10_000)), false)
  assert.ok(!isWild('plain'))
})
