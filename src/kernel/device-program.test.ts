import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { deviceProgram } from './device-program.ts'
import { ALL_DEVICES, DEFAULT_DEVICE_RULES, deviceWrites } from './device-rules.ts'
import type { OciDeviceRule } from './oci.ts'

interface Request {
  readonly type: 'c' | 'b'
  readonly major: number
  readonly minor: number
  readonly access: string
}

/** The specification's words: for each kind of access the last matching rule decides. */
function allowed(rules: readonly OciDeviceRule[], { type, major, minor, access }: Request): boolean {
  return access
    .split('')
    .every(
      (letter) =>
        rules.findLast(
          (rule) =>
            (rule.type === 'a' || rule.type === type) &&
            (rule.major === undefined || rule.major === -1 || rule.major === major) &&
            (rule.minor === undefined || rule.minor === -1 || rule.minor === minor) &&
            rule.access.includes(letter),
        )?.allow === true,
    )
}

/** The instructions deviceProgram uses, as the kernel defines them. */
function run(program: Uint8Array, { type, major, minor, access }: Request): boolean {
  const bits = access.split('').reduce((sum, letter) => sum | ({ m: 1, r: 2, w: 4 }[letter] ?? 0), 0)
  const context: Record<number, number> = {
    0: ((bits << 16) | (type === 'b' ? 1 : 2)) >>> 0,
    4: major,
    8: minor,
  }
  const view = new DataView(program.buffer)
  const r = new Array<number>(11).fill(Number.NaN)
  for (let pc = 0; pc * 8 < program.length; pc++) {
    const [code, registers] = [view.getUint8(pc * 8), view.getUint8(pc * 8 + 1)]
    const [dst, src, offset, imm] = [
      registers & 15,
      registers >> 4,
      view.getInt16(pc * 8 + 2, true),
      view.getUint32(pc * 8 + 4, true),
    ]
    const value = r[dst] ?? Number.NaN
    if (code === 0x61) r[dst] = context[offset] ?? Number.NaN
    else if (code === 0xb7) r[dst] = imm
    else if (code === 0xbc) r[dst] = r[src] ?? Number.NaN
    else if (code === 0x54) r[dst] = (value & imm) >>> 0
    else if (code === 0x74) r[dst] = value >>> imm
    else if (code === 0x56) pc += value !== imm ? offset : 0
    else if (code === 0x16) pc += value === imm ? offset : 0
    else if (code === 0x95) return r[0] === 1
    else assert.fail(`instruction ${code}`)
  }
  return assert.fail('no end')
}

const number = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constant(0xffff_ffff))
const access = fc.subarray(['r', 'w', 'm'], { minLength: 1 }).map((letters) => letters.join(''))
const rules = fc.array(
  fc.record({
    allow: fc.boolean(),
    type: fc.constantFrom('a' as const, 'b' as const, 'c' as const),
    access,
    major: fc.oneof(fc.constant(-1), number),
    minor: fc.oneof(fc.constant(-1), number),
  }),
  { maxLength: 8 },
)
const requests = fc.record({
  type: fc.constantFrom('b' as const, 'c' as const),
  major: number,
  minor: number,
  access,
})

test('deviceProgram decides what the rules say', () => {
  fc.assert(
    fc.property(rules, fc.array(requests, { minLength: 20, maxLength: 20 }), (list, tries) => {
      const program = deviceProgram(list)
      for (const request of tries) {
        assert.equal(
          program === undefined || run(program, request),
          allowed(list, request),
          JSON.stringify(request),
        )
      }
    }),
    { numRuns: 500 },
  )
})

/** v1's devices controller, as its documentation describes it: a default, and exceptions merged by device. */
function v1Allows(list: readonly OciDeviceRule[], { type, major, minor, access: wanted }: Request): boolean {
  let otherwise = true
  const exceptions = new Map<string, Set<string>>()
  for (const { file, data } of deviceWrites(list)) {
    if (data === 'a') {
      otherwise = file === 'devices.allow'
      exceptions.clear()
      continue
    }
    const [kind, device, letters] = data.split(' ')
    const key = `${kind} ${device}`
    const known = exceptions.get(key) ?? new Set()
    for (const letter of letters ?? '')
      known[(file === 'devices.allow') === otherwise ? 'delete' : 'add'](letter)
    exceptions.set(key, known)
  }
  const keys = [major, '*'].flatMap((a) => [minor, '*'].map((b) => `${type} ${a}:${b}`))
  const hits = keys.map((key) => exceptions.get(key) ?? new Set<string>())
  const subset = hits.some((set) => wanted.split('').every((letter) => set.has(letter)))
  return otherwise ? !hits.some((set) => wanted.split('').some((letter) => set.has(letter))) : subset
}

test('deviceWrites never lets v1 allow what the rules close', () => {
  fc.assert(
    fc.property(rules, fc.array(requests, { minLength: 20, maxLength: 20 }), (list, tries) => {
      try {
        deviceWrites(list)
      } catch {
        return
      }
      for (const request of tries) {
        if (v1Allows(list, request)) assert.equal(allowed(list, request), true, JSON.stringify(request))
        else if (request.access.length === 1)
          assert.equal(allowed(list, request), false, JSON.stringify(request))
      }
    }),
    { numRuns: 500 },
  )
})

test('deviceProgram and deviceWrites have nothing to do when all devices are open', () => {
  assert.equal(deviceProgram(ALL_DEVICES), undefined)
  assert.deepEqual(deviceWrites(ALL_DEVICES), [])
  assert.deepEqual(deviceWrites([...DEFAULT_DEVICE_RULES, ...ALL_DEVICES]), [])
})

/** What of all devices up to these numbers may be done by a list of rules, such as "c 1:3 rw". */
function allowedBy(rules: typeof DEFAULT_DEVICE_RULES): string[] {
  const program = deviceProgram(rules) ?? new Uint8Array()
  const found: string[] = []
  for (const type of ['c', 'b'] as const) {
    for (const major of [...Array(20).keys(), 135, 136, 137, 180, 188, 229, 254, 259]) {
      for (const minor of [...Array(20).keys(), 63, 64, 127, 128, 200, 229, 255, 256]) {
        const access = ['r', 'w', 'm'].filter((wanted) =>
          run(program, { type, major, minor, access: wanted }),
        )
        // Making a node opens nothing.
        if (access.join('') !== 'm') found.push(`${type} ${major}:${minor} ${access.join('')}`)
      }
    }
  }
  return found
}

const OPEN = ['1:3', '1:5', '1:7', '1:8', '1:9', '5:0', '5:1', '5:2']

test('DEFAULT_DEVICE_RULES open what every container has, of terminals its own, and nothing else', () => {
  const allowed = allowedBy(DEFAULT_DEVICE_RULES)
  const [terminals, others] = [/^c 136:/, /^c (?!136:)/].map((kind) =>
    allowed.filter((one) => kind.test(one)),
  )
  assert.deepEqual(
    others,
    OPEN.map((numbers) => `c ${numbers} rwm`),
  )
  assert.equal(terminals?.length, 28)
  assert.ok(terminals?.every((one) => one.endsWith(' rwm')))
  assert.deepEqual(
    allowed.filter((one) => one.startsWith('b')),
    [],
  )
})

test('DEFAULT_DEVICE_RULES have none that could be left out', () => {
  const all = allowedBy(DEFAULT_DEVICE_RULES).join()
  // The first says what is said of those that no rule names: v1, which starts open, needs it.
  for (const [i, rule] of DEFAULT_DEVICE_RULES.entries()) {
    const less = allowedBy(DEFAULT_DEVICE_RULES.filter((one) => one !== rule)).join()
    assert.equal(less === all, i === 0, JSON.stringify(rule))
  }
  assert.deepEqual(deviceWrites(DEFAULT_DEVICE_RULES)[0], { file: 'devices.deny', data: 'a' })
})

test('deviceProgram refuses rules that cannot be', () => {
  assert.throws(() => deviceProgram([{ allow: true, type: 'c', access: 'x' }]), /access is r, w, m/)
  assert.throws(() => deviceProgram([{ allow: true, type: 'c', major: 1.5, access: 'r' }]), /cannot be/)
  assert.throws(
    () =>
      deviceWrites([
        { allow: false, type: 'a', access: 'rwm' },
        { allow: true, type: 'c', access: 'rwm' },
        { allow: false, type: 'c', major: 1, minor: 3, access: 'w' },
      ]),
    /cgroup v2/,
  )
})
