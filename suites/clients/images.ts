import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { lstat, mkdir, readdir, readFile, readlink, realpath, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { command } from '../harness/command.ts'
import { busyboxTree } from '../harness/image-recipes.ts'
import type { ImageRecipe, Member } from '../harness/oci-layout.ts'
import { startRegistry } from '../harness/registry.ts'
import { findProgram } from '../harness/requirement.ts'
import { freePort } from '../harness/free-port.ts'
import { REAPER_MEMBERS } from './reaper-image.ts'

const CACHE = process.env['DEWAR_TEST_CACHE'] ?? '/var/cache/dewar-tests'
const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const POSTGRES = '/usr/lib/postgresql/15'

/** A web server, a cache and a database; a client of the engine's socket. */
async function recipes(): Promise<ImageRecipe[]> {
  const base = { members: busyboxTree() }
  const config = { Env: [PATH], Cmd: ['sh'] }
  return [
    { name: 'busybox:latest', layers: [base], config },
    {
      name: 'web:latest',
      layers: [base, { members: webTree() }],
      config: {
        ...config,
        Cmd: ['httpd', '-f', '-v', '-p', '80', '-h', '/www'],
        ExposedPorts: { '80/tcp': {} },
        WorkingDir: '/www',
      },
    },
    {
      name: 'redis:latest',
      layers: [base, { members: await programs(['redis-server', 'redis-cli'].map(pathOf)) }],
      config: {
        Env: [PATH],
        Entrypoint: ['redis-server', '--protected-mode', 'no', '--dir', '/data'],
        ExposedPorts: { '6379/tcp': {} },
        Volumes: { '/data': {} },
      },
    },
    await postgresImage(base),
    {
      name: 'reaper:latest',
      layers: [base, { members: [...(await programs([pathOf('curl')])), ...REAPER_MEMBERS] }],
      config: { Env: [PATH], Cmd: ['reaper'], ExposedPorts: { '8080/tcp': {} } },
    },
  ]
}

/** Initialises its volume as the user the image names, which works when copy-up keeps owners. */
async function postgresImage(base: ImageRecipe['layers'][number]): Promise<ImageRecipe> {
  const data = '/var/lib/postgresql/data'
  const start = [
    '#!/bin/sh -e',
    `[ -e ${data}/PG_VERSION ] || initdb --no-sync --no-locale -E UTF8 -A trust -U postgres ${data} >/dev/null`,
    `grep -q '^host all all all' ${data}/pg_hba.conf || echo 'host all all all trust' >> ${data}/pg_hba.conf`,
    `exec postgres -D ${data} -k /tmp -c listen_addresses='*' -c fsync=off "$@"`,
    '',
  ].join('\n')
  const binaries = ['postgres', 'initdb', 'psql', 'pg_isready'].map((name) => join(POSTGRES, 'bin', name))
  const owned = (name: string, mode: number): Member => ({
    name,
    type: 'directory',
    mode,
    uid: 999,
    gid: 999,
  })
  return {
    name: 'postgres:latest',
    layers: [
      base,
      {
        members: [
          ...(await programs(binaries)),
          ...(await tree(
            '/usr/share/postgresql/15',
            /\.(sql|sample|txt|bki|control)$|timezonesets|\/tsearch_data/,
          )),
          ...(await tree(join(POSTGRES, 'lib'), /\/(dict_snowball|plpgsql)\.so$/)),
          ...(await tree('/usr/share/zoneinfo', /\/(UTC|Etc)(\/|$)/)),
          owned(`${data.slice(1, -'/data'.length)}/`, 0o755),
          owned(`${data.slice(1)}/`, 0o700),
          {
            name: 'etc/passwd',
            mode: 0o644,
            content: 'root:x:0:0::/root:/bin/sh\npostgres:x:999:999::/tmp:/bin/sh\n',
          },
          { name: 'bin/start', content: start },
        ],
      },
    ],
    config: {
      Env: [`${PATH}:${POSTGRES}/bin`],
      Entrypoint: ['start'],
      User: 'postgres',
      StopSignal: 'SIGINT',
      ExposedPorts: { '5432/tcp': {} },
      Volumes: { [data]: {} },
    },
  }
}

function webTree(): Member[] {
  return [
    { name: 'www/', type: 'directory' },
    { name: 'www/cgi-bin/', type: 'directory' },
    { name: 'www/index.html', mode: 0o644, content: 'the web service\n' },
    {
      name: 'www/cgi-bin/whoami',
      content: '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n"\nhostname\n',
    },
  ]
}

function pathOf(name: string): string {
  const path = findProgram(name)
  if (path === undefined) throw new Error(`making an image: no ${name} on this machine; apt-get install it`)
  return path
}

/** Programs with all libraries that ldd names, each under its own path. */
async function programs(paths: readonly string[]): Promise<Member[]> {
  const linked = await command(['ldd', ...paths], { check: true })
  const libraries = [...linked.stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path)
  const all = [...new Set([...paths, ...libraries])]
  return Promise.all(
    all.map(async (path) => ({ name: path.slice(1), content: await readFile(await realpath(path)) })),
  )
}

/** The files below a folder whose path matches. */
async function tree(folder: string, wanted: RegExp): Promise<Member[]> {
  const names = (await readdir(folder, { recursive: true })).sort()
  const members = await Promise.all(
    names.map(async (name): Promise<Member | undefined> => {
      const path = join(folder, name)
      if (!wanted.test(path)) return undefined
      const status = await lstat(path)
      if (status.isSymbolicLink())
        return { name: path.slice(1), type: 'symlink', linkname: await readlink(path), mode: 0o777 }
      if (!status.isFile()) return undefined
      return { name: path.slice(1), mode: 0o644, content: await readFile(path) }
    }),
  )
  return members.filter((member) => member !== undefined)
}

/** A registry's storage with these images, made once per machine; serve a copy of it. */
export function clientImages(): Promise<string> {
  return (images ??= makeImages())
}
let images: Promise<string> | undefined

async function makeImages(): Promise<string> {
  const made = await recipes()
  const hash = createHash('sha256')
  for (const { layers, config } of made) {
    hash.update(JSON.stringify(config))
    for (const layer of layers)
      if ('members' in layer)
        for (const { content = '', ...header } of layer.members)
          hash.update(JSON.stringify(header)).update(content)
  }
  const storage = join(CACHE, `clients-${hash.digest('hex').slice(0, 12)}`)
  if (existsSync(storage)) return storage
  const fresh = `${storage}.${process.pid}`
  await mkdir(dirname(storage), { recursive: true })
  await mkdir(fresh)
  const work = `${fresh}.work`
  await mkdir(work)
  try {
    await using registry = await startRegistry({ storage: fresh, folder: work, port: await freePort() })
    for (const image of made) await registry.push(image)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  await rename(fresh, storage).catch(async () => rm(fresh, { recursive: true }))
  return storage
}
