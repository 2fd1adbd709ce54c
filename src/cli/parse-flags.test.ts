import assert from 'node:assert/strict'
import { test } from 'node:test'
import { command, none } from './command-spec.ts'
import { bool, bytes, integer, string, strings } from './flags.ts'
import { FlagError, parseFlags } from './parse-flags.ts'

const spec = command({
  name: 'x',
  summary: '',
  usage: '',
  arity: none,
  stopsAtWord: true,
  examples: [],
  flags: {
    tty: bool('', { short: 't' }),
    interactive: bool('', { short: 'i' }),
    proxy: bool('', { initial: true }),
    publish: strings('', { short: 'p' }),
    name: string(''),
    count: integer('', { short: 'n' }),
    memory: bytes('', { short: 'm' }),
    net: strings('', { aliasOf: 'network' }),
    network: strings(''),
  },
  run: async () => 0,
})
const values = (...argv: string[]): Record<string, unknown> =>
  Object.fromEntries(parseFlags(argv, spec).values)

test('parseFlags reads switches together, with values, and off', () => {
  assert.deepEqual([values('-it')['tty'], values('-it')['interactive']], [true, true])
  assert.equal(values('--proxy=false')['proxy'], false)
  assert.equal(values('-t=false')['tty'], false)
})

test('parseFlags reads values behind a space, an equals sign and nothing', () => {
  assert.deepEqual(values('-p', '1', '-p=2', '-p3', '--publish', '4', '--publish=5')['publish'], [
    '1',
    '2',
    '3',
    '4',
    '5',
  ])
  assert.deepEqual(values('-itp', '80')['publish'], ['80'])
  assert.equal(values('--name=')['name'], '')
  assert.equal(values('-m', '1g')['memory'], 2 ** 30)
  assert.deepEqual(values('--net', 'a', '--network', 'b')['network'], ['a', 'b'])
})

test('parseFlags stops at the first word, whose own flags are not ours', () => {
  assert.deepEqual(parseFlags(['-t', 'image', '-i', '--name', 'x'], spec).words, [
    'image',
    '-i',
    '--name',
    'x',
  ])
  assert.deepEqual(parseFlags(['--', '-t'], spec).words, ['-t'])
  assert.deepEqual(parseFlags(['a', '-t', 'b'], { ...spec, stopsAtWord: false }).words, ['a', 'b'])
})

test('parseFlags gives Object.prototype no voice', () => {
  assert.throws(() => parseFlags(['--constructor'], spec), /unknown flag: --constructor/)
  assert.throws(() => parseFlags(['--__proto__=1'], spec), /unknown flag: --__proto__/)
})

for (const [argv, message] of [
  [['--foo'], 'unknown flag: --foo'],
  [['-tz'], "unknown shorthand flag: 'z' in -tz"],
  [['--name'], 'flag needs an argument: --name'],
  [['-p'], "flag needs an argument: 'p' in -p"],
  [['-n', 'x'], 'invalid argument "x" for "-n, --count" flag: strconv.ParseInt: parsing "x": invalid syntax'],
  [
    ['--tty=maybe'],
    'invalid argument "maybe" for "-t, --tty" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
  ],
  [['-m', 'abc'], 'invalid argument "abc" for "-m, --memory" flag: invalid size: \'abc\''],
] as const) {
  test(`parseFlags refuses ${argv.join(' ')} in docker's words`, () => {
    assert.throws(
      () => parseFlags(argv, spec),
      (error: unknown) => error instanceof FlagError && error.message === message,
    )
  })
}
