import type { Row } from '../row.ts'

const notCli = 'speaks to the API'

/** Status code, then the shape of the body: each field with the type of its value, maps of the user's by one name. */
const SHAPE = `jq -cS 'def s: if type=="object" then (if (keys|length)>0 and (keys|all(test("^(sha256:)?[0-9a-f]{64}$|^eth[0-9]+$|/(tcp|udp)$"))) then {KEY:(to_entries[0].value|s)} else with_entries(.value|=s) end) elif type=="array" then (if length==0 then [] else [.[0]|s] end) else type end; s'`

const shape = (method: string, path: string, body?: string): string =>
  `curl -s --unix-socket $SOCK -X ${method} ${body === undefined ? '' : `-H 'Content-Type: application/json' --data-binary '${body}'`} 'http://d/v1.41${path}' -o out -w '%{http_code}\\n'; ${SHAPE} out 2>/dev/null || cat out`

const text = (method: string, path: string, body?: string): string =>
  `curl -s --unix-socket $SOCK -X ${method} ${body === undefined ? '' : `-H 'Content-Type: application/json' --data-binary '${body}'`} 'http://d/v1.41${path}' -w '\\n%{http_code}\\n'`

const UP = 'docker run -d --name cx -l k=v busybox sleep 99 >/dev/null;'
const filters = (map: object): string => `filters=${encodeURIComponent(JSON.stringify(map))}`

interface Case {
  readonly name: string
  readonly script: string
  readonly shows: RegExp
}

const shapes: readonly Case[] = [
  { name: 'containers/json', script: `${UP} ${shape('GET', '/containers/json')}`, shows: /"Names"/ },
  { name: 'containers/json with sizes', script: `${UP} docker exec cx sh -c 'echo x >/f'; ${shape('GET', '/containers/json?size=1')}`, shows: /"SizeRw"/ },
  { name: 'container inspect, state', script: `${UP} ${shape('GET', '/containers/cx/json')} | jq -cS .State`, shows: /"StartedAt"/ },
  { name: 'top', script: `${UP} ${shape('GET', '/containers/cx/top')}`, shows: /"Titles"/ },
  { name: 'top with arguments', script: `${UP} ${text('GET', '/containers/cx/top?ps_args=-o%20pid,comm')} | grep -o '"PID","COMMAND"'`, shows: /COMMAND/ },
  { name: 'changes', script: `${UP} docker exec cx touch /new; ${text('GET', '/containers/cx/changes')}`, shows: /"\/new"/ },
  { name: 'changes of nothing', script: `${UP} ${text('GET', '/containers/cx/changes')}`, shows: /null|\[\]/ },
  { name: 'stats of a stopped container', script: `docker create --name cx busybox true >/dev/null; ${shape('GET', '/containers/cx/stats?stream=0')}`, shows: /"read"/ },
  { name: 'wait', script: `docker run --name cx busybox sh -c 'exit 3'; ${text('POST', '/containers/cx/wait')}`, shows: /"StatusCode":3/ },
  { name: 'archive head', script: `${UP} curl -s -I --unix-socket $SOCK 'http://d/v1.41/containers/cx/archive?path=/etc/passwd' | tr -d '\\r' | awk 'tolower($1)=="x-docker-container-path-stat:"{print $2}' | base64 -d | jq -cS '{name,mode,linkTarget}'`, shows: /"passwd"/ },
  { name: 'exec create and inspect', script: `${UP} id=$(curl -s --unix-socket $SOCK -H 'Content-Type: application/json' -d '{"Cmd":["true","x"],"User":"root"}' http://d/v1.41/containers/cx/exec | jq -r .Id); ${shape('GET', '/exec/')}; curl -s --unix-socket $SOCK http://d/v1.41/exec/$id/json | jq -cS 'del(.ID,.ContainerID)'`, shows: /ProcessConfig/ },
  { name: 'update', script: `${UP} ${text('POST', '/containers/cx/update', '{"PidsLimit":50,"RestartPolicy":{"Name":"always"}}')}; docker inspect -f '{{.HostConfig.PidsLimit}} {{.HostConfig.RestartPolicy.Name}}' cx`, shows: /50 always/ },
  { name: 'images/json', script: shape('GET', '/images/json'), shows: /"RepoTags"/ },
  { name: 'image history', script: shape('GET', '/images/layered/history'), shows: /"CreatedBy"/ },
  { name: 'networks', script: shape('GET', `/networks?${filters({ name: ['bridge'] })}`), shows: /"IPAM"/ },
  { name: 'network create and inspect', script: `${shape('POST', '/networks/create', '{"Name":"n9","Labels":{"a":"b"}}')}; ${shape('GET', '/networks/n9')} | tail -1 | jq -c '[.Name,.Driver,.Internal,.Labels]'`, shows: /"Id"/ },
  { name: 'volumes', script: `docker volume create v9 >/dev/null; ${shape('GET', '/volumes')}`, shows: /"Mountpoint"/ },
  { name: 'volume create', script: shape('POST', '/volumes/create', '{"Name":"v9","Labels":{"a":"b"}}'), shows: /"CreatedAt"/ },
  { name: 'volume with driver options', script: `${text('POST', '/volumes/create', '{"Name":"v9","DriverOpts":{"type":"tmpfs","device":"tmpfs","o":"size=4m"}}')} | jq -cS '.Options // empty'; docker run --rm -v v9:/v busybox df -k /v | tail -1 | awk '{print $2}'`, shows: /4096/ },
  { name: 'df', script: `${UP} docker volume create v9 >/dev/null; ${shape('GET', '/system/df')} | jq -cS '{c:(.Containers[0]|keys?),v:(.Volumes[0]|keys?),k:(keys?)}' 2>/dev/null`, shows: /LayersSize/ },
  { name: 'prune of containers', script: `docker run --name cx busybox true; curl -s --unix-socket $SOCK -X POST http://d/v1.41/containers/prune | jq -c '[(.ContainersDeleted|length),(.SpaceReclaimed|type)]'`, shows: /\[1,"number"\]/ },
  { name: 'prune of nothing', script: text('POST', '/networks/prune'), shows: /NetworksDeleted/ },
  { name: 'distribution', script: `curl -s --unix-socket $SOCK 'http://d/v1.41/distribution/127.0.0.1:5000/busybox/json' | jq -cS '[(.Descriptor.digest|length),.Descriptor.mediaType,.Platforms]'`, shows: /71,"application\/vnd/ },
] // prettier-ignore

/** Refusals: the status, and the words where they are those of today's dockerd too. */
const refusals: readonly Case[] = [
  ...['json', 'top', 'logs?stdout=1', 'changes', 'stats?stream=0', 'export', 'archive?path=/'].map((what): Case => ({
    name: `${what} of nobody`,
    script: text('GET', `/containers/nosuch/${what}`),
    shows: /No such container: nosuch[^]*404/,
  })),
  ...['start', 'stop', 'restart', 'kill', 'pause', 'unpause', 'wait', 'rename?name=x', 'resize?h=1&w=1', 'attach'].map((what): Case => ({
    name: `${what} of nobody`,
    script: `${text('POST', `/containers/nosuch/${what}`)} | tail -1`,
    shows: /404/,
  })),
  { name: 'start of one that runs', script: `${UP} ${text('POST', '/containers/cx/start')}`, shows: /304/ },
  { name: 'stop of one that does not', script: `docker create --name cx busybox true >/dev/null; ${text('POST', '/containers/cx/stop')}`, shows: /304/ },
  { name: 'pause twice', script: `${UP} docker pause cx >/dev/null; ${text('POST', '/containers/cx/pause')} | tail -1`, shows: /409/ },
  { name: 'unpause of one that is not', script: `${UP} ${text('POST', '/containers/cx/unpause')} | tail -1`, shows: /409|500/ },
  { name: 'logs without a stream', script: `${UP} ${text('GET', '/containers/cx/logs')}`, shows: /you must choose at least one stream[^]*400/ },
  { name: 'remove of one that runs', script: `${UP} ${text('DELETE', '/containers/cx')} | tail -1`, shows: /409/ },
  { name: 'remove of nobody', script: text('DELETE', '/containers/nosuch'), shows: /404/ },
  { name: 'create under a name in use', script: `${UP} ${text('POST', '/containers/create?name=cx', '{"Image":"busybox"}')} | tail -1`, shows: /409/ },
  { name: 'create of an unknown image', script: text('POST', '/containers/create', '{"Image":"nosuch"}'), shows: /No such image: nosuch[^]*404/ },
  { name: 'image of nothing', script: text('GET', '/images/nosuch/json'), shows: /No such image: nosuch[^]*404/ },
  { name: 'history of nothing', script: `${text('GET', '/images/nosuch/history')} | tail -1`, shows: /404/ },
  { name: 'tag of nothing', script: `${text('POST', '/images/nosuch/tag?repo=x')} | tail -1`, shows: /404/ },
  { name: 'remove of no image', script: `${text('DELETE', '/images/nosuch')} | tail -1`, shows: /404/ },
  { name: 'network of nothing', script: text('GET', '/networks/nosuch'), shows: /404/ },
  { name: 'removal of no network', script: `${text('DELETE', '/networks/nosuch')} | tail -1`, shows: /404/ },
  { name: 'volume of nothing', script: text('GET', '/volumes/nosuch'), shows: /404/ },
  { name: 'removal of no volume', script: text('DELETE', '/volumes/nosuch'), shows: /404/ },
  { name: 'removal of no volume by force', script: text('DELETE', '/volumes/nosuch?force=1'), shows: /204/ },
  { name: 'volume in use', script: `docker run -d --name cx -v v9:/v busybox sleep 99 >/dev/null; ${text('DELETE', '/volumes/v9')} | tail -1`, shows: /409/ },
  { name: 'exec of nobody', script: `${text('POST', '/containers/nosuch/exec', '{"Cmd":["true"]}')} | tail -1`, shows: /404/ },
  { name: 'exec that is not there', script: `${text('GET', '/exec/nosuch/json')}`, shows: /404/ },
  { name: 'exec without a command', script: `${UP} ${text('POST', '/containers/cx/exec', '{"Cmd":[]}')} | tail -1`, shows: /400/ },
  { name: 'archive of a path that is not there', script: `${UP} ${text('GET', '/containers/cx/archive?path=/nosuch')} | tail -1`, shows: /404/ },
  { name: 'events until before since', script: `${text('GET', '/events?since=20&until=10')} | tail -1`, shows: /400/ },
  { name: 'a page that is not there', script: text('GET', '/nosuch'), shows: /page not found[^]*404/ },
  { name: 'a method that is not there', script: `${text('PUT', '/info')} | tail -1`, shows: /405|404/ },
] // prettier-ignore

export const rawApiRows: readonly Row[] = [...shapes, ...refusals].map((row) => ({
  ...row,
  name: `raw API: ${row.name}`,
  notCli,
}))
