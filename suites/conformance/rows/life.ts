import { UNTIL_UP, type Row } from '../row.ts'

const INSPECT_STATE = `docker inspect -f '{{.State.Status}} {{.State.ExitCode}} {{.State.Running}}' cx`

/** From create to rm. */
export const lifeRows: readonly Row[] = [
  { name: 'create prints the id', script: `docker create busybox true`, shows: /^ID64$/m },
  {
    name: 'create leaves it created',
    script: `docker create --name cx busybox true; ${INSPECT_STATE}; docker ps -a --format '{{.Status}}'`,
    shows: /created 0 false\nCreated/,
  },
  {
    name: 'start prints the name',
    script: `docker create --name cx busybox true; docker start cx; docker wait cx`,
    shows: /^cx\n0$/m,
  },
  {
    name: 'start -a attaches',
    script: `docker create --name cx busybox sh -c 'echo hi; exit 4'; docker start -a cx`,
    code: 4,
    shows: /hi/,
  },
  {
    name: 'start -ai passes input',
    script: `docker create -i --name cx busybox cat; echo in | docker start -ai cx`,
    shows: /^in$/m,
  },
  {
    name: 'start of a running container is fine',
    script: `docker run -d --name cx busybox sleep 99; docker start cx`,
    shows: /^cx$/m,
  },
  {
    name: 'start again runs it again',
    script: `docker run --name cx busybox echo once; docker start -a cx; docker logs cx`,
    shows: /once\nonce\nonce/,
  },
  {
    name: 'start keeps the writable layer',
    script: `docker run --name cx busybox sh -c 'cat /f 2>/dev/null; echo kept > /f'; docker start -a cx`,
    shows: /kept/,
  },
  {
    name: 'start of an unknown container',
    script: `docker start nosuch`,
    code: 1,
    shows: /No such container: nosuch/,
  },
  {
    name: 'start of several, one unknown',
    script: `docker create --name cx busybox true; docker start cx nosuch`,
    code: 1,
    shows: /^cx$/m,
  },
  {
    name: 'start by a prefix of the id',
    script: `id=$(docker create busybox echo short); docker start -a \${id:0:8}`,
    shows: /short/,
  },
  {
    name: 'stop sends SIGTERM',
    script: `docker run -d --name cx busybox sh -c 'trap "exit 7" TERM; echo up; while :; do sleep 0.1; done'; ${UNTIL_UP} docker stop cx; ${INSPECT_STATE}`,
    shows: /exited 7 false/,
  },
  {
    name: 'stop -t kills after the time',
    script: `docker run -d --name cx busybox sleep 99; docker stop -t 1 cx; ${INSPECT_STATE}`,
    shows: /exited 137 false/,
  },
  {
    name: 'stop uses the stop signal of the image',
    script: `docker run -d --name cx --entrypoint sh configured -c 'trap "exit 8" INT; echo up; while :; do sleep 0.1; done'; ${UNTIL_UP} docker stop cx; ${INSPECT_STATE}`,
    shows: /exited 8/,
  },
  {
    name: 'stop uses --stop-signal and --stop-timeout',
    script: `docker run -d --name cx --stop-signal USR1 --stop-timeout 3 busybox sh -c 'trap "echo usr1" USR1; echo up; while :; do sleep 0.1; done'; ${UNTIL_UP} docker stop cx; docker logs cx; ${INSPECT_STATE}`,
    shows: /usr1\nexited 137/,
  },
  {
    name: 'stop of a stopped container is fine',
    script: `docker run --name cx busybox true; docker stop cx`,
    shows: /^cx$/m,
  },
  {
    name: 'stop of an unknown container',
    script: `docker stop nosuch`,
    code: 1,
    shows: /No such container: nosuch/,
  },
  {
    name: 'restart starts it anew',
    script: `docker run -d --name cx busybox sh -c 'echo up; sleep 99'; ${UNTIL_UP} docker restart -t 0 cx; until [ $(realdocker logs cx | wc -l) = 2 ]; do sleep 0.05; done; docker logs cx; ${INSPECT_STATE}`,
    shows: /up\nup\nrunning/,
  },
  {
    name: 'restart and start without the partner keep how the run before ended',
    script: `docker run -d --name n1 busybox sleep 99 >/dev/null; docker run -d --name n2 --network container:n1 busybox sleep 99 >/dev/null; docker run --name n3 --network container:n1 busybox true; docker run --name n4 --network container:n1 busybox sh -c 'exit 3'; docker rm -f n1; docker restart -t 0 n2 2>&1 | grep -o 'Cannot restart container n2: No such container'; for c in n3 n4; do docker start $c 2>/dev/null; echo $?; done; for c in n2 n3 n4; do docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' $c; done; docker rm -f n2 n3 n4`,
    shows: /exited 137\nexited 128\nexited 3/,
  },
  {
    name: 'restart of a stopped container starts it',
    script: `docker create --name cx busybox sleep 99; docker restart cx; ${INSPECT_STATE}`,
    shows: /running/,
  },
  {
    name: 'kill',
    script: `docker run -d --name cx busybox sleep 99; docker kill cx; docker wait cx`,
    shows: /^137$/m,
  },
  {
    name: 'kill -s',
    script: `docker run -d --name cx busybox sh -c 'trap "exit 6" HUP; echo up; while :; do sleep 0.1; done'; ${UNTIL_UP} docker kill -s HUP cx; docker wait cx`,
    shows: /^6$/m,
  },
  {
    name: 'kill -s with a number',
    script: `docker run -d --name cx busybox sh -c 'trap "exit 6" 1; echo up; while :; do sleep 0.1; done'; ${UNTIL_UP} docker kill -s 1 cx; docker wait cx`,
    shows: /^6$/m,
  },
  {
    name: 'kill -s with nonsense',
    script: `docker run -d --name cx busybox sleep 99; docker kill -s NOPE cx`,
    code: 1,
    shows: /[Ii]nvalid signal: NOPE/,
  },
  {
    name: 'kill of a stopped container',
    script: `docker create --name cx busybox true; docker kill cx`,
    code: 1,
    shows: /is not running/,
  },
  {
    name: 'kill of an unknown container',
    script: `docker kill nosuch`,
    code: 1,
    shows: /No such container: nosuch/,
  },
  {
    name: 'rm',
    script: `docker create --name cx busybox true; docker rm cx; docker ps -aq | wc -l`,
    shows: /cx\n0/,
  },
  {
    name: 'rm of a running container',
    script: `docker run -d --name cx busybox sleep 99; docker rm cx`,
    code: 1,
    shows: /running container/,
  },
  {
    name: 'rm -f of a running container',
    script: `docker run -d --name cx busybox sleep 99; docker rm -f cx; docker ps -aq | wc -l`,
    shows: /cx\n0/,
  },
  {
    name: 'rm of an unknown container',
    script: `docker rm nosuch`,
    code: 1,
    shows: /No such container: nosuch/,
  },
  {
    name: 'rm -f of an unknown container',
    script: `docker rm -f nosuch`,
    shows: /No such container: nosuch/,
  },
  {
    name: 'rm -v removes anonymous volumes',
    script: `docker run --name cx -v /v busybox true; realdocker volume ls -q | wc -l; docker rm -v cx; realdocker volume ls -q | wc -l`,
    shows: /1\ncx\n0/,
  },
  {
    name: 'rm of a name prefix is refused',
    script: `docker create --name xyz busybox true; docker rm xy`,
    code: 1,
    shows: /No such container: xy/,
  },
  {
    name: 'wait gives the exit code',
    script: `docker run -d --name cx busybox sh -c 'sleep 0.5; exit 12'; docker wait cx`,
    shows: /^12$/m,
  },
  {
    name: 'wait of a container that has ended',
    script: `docker run --name cx busybox sh -c 'exit 3'; docker wait cx cx`,
    shows: /3\n3/,
  },
  {
    name: 'wait of an unknown container',
    script: `docker wait nosuch`,
    code: 1,
    shows: /No such container: nosuch/,
  },
  {
    name: 'rename',
    script: `docker create --name cx busybox true; docker rename cx cy; docker ps -a --format '{{.Names}}'`,
    shows: /^cy$/m,
  },
  {
    name: 'rename to a name in use',
    script: `docker create --name cx busybox true; docker create --name cy busybox true; docker rename cx cy`,
    code: 1,
    shows: /already in use/,
  },
  {
    name: 'rename to the same name',
    script: `docker create --name cx busybox true; docker rename cx cx`,
    code: 1,
  },
  {
    name: 'rename to an invalid name',
    script: `docker create --name cx busybox true; docker rename cx 'a b'`,
    code: 1,
    shows: /Invalid container name/,
  },
  {
    name: 'restart policy on-failure counts',
    script: `docker run -d --name cx --restart on-failure:2 busybox false; for i in $(seq 400); do [ "$(docker inspect -f '{{.RestartCount}} {{.State.Status}}' cx)" = "2 exited" ] && break; sleep 0.1; done; docker inspect -f '{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}' cx`,
    shows: /2 exited 1/,
  },
  {
    name: 'restart policy always restarts',
    script: `docker run -d --name cx --restart always busybox sh -c 'echo r; sleep 0.2'; for i in $(seq 400); do [ $(docker logs cx | wc -l) -ge 3 ] && break; sleep 0.1; done; docker logs cx | head -3; docker stop -t 0 cx; sleep 0.5; docker inspect -f '{{.State.Running}}' cx`,
    shows: /r\nr\nr\ncx\nfalse/,
  },
  {
    // Asked for in one: between two questions the next run begins.
    name: 'kill between two runs ends the restarts',
    script: `for s in KILL HUP; do docker run -d --name c$s --restart always busybox sh -c 'exit 3'; until realdocker inspect -f '{{.State.Status}} {{.RestartCount}}' c$s | grep -qE '^restarting ([4-9]|..)'; do sleep 0.02; done; docker kill -s $s c$s; docker inspect -f '{{.State.Status}} {{.State.ExitCode}} {{.State.Restarting}}' c$s; sleep 2; docker inspect -f '{{.State.Status}}' c$s; docker rm c$s; done`,
    shows: /exited 3 false\nexited/,
  },
  {
    name: 'a manual stop is not restarted',
    script: `docker run -d --name cx --restart always busybox sleep 99; docker kill cx; sleep 0.7; docker inspect -f '{{.State.Status}} {{.RestartCount}}' cx`,
    shows: /exited 0/,
  },
  {
    name: 'a health check becomes healthy',
    script: `docker run -d --name cx healthy; docker inspect -f '{{.State.Health.Status}}' cx; docker exec cx touch /ok; for i in $(seq 400); do [ "$(docker inspect -f '{{.State.Health.Status}}' cx)" = healthy ] && break; sleep 0.1; done; docker inspect -f '{{.State.Health.Status}} {{.State.Health.FailingStreak}}' cx; docker ps --format '{{.Status}}'`,
    shows: /starting\nhealthy 0\nUp SPAN \(healthy\)/,
  },
  {
    name: 'a health check becomes unhealthy',
    script: `docker run -d --name cx --health-cmd 'echo bad; exit 1' --health-interval 200ms --health-retries 2 busybox sleep 99; for i in $(seq 400); do [ "$(docker inspect -f '{{.State.Health.Status}}' cx)" = unhealthy ] && break; sleep 0.1; done; docker inspect -f '{{.State.Health.Status}} {{(index .State.Health.Log 0).ExitCode}} {{(index .State.Health.Log 0).Output}}' cx`,
    shows: /unhealthy 1 bad/,
  },
  {
    name: 'the health of who is paused, waits for its next run or has ended',
    script: `H='{{.State.Status}} {{with .State.Health}}{{.Status}} {{.FailingStreak}}{{end}}'; docker create --name cx --health-cmd true --health-interval 99s busybox sleep 99 >/dev/null; docker inspect -f "$H" cx; docker start cx; docker inspect -f "$H" cx; docker pause cx; docker inspect -f "$H" cx; docker ps --format '{{.Status}}'; docker unpause cx; docker inspect -f "$H" cx; docker stop -t 0 cx; docker inspect -f "$H" cx; docker ps -aq --filter health=unhealthy | wc -l; docker start cx; docker inspect -f "$H" cx; docker run -d --name cy --restart always --health-cmd true busybox false >/dev/null; until [ $(realdocker inspect -f '{{.RestartCount}}' cy) -gt 3 ] && [ "$(realdocker inspect -f '{{.State.Status}}' cy)" = restarting ]; do sleep 0.02; done; docker inspect -f "$H" cy; docker rm -f cx cy`,
    shows: /paused unhealthy 0[^]*exited unhealthy 0[^]*restarting unhealthy 0/,
  },
  {
    name: '--no-healthcheck switches it off',
    script: `docker run -d --name cx --no-healthcheck healthy; docker inspect -f '{{json .State.Health}} {{json .Config.Healthcheck}}' cx; docker ps --format '{{.Status}}'`,
    shows: /NONE/,
  },
  {
    name: 'ps shows a table',
    script: `docker run -d --name cx busybox sleep 99; docker ps`,
    shows: /CONTAINER ID\s+IMAGE/,
  },
  {
    name: 'ps -a shows all states',
    script: `docker run -d --name run busybox sleep 99; docker run --name ended busybox sh -c 'exit 2'; docker create --name made busybox true; docker ps -a --format '{{.Names}}\t{{.Image}}\t{{.Command}}\t{{.State}}\t{{.Status}}'`,
    shows: /Exited \(2\) SPAN/,
  },
  { name: 'ps without containers shows the header', script: `docker ps`, shows: /NAMES$/m },
  { name: 'ps -q', script: `docker run -d busybox sleep 99; docker ps -q`, shows: /^ID12$/m },
  {
    name: 'ps --no-trunc',
    script: `docker run -d --name cx busybox sh -c 'sleep 99; echo a long command line that would be cut'; docker ps --no-trunc`,
    shows: /would be cut/,
  },
  {
    name: 'ps cuts long commands',
    script: `docker run -d --name cx busybox sh -c 'sleep 99; echo a long command line that would be cut'; docker ps --format '{{.Command}}'`,
    shows: /…/,
  },
  {
    name: 'ps -n and -l',
    script: `for n in na nb nc; do docker create --name $n busybox true >/dev/null; done; docker ps -n 2 --format '{{.Names}}'; docker ps -l --format '{{.Names}}'`,
    shows: /nc\nnb\nnc/,
  },
  {
    name: 'ps --filter status',
    script: `docker run -d --name cx busybox sleep 99; docker create --name cy busybox true; docker ps -f status=created --format '{{.Names}}'`,
    shows: /^cy$/m,
  },
  {
    name: 'ps --filter exited',
    script: `docker run --name cx busybox sh -c 'exit 5'; docker run --name cy busybox true; docker ps -a -f exited=5 --format '{{.Names}}'`,
    shows: /^cx$/m,
  },
  {
    name: 'ps --filter label',
    script: `docker create --name cx -l a=1 busybox true; docker create --name cy -l a=2 busybox true; docker ps -a -f label=a=2 --format '{{.Names}}'; docker ps -a -f label=a -q | wc -l`,
    shows: /y\n2/,
  },
  {
    name: 'ps --filter name',
    script: `docker create --name web1 busybox true; docker create --name db1 busybox true; docker ps -a -f name=web --format '{{.Names}}'; docker ps -a -f name='^db1$' --format '{{.Names}}'`,
    shows: /web1\ndb1/,
  },
  {
    name: 'ps --filter ancestor goes by the image that the name means now',
    script: `docker tag busybox mv:1; docker create --name cx mv:1 true >/dev/null; docker tag configured mv:1; docker ps -a -f ancestor=mv:1 --format '{{.Names}}'; docker ps -a -f ancestor=busybox --format '{{.Names}}'; docker rm cx; docker rmi mv:1`,
    shows: /^cx$/m,
  },
  {
    name: 'ps --filter before nobody',
    script: `docker ps -q -f before=nosuch; docker ps -aq -f since=nosuch`,
    code: 1,
    shows: /nosuch/,
  },
  {
    name: 'ps --filter ancestor',
    script: `docker create --name cx busybox true; docker create --name cy configured; docker ps -a -f ancestor=configured --format '{{.Names}}'`,
    shows: /^cy$/m,
  },
  {
    name: 'ps --filter before and since',
    script: `for n in na nb nc; do docker create --name $n busybox true >/dev/null; done; docker ps -a -f before=nb --format '{{.Names}}'; docker ps -a -f since=nb --format '{{.Names}}'`,
    shows: /na\nnc/,
  },
  {
    name: 'ps --filter volume',
    script: `docker create --name cx -v vol:/v busybox true; docker create --name cy busybox true; docker ps -a -f volume=vol --format '{{.Names}}'; docker rm cx; realdocker volume rm vol`,
    shows: /^cx$/m,
  },
  { name: 'ps with an unknown filter', script: `docker ps -f nosuch=1`, code: 1, shows: /[Ii]nvalid filter/ },
  {
    name: 'ps --format of ports, mounts, networks, labels',
    script: `docker run -d --name cx -p 8088:80 -v vol:/v -l a=b busybox sleep 99; docker ps --format '{{.Ports}} {{.Mounts}} {{.Networks}} {{.Labels}} {{.LocalVolumes}}'; docker rm -fv cx; realdocker volume rm vol`,
    shows: /8088->80/,
  },
  {
    name: 'ps -s',
    script: `docker run -d --name cx busybox sh -c 'head -c 1000000 /dev/zero >/f; echo up; sleep 99'; ${UNTIL_UP} docker ps -s --format '{{.Size}}' | cut -d' ' -f1`,
    shows: /1MB/,
  },
  {
    name: 'container prune by age',
    script: `docker run --name cx busybox true; docker container prune -f --filter until=1h; docker ps -a --format '{{.Names}}'; sleep 1; docker container prune -f --filter until=0s | head -1`,
    shows: /^cx$[^]*Deleted/m,
  },
  {
    name: 'ps by what is published',
    script: `docker run -d --name cx -p 8123:80 busybox sleep 99; for f in publish=8123 publish=8000-9000/tcp publish=80 expose=80 expose=8123; do echo $f $(docker ps --filter $f --format '{{.Names}}'); done`,
    shows: /publish=8123 cx/,
  },
  {
    name: 'container prune',
    script: `docker run --name cx busybox true; docker run -d --name cy busybox sleep 99; docker container prune -f | head -2; docker ps -a --format '{{.Names}}'`,
    shows: /^cy$/m,
  },
  ...['-x', 'x-', '.', 'a,b', '*', 'a/b', 'é'].map((name): Row => ({
    name: `run --hostname ${name}`,
    script: `docker run --rm --hostname '${name}' busybox sh -c 'hostname; cat /etc/hostname; tail -1 /etc/hosts | cut -f2'`,
    shows: /./,
  })),
  {
    name: 'create --stop-signal of a number that is none',
    script: `docker create --stop-signal 99 busybox true | wc -l`,
    shows: /^1$/m,
  },
  {
    name: 'run --kernel-memory is taken and does nothing',
    script: `docker run --rm --kernel-memory 50m busybox echo ran; docker create --kernel-memory x busybox true`,
    code: 125,
    shows: /^ran$/m,
  },
  {
    name: 'run --device of a folder without devices',
    script: `mkdir empty; docker run --rm --device $PWD/empty:/dev/empty busybox true`,
    code: 125,
    shows: /not a device node/,
    normalise: [[/"[^"]*\/empty"/g, '"FOLDER/empty"']],
  },
  ...['ps', 'images', 'volume ls', 'network ls'].map((list): Row => ({
    name: `${list} --filter label!=`,
    script: `docker ${list} --filter label!=x`,
    code: 1,
    shows: /nvalid filter 'label!'/,
  })),
  {
    name: 'the event of a commit has the familiar name',
    script: `docker create --name cx busybox true >/dev/null; s=$(date +%s.%N); docker commit cx made >/dev/null; docker commit cx >/dev/null; docker events --since $s --until $(date +%s.%N) --filter event=commit --format '{{.Actor.Attributes.imageRef}}|'; docker rmi made >/dev/null`,
    shows: /^made:latest\|$/m,
  },
]
