/** What `run` and `create` ask the engine for, flag by flag: our request must be docker's, field by field. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { isRecord } from '../../src/client/connect.ts'
import { command } from '../harness/command.ts'
import { DEWAR } from '../harness/project.ts'
import { missing } from '../harness/requirement.ts'
import { tempFolder } from '../harness/temp-folder.ts'
import type { TempFolder } from '../harness/temp-folder.ts'

const CLI = (process.env['DEWAR_CLI'] ?? DEWAR).split(' ')

/** Only the newest API has all fields; so a server that says it speaks it, records, and refuses. */
const LINES = `
busybox
busybox sh -c true
-it busybox
-i busybox
-t busybox
-a stdin busybox
-a stdout -a stderr busybox
--name n1 --rm busybox
--rm=false busybox
-p 80 busybox
-p 8080:80 -p 127.0.0.1:81:82/udp -p [::1]:90:91 busybox
-p 8000-8003:90-93 -p 7000-7010:70 busybox
-p published=80,target=90,protocol=udp -p 5000/sctp busybox
-P --expose 99 --expose 100-102/udp busybox
-v /host:/c:ro -v name:/n -v /anon -v ./rel:/r:rw,z busybox
-v /a:/b -v /a:/b busybox
--mount type=bind,source=/src,target=/dst,readonly,bind-propagation=rslave busybox
--mount type=volume,src=vol,dst=/v,volume-nocopy,volume-label=a=b,volume-driver=d,volume-opt=x=y,volume-subpath=s busybox
--mount type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1770 busybox
--mount dst=/anonymous busybox
--mount type=bind,src=.,dst=/x,bind-recursive=disabled busybox
--mount type=bind,src=/x,dst=/x,readonly,bind-recursive=readonly,bind-propagation=rprivate busybox
--mount type=image,src=busybox,dst=/i,image-subpath=bin busybox
--tmpfs /t --tmpfs /u:size=1m,mode=700 busybox
-e A=1 -e B= -e HOME_OF_TEST -e NOT_SET_ANYWHERE --env-file FOLDER/env busybox
-l a=b -l c --label-file FOLDER/labels busybox
-m 512m busybox
-m 1g --memory-swap 2g --memory-reservation 100000k --memory-swappiness 10 busybox
-m 1g --kernel-memory 50m busybox
-m 1.5GiB --memory-swap -1 busybox
--cpus 1.5 -c 512 --cpuset-cpus 0-1 --cpuset-mems 0 busybox
--cpu-period 1000 --cpu-quota 500 --cpu-rt-period 7 --cpu-rt-runtime 6 busybox
--pids-limit 100 busybox
--pids-limit -1 busybox
--cap-add NET_ADMIN --cap-add SYS_TIME --cap-drop ALL busybox
--security-opt no-new-privileges --security-opt label=disable busybox
--security-opt seccomp=FOLDER/seccomp.json busybox
--security-opt seccomp=unconfined --security-opt systempaths=unconfined busybox
--read-only --init --privileged busybox
--init=false busybox
-u 1000:1000 -w /work -h host --domainname dom busybox
--entrypoint /bin/sh busybox -c true
--entrypoint= busybox true
--add-host a:1.2.3.4 --add-host b=::1 --add-host c:[::2] --add-host d:host-gateway busybox
--dns 1.1.1.1 --dns-option ndots:1 --dns-opt x --dns-search example.com busybox
--network none busybox
--network host busybox
--net container:abc busybox
--network mine --network-alias x --network-alias y --ip 10.0.0.2 --ip6 fd00::2 busybox
--network mine --network name=other,alias=o,driver-opt=a=b,gw-priority=3 busybox
--network mine --link db:database --link-local-ip 169.254.1.1 --mac-address 92:d0:c6:0a:29:33 busybox
--link db:database busybox
--restart always busybox
--restart on-failure:3 busybox
--restart= busybox
--stop-signal SIGINT --stop-timeout 7 busybox
--ulimit nofile=5:6 --ulimit core=-1 --ulimit nproc=3 busybox
--device /dev/null --device /dev/zero:/dev/z:r --device /dev/full:rw busybox
--device vendor.com/class=name busybox
--device-cgroup-rule␣c␣1:3␣rmw busybox
--health-cmd true --health-interval 1m30s --health-retries 2 --health-timeout 500ms --health-start-period 2s --health-start-interval 1s busybox
--no-healthcheck busybox
--log-driver json-file --log-opt max-size=1m --log-opt max-file=3 busybox
--isolation sealed --runtime gvisor busybox
--userns host --ipc host --pid host --uts host --cgroupns private busybox
--ipc shareable --pid container:x busybox
--shm-size 128m --sysctl net.ipv4.ip_forward=1 --sysctl kernel.msgmax=10 busybox
--group-add 10 --group-add wheel --oom-score-adj -5 --oom-kill-disable --cgroup-parent /x busybox
--blkio-weight 100 --blkio-weight-device /dev/sda:200 busybox
--device-read-bps /dev/sda:1mb --device-write-bps /dev/sda:1000 --device-read-iops /dev/sda:10 --device-write-iops /dev/sda:20 busybox
--volumes-from a --volumes-from b:ro --volume-driver local --storage-opt size=1G busybox
--annotation a=b --annotation c=d busybox
--platform linux/arm64 busybox
--cidfile FOLDER/CIDFILE busybox
-itd busybox
-d busybox
-p80:80 -p=81:81 -eA=1 -e=B=2 busybox -x --y z
-- busybox -it
`
  .trim()
  .split('\n')

interface Recorded {
  readonly url: string
  readonly body: unknown
}

describe('dewar create asks for what docker create asks for', { skip: needed(), concurrency: 1 }, () => {
  let folder: TempFolder
  const recorded: Recorded[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      response.setHeader('Api-Version', '1.50').setHeader('Ostype', 'linux')
      if (request.url?.includes('/_ping') === true) return void response.end()
      if (request.url?.includes('/containers/create') === true) {
        recorded.push({ url: request.url, body: JSON.parse(Buffer.concat(chunks).toString()) })
      }
      response.statusCode = 500
      response.setHeader('Content-Type', 'application/json').end('{"message":"recorded"}')
    })
  })
  before(async () => {
    folder = await tempFolder('create')
    await mkdir(join(folder.path, 'client'))
    await writeFile(
      join(folder.path, 'env'),
      '# a comment\nFROM_FILE=1\n  SPACED=a b \n\nHOME_OF_TEST\nNOT_SET\n',
    )
    await writeFile(join(folder.path, 'labels'), 'from.file=1\nbare\n')
    await writeFile(
      join(folder.path, 'seccomp.json'),
      '{\n  "defaultAction": "SCMP_ACT_ALLOW",\n  "syscalls": []\n}\n',
    )
    await new Promise<void>((resolve) => server.listen(join(folder.path, 's.sock'), resolve))
  })
  after(async () => {
    server.closeAllConnections()
    server.close()
    await folder?.[Symbol.asyncDispose]()
  })

  const ask = async (
    program: readonly string[],
    verb: string,
    args: readonly string[],
  ): Promise<Recorded> => {
    const { path } = folder
    const env = {
      DOCKER_HOST: `unix://${path}/s.sock`,
      DOCKER_CONFIG: `${path}/client`,
      HOME_OF_TEST: '/h',
      NOT_SET: undefined,
    }
    const result = await command([...program, verb, ...args], { env, cwd: path })
    const request = recorded.pop()
    assert.ok(request, `${program.join(' ')} ${args.join(' ')} asked for nothing: ${result.stderr}`)
    return request
  }

  for (const line of LINES) {
    test(`dewar create ${line}`, async () => {
      const words = line.replaceAll('FOLDER', folder.path).replaceAll('CIDFILE', 'cid')
      const args = words.split(' ').flatMap((word) => (word.includes('␣') ? glued(word) : [word]))
      const verb = args.some((word) => /^-\w*d/.test(word)) ? 'run' : 'create'
      const docker = await ask(['docker'], verb, args)
      const dewar = await ask(CLI, verb, args)
      assert.deepEqual(ordered(dewar.body), ordered(docker.body))
      const query = (url: string): string[] =>
        [...new URL(url, 'http://x').searchParams].map(([key, value]) => `${key}=${value}`).sort()
      assert.deepEqual(query(dewar.url), query(docker.url))
    })
  }
})

/** docker keeps -v and -e in maps: binds and variables come in any order. */
function ordered(body: unknown): unknown {
  if (!isRecord(body) || !isRecord(body['HostConfig'])) return body
  const { Binds: binds } = body['HostConfig']
  const { Env: env } = body
  return {
    ...body,
    Env: Array.isArray(env) ? env.map(String).sort() : env,
    HostConfig: { ...body['HostConfig'], Binds: Array.isArray(binds) ? binds.map(String).sort() : binds },
  }
}

/** --flag␣a␣b: the flag, then one word with spaces. */
function glued(word: string): string[] {
  const [flag = '', ...rest] = word.split('␣')
  return [flag, rest.join(' ')]
}

function needed(): string | false {
  const reason = missing('docker')
  // Nothing is started: root is not needed here.
  return reason !== false && reason.startsWith('needs root') ? false : reason
}
