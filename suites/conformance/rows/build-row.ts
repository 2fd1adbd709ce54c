import type { Row } from '../row.ts'

/** A build of a context of its own, `c`, and what is looked at after it. */
export interface BuildRow extends Omit<Row, 'script'> {
  /** `c/Dockerfile`; none when not given. */
  readonly dockerfile?: string
  /** Shell, run before the build in the folder that has `c`. */
  readonly prepare?: string
  readonly options?: string
  /** What is built: `c` when not given. Words of a shell. */
  readonly context?: string
  /** Shell, run after a build that went well. */
  readonly then?: string
}

/** How the client says what it sends, and that it has no BuildKit. */
const CLIENT_LINES: NonNullable<Row['normalise']> = [
  [/^DEPRECATED: The legacy builder.*\n(?: {2,}.*\n)*\n?/gm, ''],
  [/^Sending build context to Docker daemon .*\n/gm, ''],
  [/^Sending build context to Docker daemon[^\n]*\r\r\n/gm, ''],
  [/^\r*\n/gm, ''],
  [/\bsha256:[0-9a-f]{64}\b/g, 'SHA256'],
]

export function buildRow(row: BuildRow): Row {
  const { dockerfile, prepare = '', options = '', context = 'c', then = '', normalise = [], ...rest } = row
  const file =
    dockerfile === undefined
      ? ''
      : `cat > c/Dockerfile <<'END-OF-DOCKERFILE'\n${dockerfile}\nEND-OF-DOCKERFILE\n`
  return {
    timeout: 90_000,
    ...rest,
    script: [
      'export DOCKER_BUILDKIT=0; umask 022; mkdir c',
      file + prepare,
      `docker build -t built ${options} ${context} || exit`,
      then,
    ].join('\n'),
    normalise: [...CLIENT_LINES, ...normalise],
  }
}

/** The configuration that a build is to make; newer engines leave out what is empty. */
export const SHOW_CONFIG = `docker image inspect built | jq -S '.[0] | {Author, Architecture, Os, Config: (.Config |
  {User,ExposedPorts,Env,Cmd,Healthcheck,Volumes,WorkingDir,Entrypoint,OnBuild,Labels,StopSignal,Shell} |
  with_entries(select(.value != null and .value != "")))}'`

/** Its steps, newest first. */
export const SHOW_HISTORY = `docker history --no-trunc --format '{{.CreatedBy}}|{{.Size}}|{{.Comment}}' built`

/** Everything below folders and files of the image: kind, mode, owner, name. */
export const showFiles = (...paths: readonly string[]): string =>
  `docker run --rm --entrypoint sh -u 0 built -c 'for p in ${paths.join(' ')}; do find $p; done | sort | while read f; do stat -c "%A %u:%g %N" "$f"; done'`

/** A web server on the loopback with the files of `www`, until the row ends. */
export const SERVE = `busybox httpd -f -p 127.0.0.1:8099 -h www & server=$!; trap 'kill $server' EXIT
  until curl -so /dev/null http://127.0.0.1:8099/; do sleep 0.05; done`
