/** What a person at a terminal sees, driven by expect: keys, sizes, signals, detaching, and a terminal left as it was. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import { DEWAR } from '../harness/project.ts'
import { missing } from '../harness/requirement.ts'
import { until } from '../harness/until.ts'
import { bothClients, NEEDS } from './both-clients.ts'
import type { BothClients } from './both-clients.ts'

const CLI = process.env['DEWAR_CLI'] ?? DEWAR

// dockerd 20.10 learns the size only from the resize after the start: hence the loops over `stty size`.
describe('dewar at a terminal', { skip: missing(...NEEDS, 'expect'), concurrency: 1 }, () => {
  let both: BothClients
  before(async () => {
    both = await bothClients()
  })
  after(async () => both?.[Symbol.asyncDispose]())

  /** `steps`: expect's language with want TEXT, send KEYS and end; gives what was seen. */
  const play = async (line: string, steps: string): Promise<string> => {
    // In expect a body in braces on one line would be a pattern: keep the lines.
    const script = `
set timeout 40
proc want {text} {
  expect {
    -ex $text {}
    timeout { puts "TIMEOUT: $text"; exit 9 }
    eof { puts "EOF: $text"; exit 8 }
  }
}
proc end {} {
  expect {
    -re {CODE [0-9]+} {}
    timeout { puts "TIMEOUT: end"; exit 9 }
    eof { puts "EOF: end"; exit 8 }
  }
}
spawn sh -c {stty rows 31 cols 101; dewar() { ${CLI} "$@"; }; ${line}; echo CODE $?}
${steps}`
    const result = await both.server.run(['expect', '-c', script], { timeout: 120_000 })
    assert.equal(result.code, 0, result.stdout)
    return result.stdout
  }

  test('run -it gives the container our size, our keys and its exit code', async () => {
    const seen = await play(
      'dewar run --rm -it --net none busybox sh -c "until stty size | grep 31; do sleep 0.1; done; trap : INT; cat; exit 42"',
      String.raw`want "31 101"; send "abc\r"; want "abc"; want "abc"; send "\003"; want "^C"; end`,
    )
    assert.match(seen, /CODE 42/)
  })

  test('run -it follows a change of size', async () => {
    const seen = await play(
      'dewar run --rm -it --net none busybox sh -c "echo ready; until stty size | grep 90; do sleep 0.1; done"',
      String.raw`want "ready"; stty rows 40 columns 90 < $spawn_out(slave,name); want "40 90"; end`,
    )
    assert.match(seen, /CODE 0/)
  })

  test('run -it detaches with ctrl-p ctrl-q, exec and attach reach it again', async () => {
    assert.match(
      await play(
        'dewar run -it --net none --name kept busybox sh',
        String.raw`want "#"; send "\020\021"; end`,
      ),
      /CODE 0/,
    )
    assert.match(
      await play(
        'dewar exec -it kept sh -c "until stty size | grep 31; do sleep 0.1; done; read x; exit 5"',
        String.raw`want "31 101"; send "hi\r"; end`,
      ),
      /CODE 5/,
    )
    assert.match(
      await play(
        'dewar attach kept',
        String.raw`send "echo a''tt\r"; want "att"; send "\020\021"; want "read escape sequence"; end`,
      ),
      /CODE 1/,
    )
    assert.match(
      await play(
        'dewar attach --detach-keys ctrl-a,d kept',
        String.raw`send "echo x''1\r"; want "x1"; send "\001d"; want "read escape sequence"; end`,
      ),
      /CODE 1/,
    )
    assert.equal((await both.dewar(['rm', '-f', 'kept'])).stdout, 'kept\n')
  })

  test('start -ai leaves the terminal as it was', async () => {
    const seen = await play(
      'stty -g > /tmp/$$.a; dewar create -it --net none --name again busybox sh; dewar start -ai again; echo code=$?; stty -g > /tmp/$$.b; cmp /tmp/$$.a /tmp/$$.b && echo unchanged; rm /tmp/$$.a /tmp/$$.b; dewar rm again',
      String.raw`want "#"; send "exit 6\r"; want "code=6"; want "unchanged"; end`,
    )
    assert.match(seen, /CODE 0/)
  })

  test('run without a terminal passes SIGTERM on and ends with the container’s code', async () => {
    const trap = 'trap "echo got; exit 9" TERM; echo ready; while :; do sleep 0.1; done'
    const run = ['run', '--name', 'signalled', '--net', 'none', 'busybox', 'sh', '-c', trap]
    // nsenter becomes the client by exec: the child's id is the client's.
    const [program = '', ...args] = [...both.server.network.enter, ...CLI.split(' '), ...run]
    const env = { ...process.env, DOCKER_HOST: `unix://${both.server.socket}` }
    const client = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = once(client, 'exit')
    const output = text(client.stdout)
    const ready = async (): Promise<boolean> =>
      (await both.docker(['logs', 'signalled'])).stdout === 'ready\n'
    await until('the container to be ready', ready)
    client.kill('SIGTERM')
    assert.deepEqual(await ended, [9, null])
    assert.equal(await output, 'ready\ngot\n')
    await both.docker(['rm', 'signalled'])
  })

  test('run -i carries five megabytes in and out unchanged and ends at the end of input', async () => {
    const input = Buffer.from('0123456789abcdef'.repeat(330_000))
    const result = await both.dewar(['run', '--rm', '-i', '--net', 'none', 'busybox', 'cat'], { input })
    assert.equal(result.code, 0)
    assert.ok(Buffer.from(result.stdout).equals(input))
  })

  test('a reader that goes away ends the client quietly', async () => {
    const line = `${CLI} run --rm --name chatty --net none busybox yes | head -2`
    const result = await both.server.run(['sh', '-c', line])
    assert.equal(result.stdout, 'y\ny\n')
    assert.equal(result.stderr, '')
    await both.docker(['rm', '-f', 'chatty'])
  })

  test('pull draws bars on a terminal and plain lines elsewhere', async () => {
    const name = `${both.registry}/t/busybox:1`
    // A container of a test that failed would keep the image here.
    await both.server.run(['sh', '-c', 'docker ps -aq | xargs -r docker rm -f'])
    await both.dewar(['tag', 'busybox', name])
    const pushed = await both.dewar(['push', name])
    assert.match(
      pushed.stdout,
      /^The push refers to repository \[.*\]\n[\s\S]*1: digest: sha256:[0-9a-f]{64} size: \d+\n$/,
    )
    await both.dewar(['rmi', '-f', name, 'busybox'])
    const plain = await both.dewar(['pull', name])
    assert.match(
      plain.stdout,
      /: Pulling from t\/busybox\n[\s\S]*Status: Downloaded newer image for .*\n.*\/t\/busybox:1\n$/,
    )
    assert.doesNotMatch(plain.stdout, /\x1b/)
    await both.dewar(['rmi', name])
    const drawn = await play(`dewar pull ${name}`, 'end')
    assert.match(drawn, /Pull complete/)
    assert.match(drawn, /CODE 0/)
    await both.dewar(['tag', name, 'busybox'])
  })
})
