/**
 * The engine as packaging/dewar.service runs it, on a Debian 12 that systemd runs with cgroup v2 alone: its groups are in a
 * unit that systemd hands over, hold there over what systemd does, and go with the engine.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { debianRoot } from '../harness/debian-root.ts'
import { section } from '../harness/emulated-machine.ts'
import { PROJECT } from '../harness/project.ts'
import { missing } from '../harness/requirement.ts'
import { partsOfHost, tell, type Begin } from './engine-machine.ts'

const MB = 1 << 20
/** udev is what renames and addresses interfaces on such machines. libstdc++ is Node's. */
const PACKAGES = ['systemd', 'systemd-sysv', 'udev', 'libstdc++6']

/** Boots for this unit, without logins and timers. The machine ends with it. */
const STORY = `[Unit]
Wants=dewar.service
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
ExecStart=/usr/bin/node /opt/dewar/story.mjs
ExecStartPost=/usr/bin/busybox echo "== end"
StandardOutput=file:/dev/ttyS0
StandardError=inherit
`

function bySystemd(tar: string): Begin {
  return {
    // Its own 90 s for a unit's start, journald's and udevd's, too, are over on a machine that is ten times slower.
    append: 'systemd.unit=story.service systemd.show_status=0 systemd.default_timeout_start_sec=1800',
    lay(root) {
      execFileSync('tar', ['-C', root, '-xf', tar])
      const units = join(root, 'etc/systemd/system')
      mkdirSync(units, { recursive: true })
      cpSync(join(PROJECT, 'packaging/dewar.service'), join(units, 'dewar.service'))
      writeFileSync(join(units, 'story.service'), STORY)
      symlinkSync('/opt/dewar/bin/dewar', join(root, 'usr/local/bin/dewar'))
    },
  }
}

test(
  'on a host of systemd the groups are in a unit of its own, and hold over reloads, restarts and a container out of memory',
  { skip: missing('qemu-system-x86_64', 'mke2fs', 'busybox', 'setpriv', 'ldd') },
  async (t) => {
    const parts = await partsOfHost()
    if (typeof parts === 'string') return t.skip(parts)
    const debian = await debianRoot(PACKAGES)
    if (typeof debian === 'string') return t.skip(debian)
    // Debian's own libraries: another libc would be none of systemd's.
    const text = await tell(
      { ...parts, libraries: {} },
      { module: 'story-systemd.js' },
      bySystemd(debian.tar),
    )
    assert.doesNotMatch(text, /FAILED/, text)
    const has = (name: string, ...expected: readonly RegExp[]) => {
      for (const one of expected) assert.match(section(text, name), one, `${name}\n${text}`)
    }
    const limits = (memory: number): RegExp =>
      new RegExp(`^memory.max ${memory * MB}\npids.max 50\ncpu.max 50000 100000\ncpuset.cpus 0$`, 'm')
    has('group', /^\/dewar\.slice\/dewar-[0-9a-f]{8}\.service\/dewar-[0-9a-f]{8}\/[0-9a-f]{64}\n/, limits(64))
    has('reloaded', limits(64))
    has('restarted', /^another engine\nrunning true\nalive\n/, limits(64))
    has('oom', /^status 137\nkilled true\nalive$/m)
    has('score', /^container 0\nengine -500$/m)
    has('frozen', /^frozen 1$/m)
    has('stats', /"pids_stats":\{"current":1,"limit":50\}/, new RegExp(`"limit":${64 * MB}\\b`))
    has('updated', limits(32))
    has('info', /^\{"CgroupDriver":"cgroupfs","CgroupVersion":"2"\}$/m)
    has('devices', /^made$/m, /\/k: Operation not permitted/, /^zero$/m)
    assert.doesNotMatch(section(text, 'devices'), /^read$/m)
    has('privileged', /^status 0$/m)
    has('units', /^dewar-[0-9a-f]{8}\.service +loaded active running/m)
    has('units', /^dewar\.service +loaded active running/m, /^dewar\.slice +loaded active active/m)
    has('stopped', /^no unit$/m)
  },
)
