// Boots a Debian 12 with systemd and cgroup v2 alone (its own kernel, 6.1) under software emulation and runs the engine there as
// packaging/dewar.service does. Root; wants mmdebstrap, mke2fs and qemu-system-x86_64; minutes, so no part of `npm test`.
import { execFileSync, spawn } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const PROJECT = join(dirname(fileURLToPath(import.meta.url)), '..')
const CACHE = process.env.DEWAR_TEST_CACHE ?? '/var/cache/dewar-tests'
const MINUTES = 60_000
const PACKAGES = 'systemd,systemd-sysv,libstdc++6,linux-image-cloud-amd64,kmod,busybox-static,curl'

/** Run by the machine when it is up. What it writes is looked at below. */
const STORY = `#!/bin/bash
api() { curl -s -m 300 --unix-socket /run/dewar/dewar.sock "http://d$2" -X $1 "\${@:3}"; }
ready() { for i in $(seq 3000); do [ "$(api GET /_ping)" = OK ] && return; sleep 0.2; done; echo NOT READY; journalctl -u dewar --no-pager; }
make() { api POST /containers/create?name=$1 -H 'content-type: application/json' -d "$2"; api POST /containers/$1/start; }
story() { make "$@"; api POST /containers/$1/wait; api GET "/containers/$1/logs?stdout=1&stderr=1" | tr -d '\\000'; }
part() { echo; echo "== $1"; }
ln -s /opt/dewar/bin/dewar /usr/local/bin/dewar
systemctl start dewar; ready
mkdir -p /b/bin /b/mnt; cp /bin/busybox /b/bin; for i in sh sleep cat head tail mknod mount; do ln -s busybox /b/bin/$i; done
tar -C /b -c . | api POST "/images/create?fromSrc=-&repo=bb&tag=1" -T -
make first '{"Image":"bb:1","Cmd":["sleep","10000"],"HostConfig":{"Memory":67108864,"PidsLimit":50,"NanoCpus":500000000,"CpusetCpus":"0"}}'
pid=$(api GET /containers/first/json | grep -o '"Pid":[0-9]*' | cut -d: -f2)
group=/sys/fs/cgroup$(cut -d: -f3 /proc/$pid/cgroup)
limits() { cd $group; cat memory.max pids.max cpu.max cpuset.cpus; cd /; }
part group; echo $group; limits
part reloaded; systemctl daemon-reload; sleep 2; limits
part restarted; systemctl restart dewar; ready; api GET /containers/first/json | grep -o '"Running":true'; [ -d /proc/$pid ] && echo alive
part oom; story oom '{"Image":"bb:1","Cmd":["tail","/dev/zero"],"HostConfig":{"NetworkMode":"none","Memory":16777216,"MemorySwap":16777216}}'
api GET /containers/oom/json | grep -o '"OOMKilled":true'; sleep 2; [ -d /proc/$pid ] && echo alive
part score; cat /proc/$pid/oom_score_adj
part frozen; api POST /containers/first/pause; cat $group/cgroup.events; api POST /containers/first/unpause
part stats; api GET '/containers/first/stats?stream=0&one-shot=1' | grep -o '"pids_stats":{[^}]*}\\|"limit":67108864'
part updated; api POST /containers/first/update -H 'content-type: application/json' -d '{"Memory":33554432,"MemorySwap":-1}'; cat $group/memory.max
part info; api GET /info | grep -o '"Cgroup[A-Za-z]*":"[^"]*"'
part devices; story devices '{"Image":"bb:1","Cmd":["sh","-c","mknod /k b 259 0; head -c 1 /k; cat /dev/null && echo null"],"HostConfig":{"NetworkMode":"none","UsernsMode":"host"}}'
part privileged; story privileged '{"Image":"bb:1","Cmd":["mount","-t","tmpfs","x","/mnt"],"HostConfig":{"NetworkMode":"none","Privileged":true}}'
part units; systemctl list-units --no-legend --no-pager --plain --all 'dewar*'
for c in first oom devices privileged; do api DELETE "/containers/$c?force=1"; done
part stopped; systemctl stop dewar; systemctl list-units --no-legend --no-pager --plain 'dewar*service'; ls -d /sys/fs/cgroup/dewar.slice/dewar-*
part journal; journalctl -u 'dewar*' -o cat --no-pager
systemctl poweroff --force
`

const UNIT = `[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/story
StandardOutput=file:/dev/ttyS0
StandardError=inherit
`

/** Part of the output → what must be in it. */
const EXPECTED = {
  group: /\/dewar\.slice\/dewar-[0-9a-f]{8}\.service\/\S+\n67108864\n50\n50000 100000\n0\n/,
  reloaded: /^67108864\n50\n50000 100000\n0\n/,
  restarted: /"Running":true\nalive/,
  oom: /"StatusCode":137[^]*"OOMKilled":true\nalive/,
  score: /^0\n/,
  frozen: /frozen 1/,
  stats: /"current":1,"limit":50[^]*"limit":67108864/,
  updated: /\n?33554432\n/,
  info: /"CgroupDriver":"cgroupfs"\n"CgroupVersion":"2"/,
  devices: /\/k: Operation not permitted[^]*null/,
  privileged: /"StatusCode":0/,
  units: /dewar-[0-9a-f]{8}\.service +loaded active running/,
  stopped: /No such file or directory/,
}

const folder = mkdtempSync(join(tmpdir(), 'dewar-systemd-'))
let machine
// Whoever breaks it off wants the machine and the folder gone.
for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => {
    machine?.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
    process.exit(1)
  })
try {
  const root = await machineRoot(join(folder, 'root'))
  const text = await boot(root, diskOf(root))
  const wrong = Object.entries(EXPECTED).filter(([name, expected]) => !expected.test(part(text, name)))
  for (const [name, expected] of wrong)
    console.error(`WRONG ${name}: ${expected} not in\n${part(text, name)}`)
  console.log(wrong.length === 0 ? `all ${Object.keys(EXPECTED).length} parts as expected` : 'failed')
  process.exitCode = wrong.length === 0 ? 0 : 1
} finally {
  rmSync(folder, { recursive: true })
}

function run(program, ...args) {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'], timeout: 15 * MINUTES })
}

async function machineRoot(root) {
  const tar = join(CACHE, 'debian-systemd.tar')
  mkdirSync(CACHE, { recursive: true })
  if (!existsSync(tar)) run('mmdebstrap', '--variant=minbase', `--include=${PACKAGES}`, 'bookworm', tar)
  mkdirSync(root)
  run('tar', '-C', root, '-xf', tar)
  const dewar = join(root, 'opt/dewar')
  for (const name of ['bin', 'package.json', 'dist/cli', 'native/build'])
    cpSync(join(PROJECT, name), join(dewar, name), { recursive: true })
  // In one file: Node is slow under emulation.
  await build({
    entryPoints: [join(PROJECT, 'dist/src/daemon/main.js')],
    outfile: join(dewar, 'dist/src/daemon/main.js'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
    banner: { js: "import{createRequire}from'module';const require=createRequire(import.meta.url);" },
  })
  cpSync(process.execPath, join(root, 'usr/bin/node'))
  const units = join(root, 'etc/systemd/system')
  cpSync(join(PROJECT, 'packaging/dewar.service'), join(units, 'dewar.service'))
  writeFileSync(join(units, 'story.service'), UNIT)
  mkdirSync(join(units, 'multi-user.target.wants'), { recursive: true })
  // A file instead of the link would be passed over in silence.
  symlinkSync('../story.service', join(units, 'multi-user.target.wants/story.service'))
  writeFileSync(join(root, 'story'), STORY)
  chmodSync(join(root, 'story'), 0o755)
  return root
}

function diskOf(root) {
  const disk = join(folder, 'disk')
  run('mke2fs', '-q', '-t', 'ext4', '-O', '^has_journal', '-d', root, disk, '1500M')
  return disk
}

/** Debian's cloud kernel has NVMe and ext4 built in. Without the clock's settings one boot in five hangs. */
function boot(root, disk) {
  const kernel = readdirSync(join(root, 'boot')).find((name) => name.startsWith('vmlinuz-'))
  const line =
    'console=ttyS0 quiet root=/dev/nvme0n1 rw panic=-1 reboot=t systemd.show_status=0 systemd.mask=serial-getty@ttyS0.service tsc_early_khz=2000000 lpj=4000000 no_timer_check'
  const args = `-M pc -accel tcg -cpu max -m 1024 -display none -monitor none -nic none -serial stdio -no-reboot -device nvme,serial=d,drive=d,ioeventfd=off`
  const child = spawn(
    'qemu-system-x86_64',
    [
      ...args.split(' '),
      ...['-drive', `file=${disk},if=none,id=d,format=raw`],
      ...['-kernel', join(root, 'boot', kernel ?? ''), '-append', line],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'], timeout: 60 * MINUTES, killSignal: 'SIGKILL' },
  )
  return new Promise((resolve, reject) => {
    let text = ''
    machine = child
    child.stdout.setEncoding('utf8').on('data', (chunk) => {
      text += chunk
      process.stdout.write(chunk)
    })
    child.once('error', reject)
    child.once('close', () => resolve(text.replaceAll('\r', '')))
  })
}

function part(text, name) {
  const [, after = ''] = text.split(`== ${name}\n`, 2)
  return after.split(/^== /m, 1)[0] ?? ''
}
