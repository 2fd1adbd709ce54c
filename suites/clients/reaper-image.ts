/**
 * A reaper for testcontainers: what `testcontainers/ryuk` does (it cannot be pulled where Dewar is tested), as far as its
 * protocol goes: each client sends lines `label=KEY=VALUE`, is answered ACK, and some seconds after it has gone all that has
 * these labels is removed, by the engine's socket that is mounted at /var/run/docker.sock. The reaper itself goes last.
 */
import type { Member } from '../harness/oci-layout.ts'

const REAPER = `#!/bin/sh
echo Started
exec nc -ll -p 8080 -e session
`

const SESSION = `#!/bin/sh
while read -r line; do
  filters="$filters $(echo "\${line#label=}" | tr -d '\\r')"
  echo ACK
done
sleep "\${RYUK_RECONNECTION_TIMEOUT:-10s}"
self=$(hostname)
ask() { curl -sS --unix-socket /var/run/docker.sock "$@"; }
for filter in $filters; do
  found() {
    ask -G --data-urlencode "filters={\\"label\\":[\\"$filter\\"]}" "http://engine/v1.41/$1" | grep -o "\\"$2\\":\\"[^\\"]*\\"" | cut -d '"' -f 4
  }
  for id in $(found 'containers/json?all=1' Id); do
    case $id in $self*) ;; *) ask -X DELETE "http://engine/v1.41/containers/$id?force=1&v=1" ;; esac
  done
  for id in $(found networks Id); do ask -X DELETE "http://engine/v1.41/networks/$id"; done
  for name in $(found volumes Name); do ask -X DELETE "http://engine/v1.41/volumes/$name"; done
done
ask -X DELETE "http://engine/v1.41/containers/$self?force=1&v=1"
`

/** To be put above busybox and curl. */
export const REAPER_MEMBERS: readonly Member[] = [
  { name: 'bin/reaper', content: REAPER },
  { name: 'bin/session', content: SESSION },
]
