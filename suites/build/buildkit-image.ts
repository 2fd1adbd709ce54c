import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { command } from '../harness/command.ts'
import { findProgram } from '../harness/requirement.ts'
import type { Server } from '../harness/server.ts'
import type { Trixie } from '../harness/trixie.ts'

/**
 * Debian has no package of buildkitd, and `moby/buildkit` is not to be had without Docker Hub. dockerd 26 has all of
 * BuildKit in it: this image serves it as moby/buildkit does, to `buildctl dial-stdio`.
 */
const DAEMON = `#!/bin/sh
# A fresh /run: a container that is started again has the last one's pid files.
mount -t tmpfs run /run
exec dockerd --data-root /var/lib/buildkit/docker --host unix:///run/buildkit.sock --bridge none \\
  --iptables=false --ip6tables=false
`

/** dockerd's BuildKit begins with an upgrade from HTTP/1.1. */
const CLIENT = `#!/bin/sh
case " $* " in
  *' dial-stdio '*) ;;
  # buildx asks so whether it is up.
  *) exec docker --host unix:///run/buildkit.sock version ;;
esac
upgraded=/run/upgraded-$$
mkfifo "$upgraded"
# What comes before the answer to the upgrade would be lost.
{
  printf 'POST /grpc HTTP/1.1\\r\\nHost: d\\r\\nConnection: Upgrade\\r\\nUpgrade: h2c\\r\\n\\r\\n'
  read _ < "$upgraded"
  exec cat
} | docker --host unix:///run/buildkit.sock system dial-stdio | {
  while IFS= read -r line; do
    [ "$line" = "$(printf '\\r')" ] && break
  done
  echo > "$upgraded"
  rm "$upgraded"
  exec cat
}
`

const APPLETS = ['sh', 'cat', 'mount', 'mkdir', 'ls', 'tail', 'printf', 'mkfifo', 'rm']

export async function importBuildKit(
  server: Server,
  folder: string,
  trixie: Trixie,
  name: string,
): Promise<void> {
  const root = join(folder, 'buildkit')
  const bin = join(root, 'bin')
  await mkdir(bin, { recursive: true })
  for (const path of ['tmp', 'run', 'proc', 'sys', 'var/lib/buildkit', 'etc/docker', 'etc/buildkit'])
    await mkdir(join(root, path), { recursive: true })
  const own = { PATH: `${trixie.path}:${process.env['PATH'] ?? ''}` }
  const programs = ['dockerd', 'containerd', 'containerd-shim-runc-v2']
  for (const program of [...programs, 'runc', 'docker', 'busybox'])
    await copyWithLibraries(program, root, own)
  for (const applet of APPLETS) await command(['ln', '-s', 'busybox', join(bin, applet)], { check: true })
  await writeFile(
    join(root, 'etc/docker/daemon.json'),
    JSON.stringify({ features: { 'containerd-snapshotter': true }, 'userland-proxy': false }),
  )
  for (const [file, text] of [
    ['buildkitd', DAEMON],
    ['buildctl', CLIENT],
  ] as const) {
    await writeFile(join(bin, file), text)
    await chmod(join(bin, file), 0o755)
  }
  const archive = join(folder, 'buildkit.tar')
  await command(['tar', '-C', root, '-cf', archive, '.'], { check: true })
  await server.docker('import', '--change', 'ENTRYPOINT ["buildkitd"]', archive, name)
}

/** Into /bin, and each library that ldd names under its own path. */
async function copyWithLibraries(
  program: string,
  root: string,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const script = `
    path=$(command -v "$0") && cp -L "$path" "$1/bin/$0"
    for library in $(ldd "$path" 2>/dev/null | grep -o '/[^ ]* (0x' | cut -d' ' -f1); do
      mkdir -p "$1/$(dirname "$library")" && cp -Lu "$library" "$1/$library"
    done`
  if (findProgram(program) === undefined && program === 'runc') throw new Error('no runc on this machine')
  await command(['sh', '-c', script, program, root], { check: true, env })
}
