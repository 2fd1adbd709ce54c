import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, type CommandResult } from '../harness/command.ts'
import type { Server } from '../harness/server.ts'
import { REGISTRY } from './client-side.ts'

/** A web service, a database and a cache, with what compose files of real projects use. */
const SHOP = `
services:
  web:
    image: ${REGISTRY}/web
    init: true
    ports: ["80"]
    stop_grace_period: 2s
    environment: { GREETING: "hello from \${WHO:-nobody}" }
    extra_hosts: ["legacy.example:10.9.8.7"]
    depends_on:
      db: { condition: service_healthy }
      cache: { condition: service_started }
    networks: [front, back]
  db:
    image: ${REGISTRY}/postgres
    healthcheck:
      test: ["CMD", "pg_isready", "-h", "127.0.0.1", "-U", "postgres"]
      interval: 500ms
      timeout: 5s
      retries: 300
    volumes: ["data:/var/lib/postgresql/data"]
    networks: [back]
  cache:
    image: ${REGISTRY}/redis
    command: ["--save", ""]
    read_only: true
    tmpfs: [/data]
    cap_drop: [ALL]
    mem_limit: 64m
    ulimits: { nofile: 2048 }
    sysctls: { net.core.somaxconn: 777 }
    labels: { kind: cache }
    logging: { driver: json-file, options: { max-size: 1m, max-file: "2" } }
    networks: { back: { aliases: [store] } }
  job:
    image: ${REGISTRY}/busybox
    profiles: [batch]
    volumes: ["./input:/input:ro"]
    depends_on: [cache]
    networks: [back]
    command: ["cat", "/input/greeting"]
volumes:
  data: { labels: { keep: "no" } }
networks:
  front: {}
  back: { internal: true }
`

/** `docker compose` or `docker-compose` on one project of one server. */
export interface Compose {
  /** It must succeed; its output without the last newline. */
  run(...args: readonly string[]): Promise<string>
  /** It may fail. */
  attempt(...args: readonly string[]): Promise<CommandResult>
  /** `exec -T SERVICE ARGV`. */
  exec(service: string, ...argv: readonly string[]): Promise<string>
  readonly server: Server
  readonly project: string
}

/** Writes the project's files. A compose file of another content may be given. */
export async function composeProject(
  server: Server,
  program: readonly string[],
  project: string,
  file = SHOP,
): Promise<Compose> {
  const folder = join(server.folder, project)
  await mkdir(join(folder, 'input'), { recursive: true })
  await writeFile(join(folder, 'input', 'greeting'), 'read from the host\n')
  await writeFile(join(folder, 'docker-compose.yml'), file.trimStart())
  const attempt: Compose['attempt'] = (...args) =>
    server.run([...program, '-p', project, ...args], {
      cwd: folder,
      timeout: 240_000,
      env: {
        WHO: 'the shop',
        // As it comes, v1 has the docker command attach. Its own way loses output, on dockerd too: for `run` it attaches
        // after the start (dockerpty's sockets are a lazy `map`), for `exec` what comes with the answer's headers is gone.
        COMPOSE_INTERACTIVE_NO_CLI: undefined,
        COMPOSE_PROGRESS: 'plain',
        // v2 builds with BuildKit otherwise, in a container of an image of its own where the engine has none.
        DOCKER_BUILDKIT: '0',
      },
    })
  const run: Compose['run'] = async (...args) => {
    const result = await attempt(...args)
    assert.equal(result.code, 0, describe([...program, ...args], result))
    // v2 erases each line of a log before it writes it, whatever standard output is.
    return result.stdout.replaceAll('\u001B[2K', '').replace(/\n$/, '')
  }
  return {
    server,
    project,
    attempt,
    run,
    exec: (service, ...argv) => run('exec', '-T', service, ...argv),
  }
}
