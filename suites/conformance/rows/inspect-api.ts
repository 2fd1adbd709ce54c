import type { Row } from '../row.ts'

const call = (method: string, path: string, body?: string, more = '') =>
  `curl -s --unix-socket $SOCK -X ${method} ${more} ${body === undefined ? '' : `-H 'Content-Type: application/json' --data-binary '${body}'`} --path-as-is 'http://d${path}' -w '\\n%{http_code}\\n'`
const notCli = 'speaks to the API'

/** inspect, info, version, and the API itself with bad input. */
export const inspectRows: readonly Row[] = [
  {
    name: 'inspect of the state',
    script: `docker run --name cx busybox sh -c 'exit 2'; docker inspect -f '{{json .State}}' cx`,
    shows: /"ExitCode":2/,
    normalise: [[/"Pid":\d+/g, '"Pid":N']],
  },
  {
    name: 'inspect of the state while running',
    script: `docker run -d --name cx busybox sleep 99; docker inspect -f '{{.State.Status}} {{.State.Running}} {{.State.FinishedAt}} {{gt .State.Pid 1}}' cx`,
    shows: /running true TIME true/,
  },
  {
    name: 'inspect of the configuration',
    script: `docker create --name cx -h box -e A=1 -l k=v -w /tmp -u user --stop-signal INT --stop-timeout 3 -it busybox echo 1; docker inspect -f '{{json .Config}}' cx | jq -S 'del(.AttachStdin,.AttachStdout,.AttachStderr)'`,
    shows: /"Hostname": "box"/,
  },
  {
    name: 'inspect of the host configuration',
    script: `docker create --name cx -m 32m --cpus 0.5 --pids-limit 9 --cap-add NET_ADMIN --cap-drop MKNOD --security-opt no-new-privileges --read-only --tmpfs /t --init --add-host a:1.2.3.4 --dns 1.1.1.1 --restart on-failure:2 --ulimit nofile=9 --shm-size 1m --device /dev/null --log-opt max-size=1m --network none busybox true; docker inspect -f '{{json .HostConfig}}' cx | jq -S '{Memory,NanoCpus,PidsLimit,CapAdd,CapDrop,SecurityOpt,ReadonlyRootfs,Tmpfs,Init,ExtraHosts,Dns,RestartPolicy,Ulimits,ShmSize,Devices,LogConfig,NetworkMode,Privileged,AutoRemove,IpcMode,PidMode,UTSMode}'`,
    shows: /"NanoCpus": 500000000/,
  },
  {
    name: 'inspect of defaults',
    script: `docker create --name cx busybox true; docker inspect -f '{{json .HostConfig}}' cx | jq -S '{Memory,NanoCpus,PidsLimit,CapAdd,SecurityOpt,ReadonlyRootfs,RestartPolicy,ShmSize,LogConfig,NetworkMode,IpcMode,PidMode,UTSMode,UsernsMode,MaskedPaths,ReadonlyPaths,Binds,PortBindings,OomKillDisable,Isolation,Runtime}'`,
    shows: /"ShmSize": 67108864/,
  },
  {
    name: 'inspect has these fields',
    script: `docker create --name cx busybox true; docker inspect cx | jq -S '.[0] | keys' | tr -d ' \\n'`,
    shows: /"AppArmorProfile"/,
  },
  {
    name: 'inspect of path, arguments, name, image, driver',
    script: `docker create --name cx busybox sh -c 'a b'; docker inspect -f '{{.Path}} {{json .Args}} {{.Name}} {{.Image}} {{.Driver}} {{.Platform}} {{.RestartCount}} {{json .ExecIDs}}' cx`,
    shows: /sh \["-c","a b"\] \/cx sha256/,
  },
  {
    name: 'inspect --size',
    script: `docker run --name cx busybox sh -c 'head -c 5000 /dev/zero >/f'; docker inspect -s -f '{{.SizeRw}}' cx`,
    shows: /5000/,
  },
  {
    name: 'inspect of two objects of two types',
    script: `docker create --name cx busybox true; docker inspect -f '{{.Id}}' cx configured`,
    shows: /ID64\nsha256/,
  },
  {
    name: 'inspect --type',
    script: `docker create --name busybox busybox true; docker inspect --type image -f '{{.Id}}' busybox; docker inspect --type container -f '{{.Id}}' busybox`,
    shows: /sha256/,
  },
  {
    name: 'inspect with a bad template',
    script: `docker create --name cx busybox true; docker inspect -f '{{.Nope.Nope}}' cx`,
    code: 1,
    shows: /template/,
  },
  {
    name: 'version --format',
    script: `docker version --format '{{.Server.Os}} {{.Server.Arch}}'`,
    shows: /linux amd64/,
  },
  {
    name: 'info --format',
    script: `docker info --format '{{.OSType}} {{.Architecture}} {{.NCPU}} {{.MemTotal}} {{.CgroupDriver}} {{.CgroupVersion}} {{.KernelVersion}} {{.LoggingDriver}} {{.Name}} {{.OperatingSystem}}'`,
    shows: /linux x86_64/,
  },
  {
    name: 'info counts',
    script: `docker run -d busybox sleep 99; docker create busybox true; docker run busybox true; docker info --format '{{.Containers}} {{.ContainersRunning}} {{.ContainersPaused}} {{.ContainersStopped}}'`,
    shows: /3 1 0 2/,
  },
  {
    name: 'an unknown command',
    script: `docker nosuchcommand`,
    code: 1,
    shows: /is not a docker command|unknown command/,
  },
  { name: 'API: ping', script: call('GET', '/_ping'), shows: /OK\n200/, notCli },
  {
    name: 'API: ping has its headers',
    script: `curl -sI --unix-socket $SOCK http://d/_ping | tr -d '\\r' | tr A-Z a-z | grep -E '^(ostype|cache-control|pragma|docker-experimental|content-type):' | sort`,
    shows: /Ostype: linux/i,
    notCli,
  },
  { name: 'API: unknown path', script: call('GET', '/v1.41/nosuch'), shows: /page not found[^]*404/, notCli },
  { name: 'API: version too old', script: call('GET', '/v1.1/containers/json'), shows: /400/, notCli },
  {
    name: 'API: version too new',
    script: call('GET', '/v9.99/containers/json'),
    shows: /client version 9.99 is too new[^]*400/,
    notCli,
  },
  {
    name: 'API: malformed JSON',
    script: call('POST', '/v1.41/containers/create', '{"Image": "busybox"'),
    shows: /[45]00/,
    notCli,
  },
  {
    name: 'API: wrong types',
    script: call('POST', '/v1.41/containers/create', '{"Image": 5}'),
    shows: /[45]00/,
    notCli,
  },
  {
    name: 'API: wrong types deep inside',
    script: call(
      'POST',
      '/v1.41/containers/create',
      '{"Image": "busybox", "HostConfig": {"Memory": "much"}}',
    ),
    shows: /[45]00/,
    notCli,
  },
  {
    name: 'API: no content type',
    script: `curl -s --unix-socket $SOCK -X POST -H 'Content-Type: text/plain' --data '{"Image":"busybox"}' http://d/v1.41/containers/create -w '\\n%{http_code}\\n'`,
    shows: /4\d\d/,
    notCli,
  },
  { name: 'API: empty body', script: call('POST', '/v1.41/containers/create', ''), shows: /[45]00/, notCli },
  {
    name: 'API: unknown fields are tolerated',
    script: `${call('POST', '/v1.41/containers/create?name=cx', '{"Image": "busybox", "Nonsense": {"a": 1}, "Cmd": ["true"]}')} | sed 's/"Id":"[^"]*"/"Id":"ID"/'`,
    shows: /201/,
    notCli,
  },
  {
    name: 'API: create of an unknown image',
    script: call('POST', '/v1.41/containers/create', '{"Image": "nosuch"}'),
    shows: /No such image: nosuch:latest[^]*404/,
    notCli,
  },
  {
    name: 'API: create without an image',
    script: call('POST', '/v1.41/containers/create', '{"Cmd": ["true"]}'),
    shows: /400|201/,
    notCli,
  },
  {
    name: 'API: bad filters',
    script: call('GET', '/v1.41/containers/json?filters=nonsense'),
    shows: /[45]00/,
    notCli,
  },
  {
    name: 'API: bad limit',
    script: call('GET', '/v1.41/containers/json?limit=many'),
    shows: /400|500/,
    notCli,
  },
  {
    name: 'API: start of nothing',
    script: call('POST', '/v1.41/containers/nosuch/start'),
    shows: /No such container: nosuch[^]*404/,
    notCli,
  },
  {
    name: 'API: start twice gives 304',
    script: `docker run -d --name cx busybox sleep 99; ${call('POST', '/v1.41/containers/cx/start')}`,
    shows: /304/,
    notCli,
  },
  {
    name: 'API: stop twice gives 304',
    script: `docker create --name cx busybox true; ${call('POST', '/v1.41/containers/cx/stop')}`,
    shows: /304/,
    notCli,
  },
  {
    name: 'API: path with dots',
    script: call('GET', '/v1.41/containers/../../etc/passwd/json'),
    shows: /\n(301|404)/,
    notCli,
  },
  {
    name: 'API: path with encoded dots',
    script: call('GET', '/v1.41/containers/%2e%2e%2f%2e%2e%2fetc/json'),
    shows: /404|301/,
    notCli,
  },
  {
    name: 'API: method not allowed',
    script: call('DELETE', '/v1.41/containers/json'),
    shows: /40[45]/,
    notCli,
  },
  {
    name: 'API: exec of nothing',
    script: call('POST', '/v1.41/exec/nosuch/start', '{}'),
    shows: /No such exec instance: nosuch[^]*404/,
    notCli,
  },
  {
    name: 'API: exec without a command',
    script: `docker run -d --name cx busybox sleep 99; ${call('POST', '/v1.41/containers/cx/exec', '{"AttachStdout":true}')}`,
    shows: /No exec command specified[^]*400/,
    notCli,
  },
  {
    name: 'API: list shape',
    script: `docker run -d --name cx -p 8098:80 -l a=b busybox sleep 99 >/dev/null; curl -s --unix-socket $SOCK http://d/v1.41/containers/json | jq -S '.[0] | {Names,Image,ImageID,Command,State,Status,Labels,HostConfig,Ports,Mounts} , (keys|tostring)'`,
    shows: /"PublicPort": 8098/,
    notCli,
  },
  {
    name: 'API: wait gives the code',
    script: `docker run -d --name cx busybox sh -c 'exit 4' >/dev/null; ${call('POST', '/v1.41/containers/cx/wait')} | sed 's/"Error":null,//'`,
    shows: /"StatusCode":4/,
    notCli,
  },
  {
    name: 'API: wait with a bad condition',
    script: `docker create --name cx busybox true; ${call('POST', '/v1.41/containers/cx/wait?condition=nope')}`,
    shows: /400|200/,
    notCli,
  },
  {
    name: 'API: archive without a path',
    script: `docker create --name cx busybox true; ${call('GET', '/v1.41/containers/cx/archive')}`,
    shows: /400/,
    notCli,
  },
  {
    name: 'API: resize with nonsense',
    script: `docker create --name cx busybox true; ${call('POST', '/v1.41/containers/cx/resize?h=a&w=b')}`,
    shows: /400/,
    notCli,
  },
]
