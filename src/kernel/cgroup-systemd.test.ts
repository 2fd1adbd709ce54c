import assert from 'node:assert/strict'
import { test } from 'node:test'
import { askFor, delegatedGroup, unitArguments } from './cgroup-systemd.ts'

test('unitArguments asks for a delegated unit in whose group delegatedGroup is', () => {
  const group = delegatedGroup('0badcafe')
  const args = unitArguments('0badcafe', `/sys/fs/cgroup${group}`)
  assert.equal(group, '/dewar.slice/dewar-0badcafe.service')
  assert.ok(args.includes('--slice=dewar.slice') && args.includes('--unit=dewar-0badcafe.service'))
  const properties = args.filter((arg) => arg.startsWith('--property='))
  assert.ok(properties.includes('--property=Delegate=yes'))
  assert.ok(properties.includes(`--property=WorkingDirectory=/sys/fs/cgroup${group}`))
  // One container out of memory must not stop the others, nor the number of tasks be systemd's default.
  assert.ok(properties.includes('--property=OOMPolicy=continue'))
  assert.ok(properties.includes('--property=TasksMax=infinity'))
})

test('unitArguments gives the keeper a command in which systemd finds nothing to expand', () => {
  const command = unitArguments('0badcafe', '/g').slice(-3)
  assert.deepEqual(command.slice(0, 2), ['sh', '-c'])
  assert.doesNotMatch(command[2] ?? '', /[$%\\]/)
})

test('askFor takes the unit away that a killed keeper left before it asks for one of that name', async () => {
  const calls: string[] = []
  await askFor('0badcafe', '/g', (program, args) => {
    calls.push(`${program} ${args.find((arg) => arg.includes('0badcafe'))}`)
    // Nearly always there is none.
    return program === 'systemctl' ? Promise.reject(new Error('not loaded')) : Promise.resolve()
  })
  assert.deepEqual(calls, ['systemctl dewar-0badcafe.service', 'systemd-run --unit=dewar-0badcafe.service'])
})

test('askFor says of a systemd that hangs that it hangs', async () => {
  const hung = Object.assign(new Error('Command failed'), { killed: true, stderr: '' })
  await assert.rejects(
    askFor('0badcafe', '/g', (program) =>
      program === 'systemctl' ? Promise.resolve() : Promise.reject(hung),
    ),
    /did not answer within 60 s/,
  )
})
