/**
 * Where Dewar answers otherwise than dockerd 26, row by row, with the reason. An entry that no longer differs fails the
 * suite: it is no blank cheque.
 */

const CLEARER = 'a request that is wrong is told so: the API’s documentation says 400, dockerd 28 mostly does'
const EARLIER = 'refused when it is created: with dockerd it cannot be started then'
const LENIENT_TIME = 'every form of time that the docker client knows is taken from other clients, too'

/** The row, as it stands in the table, dockerd's status and ours. */
export const STATUS: readonly (readonly [row: string | RegExp, theirs: number, ours: number, why: string])[] =
  [
    [/^GET \/containers\/json\?(limit=x|filters=\{"expose":\["x)/, 500, 400, CLEARER],
    ['GET /containers/json?filters={"publish":["1-2-3"]}', 200, 400, CLEARER],
    ['GET /containers/run/top?ps_args=-o comm', 500, 400, CLEARER],
    [/\/logs\?stdout=1&(since|until)=nonsense$/, 500, 400, CLEARER],
    ['GET /containers/talk/logs?stdout=1&since=2020-01-01T00:00:00Z', 500, 200, LENIENT_TIME],
    [/"json-file","Config":\{"(max-size":"x|max-file":"0|compress":"maybe)/, 201, 400, EARLIER],
    [/"Type":"(syslog|journald)"/, 201, 400, 'the drivers json-file, local and none are built'],
    [/"CpuShares":-5|"80\/nosuch"|"ExposedPorts":\{"x"|"Volumes":\{"relative"/, 201, 400, EARLIER],
    [/\/tty\/resize\?h=(99999|-1)/, 200, 400, 'terminals have 16 bits for a size; dockerd cuts the rest off'],
    [/\/(stop|restart)\?(t=x|signal=nosuch)$/, 500, 400, CLEARER],
    [
      'POST /containers/run/update <- {"BlkioWeight":5}',
      200,
      400,
      'dockerd looks at blkio.weight alone, not at bfq’s',
    ],
    ['GET /containers/run/archive?path=/made/file/', 500, 404, CLEARER],
    [/^PUT .*(@deep-is-file|@file-is-deep|@garbage)$/, 500, 400, CLEARER],
    ['PUT /containers/run/archive?path=/made/file <- @tar', 500, 404, CLEARER],
    [/^PUT .*(path=\/ro|bare\/archive.*) <- @tar$/, 500, 403, 'the API’s documentation says 403'],
    [
      'POST /exec/{e1}/start <- {"Detach":false}',
      200,
      409,
      'what has already run is refused, not told in a stream',
    ],
    ['POST /exec/{e5}/start <- {"Detach":true}', 500, 400, CLEARER],
    ['POST /containers/run/exec <- {"Cmd":["true"],"DetachKeys":"nonsense"}', 500, 400, CLEARER],
    ['GET /containers/nosuch/attach/ws', 404, 400, 'the handshake is looked at first'],
    [/^(GET|POST) \/images\/(json|prune)\?filters=\{"(reference":\["\[x|until":\["x)/, 500, 400, CLEARER],
    [/^POST \/images\/busybox\/tag(\?repo=)?$/, 200, 400, CLEARER],
    ['GET /images/get', 200, 400, CLEARER],
    [
      /^POST \/images\/load( <- @(garbage|tar))?$/,
      200,
      400,
      'what fails before the first line is answered by a status',
    ],
    [/^POST \/images\/create(\?fromSrc=- <- @garbage)?$/, 500, 400, CLEARER],
    [/^POST \/images\/.*\/push\?tag=/, 400, 200, 'like dockerd 28: credentials may be left out'],
    [/^POST \/build(\?remote=nonsense| <- @garbage|\?t=UPPER <- @context)$/, 500, 400, CLEARER],
    ['POST /build?memory=x <- @context', 200, 400, CLEARER],
    ['GET /networks?filters={"type":["x"]}', 500, 400, CLEARER],
    [
      'POST /networks/n2/disconnect <- {"Container":"run"} (again)',
      500,
      403,
      'the API’s documentation says 403',
    ],
    ['POST /auth <- nojson', 500, 400, CLEARER],
    [/^GET \/events\?since=(1h|2020-)/, 500, 200, LENIENT_TIME],
    [/^GET \/events\?(since|until)=x$/, 500, 400, CLEARER],
    ['GET /events?since=1&until=2&filters={"nosuch":["x"]}', 200, 400, CLEARER],
    ['OPTIONS /version', 200, 404, 'dockerd answers browsers of other origins; Dewar serves none'],
    ['POST /grpc', 500, 400, CLEARER],
    ['DELETE /containers/talk?link=1', 500, 409, 'dockerd says "Conflict" with 500'],
  ]

/** A line of a shape that one of both has alone: `path: type` of shape.ts. */
export const SHAPE: readonly (readonly [row: RegExp, line: RegExp, why: string])[] = [
  [/containers\/.*json/, /HostConfig\.(Dns|DnsOptions|DnsSearch|PortBindings): /, 'empty rather than null'],
  [/containers\/.*json/, /HostConfig\.OomKillDisable: /, 'null rather than false on cgroup v1, too'],
  [
    /json|system\/df/,
    /Networks\.\w+\.(Aliases|DNSNames)(\[\])?: /,
    'names are shown for what does not run, and by all versions that know them',
  ],
  [/stats/, /memory_stats\.stats\./, 'whatever the kernel counts is shown'],
  [/one-shot/, /^\.(name|id): string$/, 'dockerd 26 forgets them'],
  [/containers\/create/, /^\.Warnings\[\]: string$/, 'log options that are kept in another way are told of'],
  [/"BlkioWeight":300/, /^\.Warnings/, 'dockerd looks at blkio.weight alone, not at bfq’s'],
  [/version/, /NodeVersion/, 'of Dewar'],
  [/info/, /\.Runtimes\./, 'isolation levels stand where dockerd has runtimes'],
  [/info/, /^\.KernelMemory: /, 'no kernel that Dewar runs on has it'],
  [/images\/json|system\/df/, /RepoDigests: null$/, 'empty rather than null, as from API 1.43 on'],
  [/v1\.25\/images/, /^\.Container: string$/, 'empty, as older dockerds sent it'],
]

/** Rows whose bodies are not compared: what they hold depends on the moment. */
export const UNLIKE: readonly (readonly [row: RegExp, why: string])[] = [
  [/^~ GET \/containers\/(run|done)\/stats$/, 'dockerd’s first sample comes after a second or two'],
  [/^~ /, 'how much comes in a second differs'],
  [
    /healthy\/json/,
    'whether a probe has ended yet is a matter of time, and dockerd shows it among the execs',
  ],
  [/dangling":\["true"\]/, 'docs/API.md: dockerd lists networks that are used, too'],
  [/attach(\/ws|\?detachKeys=nonsense)|nosuch\/attach/, 'dockerd names a stream and sends a message as text'],
]
