// What the tests want of the machine, installed where apt is there and root runs them. Nothing here is needed to run
// Dewar. A package that cannot be had is no error: the tests that need it say so and are skipped.
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Program looked for → Debian package that has it. */
const WANTED = {
  'musl-gcc': 'musl-tools',
  cc: 'build-essential',
  clang: 'clang',
  'clang-format': 'clang-format',
  busybox: 'busybox-static',
  'docker-registry': 'docker-registry',
  skopeo: 'skopeo',
  umoci: 'umoci',
  crun: 'crun',
  runc: 'runc',
  podman: 'podman',
  dockerd: 'docker.io',
  bwrap: 'bubblewrap',
  mmdebstrap: 'mmdebstrap',
  nft: 'nftables',
  ip: 'iproute2',
  iptables: 'iptables',
  jq: 'jq',
  zstd: 'zstd',
  xz: 'xz-utils',
  bzip2: 'bzip2',
  getfattr: 'attr',
  curl: 'curl',
  expect: 'expect',
  strace: 'strace',
  gdb: 'gdb',
  'mkfs.ext4': 'e2fsprogs',
  nsenter: 'util-linux',
  ps: 'procps',
  git: 'git',
  // It brings python3-docker, too.
  'docker-compose': 'docker-compose',
  'redis-server': 'redis-server',
  '/usr/lib/postgresql/15/bin/postgres': 'postgresql-15',
  chromium: 'chromium',
  tmux: 'tmux',
  runsc: 'runsc',
  'qemu-system-x86_64': 'qemu-system-x86',
  'qemu-system-aarch64': 'qemu-system-arm',
  'aarch64-linux-gnu-gcc': 'gcc-aarch64-linux-gnu',
  '/usr/aarch64-linux-gnu/include/sys': 'libc6-dev-arm64-cross',
}
const MINUTES = 60_000

/** Installs what is missing; returns the programs that are still not there. */
export function installPackages(say) {
  const missing = () => Object.keys(WANTED).filter((program) => !found(program))
  const first = missing()
  if (first.length === 0) return []
  if (process.getuid() !== 0 || !found('apt-get')) return first
  const packages = [...new Set(first.map((program) => WANTED[program]))]
  say(`installing ${packages.join(' ')}`)
  if (!aptInstall(packages)) {
    apt(['update'])
    // All at once is fast; when one name is unknown to this release, the others are still wanted.
    if (!aptInstall(packages)) for (const name of packages) aptInstall([name])
  }
  return missing()
}

function aptInstall(packages) {
  return apt(['install', '--yes', '--no-install-recommends', ...packages])
}

function apt(args, more = {}) {
  // RUNLEVEL=1: the packages must not start their services (dockerd, docker-registry).
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  const options = ['-o', 'Acquire::Retries=2', '-o', 'DPkg::Lock::Timeout=120', '-q']
  const result = spawnSync('apt-get', [...options, ...args], {
    env,
    timeout: 15 * MINUTES,
    encoding: 'utf8',
    ...more,
  })
  if (result.status !== 0) process.stderr.write(`apt-get ${args[0]}: ${(result.stderr ?? '').slice(-2000)}\n`)
  return result.status === 0
}

function found(program) {
  const folders = program.startsWith('/')
    ? ['/']
    : [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
