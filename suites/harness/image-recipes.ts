import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { findProgram } from './requirement.ts'
import type { ImageRecipe, Layer, Member } from './oci-layout.ts'

const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** The file tree of the images below: Debian's static busybox with all its applets, and a few accounts. */
export function busyboxTree(): Member[] {
  const busybox = findProgram('busybox')
  if (busybox === undefined)
    throw new Error('making the busybox image: no busybox; apt-get install busybox-static')
  const applets = execFileSync(busybox, ['--list'], { encoding: 'utf8' }).trim().split('\n')
  const folder = (name: string, mode = 0o755): Member => ({ name, type: 'directory', mode })
  return [
    ...['bin/', 'dev/', 'etc/', 'home/', 'usr/', 'usr/bin/', 'usr/sbin/', 'var/', 'proc/', 'sys/'].map(
      (name) => folder(name),
    ),
    folder('root/', 0o700),
    folder('tmp/', 0o1777),
    { name: 'bin/busybox', content: readFileSync(busybox) },
    ...applets
      .filter((applet) => applet !== 'busybox')
      .map((applet): Member => ({
        name: `bin/${applet}`,
        type: 'symlink',
        linkname: 'busybox',
        mode: 0o777,
      })),
    {
      name: 'etc/passwd',
      mode: 0o644,
      content: [
        'root:x:0:0:root:/root:/bin/sh',
        'daemon:x:1:1:daemon:/usr/sbin:/bin/false',
        'user:x:1000:1000:user:/home:/bin/sh',
        'nobody:x:65534:65534:nobody:/home:/bin/false',
        '',
      ].join('\n'),
    },
    {
      name: 'etc/group',
      mode: 0o644,
      content: 'root:x:0:\ndaemon:x:1:\naudio:x:29:user\nuser:x:1000:\nnogroup:x:65534:\n',
    },
  ]
}

/** The images every suite uses, the big ones excepted. */
export function smallImages(): ImageRecipe[] {
  const base: Layer = { members: busyboxTree() }
  const config = { Env: [PATH], Cmd: ['sh'] }
  return [
    { name: 'busybox:latest', layers: [base], config },
    {
      name: 'configured:latest',
      layers: [
        base,
        { members: [{ name: 'bin/entry', content: '#!/bin/sh\necho "entry:" "$@"\nid -u\npwd\n' }] },
      ],
      config: {
        Env: [PATH, 'FOO=bar', 'EMPTY='],
        Entrypoint: ['/bin/entry'],
        Cmd: ['one', 'two'],
        User: '1000:1000',
        WorkingDir: '/work/deep',
        Volumes: { '/data': {} },
        ExposedPorts: { '80/tcp': {}, '53/udp': {} },
        Labels: { maker: 'dewar', 'org.example.kind': 'test' },
        StopSignal: 'SIGINT',
      },
    },
    {
      name: 'healthy:latest',
      layers: [base],
      config: {
        ...config,
        Cmd: ['sleep', '1000'],
        Healthcheck: { Test: ['CMD-SHELL', 'test -e /ok'], Interval: 1e9, Timeout: 2e9, Retries: 2 },
      },
    },
    { name: 'layered:latest', layers: [base, ...layeredTree()], config },
  ]
}

/** Two layers on top of a base that use everything a layer can say. */
function layeredTree(): Layer[] {
  const long = 'long/'.repeat(40) + 'n'.repeat(180)
  const file = (name: string, content: string, more: Partial<Member> = {}): Member => ({
    name,
    mode: 0o644,
    content,
    ...more,
  })
  return [
    {
      members: [
        file('l/kept', 'lower\n'),
        file('l/deleted', 'gone\n'),
        file('l/changed', 'before\n'),
        { name: 'l/opaque/', type: 'directory' },
        file('l/opaque/hidden', 'hidden\n'),
        { name: 'l/tree/', type: 'directory' },
        file('l/tree/leaf', 'leaf\n'),
        file('l/hard-a', 'same inode\n'),
        { name: 'l/hard-b', type: 'link', linkname: 'l/hard-a', mode: 0o644 },
        file('l/setuid', 'x', { mode: 0o4755 }),
        file('l/owned', 'x', { uid: 1000, gid: 29 }),
        file('l/xattr', 'x', { pax: { 'SCHILY.xattr.user.colour': 'blue' } }),
        { name: 'l/fifo', type: 'fifo', mode: 0o644 },
        { name: 'l/null', type: 'character-device', devmajor: 1, devminor: 3, mode: 0o666 },
        { name: 'l/link', type: 'symlink', linkname: '../etc/passwd' },
        file(`l/${long}`, 'deep\n'),
        file('l/späße ☃', 'unicode\n'),
      ],
    },
    {
      members: [
        file('l/.wh.deleted', ''),
        file('l/changed', 'after\n'),
        { name: 'l/opaque/', type: 'directory' },
        file('l/opaque/.wh..wh..opq', ''),
        file('l/opaque/visible', 'visible\n'),
        file('l/.wh.tree', ''),
      ],
    },
  ]
}
