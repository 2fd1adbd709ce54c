import { UNTIL_UP, untilTold, type Row } from '../row.ts'

const UP = `docker run -d --name cx busybox sleep 99 >/dev/null;`

/** exec, attach, logs, events, cp, diff, export. */
export const execRows: readonly Row[] = [
  {
    name: 'exec prints and gives the exit code',
    script: `${UP} docker exec cx sh -c 'echo hi; echo err >&2; exit 6'`,
    code: 6,
    shows: /hi/,
  },
  { name: 'exec -i passes standard input', script: `${UP} echo in | docker exec -i cx cat`, shows: /^in$/m },
  { name: 'exec without -i has no input', script: `${UP} echo in | docker exec cx cat` },
  { name: 'exec -i passes a megabyte', script: `${UP} head -c 1000000 /dev/zero | docker exec -i cx md5sum` },
  {
    name: 'exec passes a megabyte of output',
    script: `${UP} docker exec cx sh -c 'head -c 1000000 /dev/zero | tr "\\0" x' | md5sum`,
  },
  {
    name: 'exec -it is a terminal',
    script: `${UP} expect -c 'set timeout 60; spawn -noecho docker exec -it cx sh; expect "# "; send "test -t 0 && echo yes\\$((1+1))\\r"; expect "\\nyes2"; expect "# "; send "exit 5\\r"; expect eof; exit [lindex [wait] 3]'`,
    code: 5,
    shows: /yes2/,
    normalise: [[/\x1b\[6n/g, '']],
  },
  {
    name: 'exec -d goes on alone',
    script: `${UP} docker exec -d cx sh -c 'echo done > /f'; for i in $(seq 50); do docker exec cx test -s /f && break; sleep 0.05; done; docker exec cx cat /f`,
    shows: /^done$/m,
  },
  {
    name: 'exec -e -w -u',
    script: `${UP} docker exec -e A=1 -w /etc -u user cx sh -c 'echo $A; pwd; id -un; echo $HOME'`,
    shows: /1\n\/etc\nuser\n\/home/,
  },
  {
    name: 'exec has the environment of the container',
    script: `docker run -d --name cx -e K=v busybox sleep 99; docker exec cx sh -c 'echo $K'`,
    shows: /^v$/m,
  },
  {
    name: 'exec has the user and folder of the container',
    script: `docker run -d --name cx --entrypoint sleep configured 99; docker exec cx sh -c 'id -u; pwd'`,
    shows: /1000\n\/work\/deep/,
  },
  {
    name: 'exec --env-file',
    script: `${UP} echo 'F=file' >f; docker exec --env-file f cx sh -c 'echo $F'`,
    shows: /^file$/m,
  },
  {
    name: 'exec has the default capabilities',
    script: `${UP} docker exec cx grep ^Cap /proc/self/status`,
    shows: /a80425fb/,
  },
  {
    name: 'exec has the filter',
    script: `${UP} docker exec cx grep -E 'Seccomp:' /proc/self/status`,
    shows: /2/,
  },
  {
    name: 'exec has the limits',
    script: `docker run -d --name cx -m 64m --ulimit nofile=77 busybox sleep 99; docker exec cx sh -c 'ulimit -n; grep -o "memory:.*" /proc/self/cgroup | wc -l'`,
    shows: /77/,
  },
  {
    name: 'exec of a missing command',
    script: `${UP} docker exec cx nosuchcommand`,
    code: 126,
    shows: /executable file not found in \$PATH/,
  },
  {
    name: 'exec of a file that is not executable',
    script: `${UP} docker exec cx /etc/passwd`,
    code: 126,
    shows: /permission denied/,
  },
  {
    name: 'exec in a stopped container',
    script: `docker create --name cx busybox true; docker exec cx true`,
    code: 1,
    shows: /is not running/,
  },
  {
    name: 'exec in an unknown container',
    script: `docker exec nosuch true`,
    code: 1,
    shows: /No such container: nosuch/,
  },
  {
    name: 'exec as an unknown user',
    script: `${UP} docker exec -u nosuch cx true`,
    code: 126,
    shows: /unable to find user nosuch/,
  },
  { name: 'exec -w in a missing folder', script: `${UP} docker exec -w /no/such cx pwd`, code: 126 },
  { name: 'exec killed by a signal', script: `${UP} docker exec cx sh -c 'kill -9 $$'`, code: 137 },
  {
    name: 'exec without a command',
    script: `${UP} docker exec cx`,
    code: 1,
    shows: /requires at least 2 arguments/,
  },
  {
    name: 'exec sees the processes of the container',
    script: `${UP} docker exec cx ps -o pid,args | head -2`,
    shows: /1 sleep 99/,
  },
  {
    name: 'exec ends when the container is killed',
    script: `${UP} (until realdocker top cx | grep -q 'sleep 50'; do sleep 0.05; done; docker kill cx >/dev/null) & docker exec cx sleep 50; echo $?`,
    shows: /137/,
  },
  {
    name: 'attach shows the output from now on',
    script: `s=$(date +%s.%N); docker run -d --name cx busybox sh -c 'while ! test -e /go; do sleep 0.05; done; echo late; exit 3'; (${untilTold('attach')} docker exec cx touch /go) & docker attach --no-stdin cx`,
    code: 3,
    shows: /late/,
  },
  {
    name: 'attach passes input',
    script: `docker run -di --name cx busybox sh -c 'read a; echo got $a' >/dev/null; (echo word; sleep 0.7) | docker attach cx`,
    shows: /got word/,
  },
  {
    name: 'attach to a stopped container',
    script: `docker create --name cx busybox true; docker attach cx`,
    code: 1,
    shows: /cannot attach to a stopped container/,
  },
  {
    name: 'attach to an unknown container',
    script: `docker attach nosuch`,
    code: 1,
    shows: /No such container: nosuch/,
  },
  {
    name: 'attach detaches by keys',
    script: `docker run -dit --name cx busybox sh >/dev/null; expect -c 'set timeout 60; spawn -noecho docker attach cx; send "\\r"; expect "# "; send "\\x10\\x11"; expect eof; exit [lindex [wait] 3]' | grep -oa "read escape sequence"; docker inspect -f '{{.State.Running}}' cx`,
    shows: /true/,
  },
  {
    name: 'logs keeps the streams apart',
    script: `docker run --name cx busybox sh -c 'echo out; echo err >&2' >/dev/null 2>&1; docker logs cx`,
    shows: /out/,
  },
  {
    name: 'logs --tail',
    script: `docker run --name cx busybox seq 10 >/dev/null; docker logs --tail 3 cx; docker logs -n 0 cx`,
    shows: /^8\n9\n10$/m,
  },
  {
    name: 'logs -t',
    script: `docker run --name cx busybox echo hi >/dev/null; docker logs -t cx`,
    shows: /^TIME hi$/m,
  },
  {
    name: 'logs --since and --until',
    script: `docker run --name cx busybox sh -c 'echo a; sleep 2; echo b' >/dev/null; t=$(docker logs -t cx | tail -1 | cut -d' ' -f1); docker logs --since $t cx; docker logs --until $(date -d "$t - 1 second" +%s) cx`,
    shows: /^b\na$/m,
  },
  {
    name: 'logs -f follows to the end',
    script: `docker run -d --name cx busybox sh -c 'for i in 1 2 3; do echo $i; sleep 0.1; done' >/dev/null; docker logs -f cx`,
    shows: /1\n2\n3/,
  },
  {
    name: 'logs -f --tail',
    script: `docker run -d --name cx busybox sh -c 'echo 1; echo 2; sleep 2; echo 3' >/dev/null; until [ "$(docker logs cx | wc -l)" = 2 ]; do sleep 0.1; done; docker logs -f --tail 1 cx`,
    shows: /^2\n3$/m,
  },
  {
    name: 'logs of a terminal',
    script: `docker run -t --name cx busybox echo hi >/dev/null; docker logs cx | od -c | sed -n 1p`,
    shows: /\\r/,
  },
  {
    name: 'logs of a long line',
    script: `docker run --name cx busybox sh -c 'head -c 100000 /dev/zero | tr "\\0" y; echo; echo end' >/dev/null; docker logs cx | md5sum; docker logs cx | tail -1`,
    shows: /end/,
  },
  {
    name: 'logs of bytes that are not UTF-8',
    script: `docker run --name cx busybox printf 'a\\377\\376b\\n' >/dev/null; docker logs cx | od -c`,
    shows: /a/,
  },
  {
    name: 'logs without a last newline',
    script: `docker run --name cx busybox printf 'no newline' >/dev/null; docker logs cx`,
    shows: /no newline/,
  },
  {
    name: 'logs of an unknown container',
    script: `docker logs nosuch`,
    code: 1,
    shows: /No such container: nosuch/,
  },
  {
    name: 'logs with --log-driver none',
    script: `docker run --name cx --log-driver none busybox echo hi; docker logs cx`,
    code: 1,
    shows: /configured logging driver does not support reading/,
  },
  {
    name: 'logs rotate by max-size and max-file',
    script: `docker run --name cx --log-opt max-size=10k --log-opt max-file=2 busybox seq 10000 >/dev/null; docker logs cx | tail -1; [ $(docker logs cx | wc -l) -lt 1000 ] && echo rotated`,
    shows: /10000\nrotated/,
  },
  {
    name: 'run with an unknown log option',
    script: `docker run --rm --log-opt bogus=1 busybox true`,
    code: 125,
    shows: /unknown log opt 'bogus' for json-file log driver/,
  },
  {
    name: 'run with an unknown log driver',
    script: `docker run --rm --log-driver bogus busybox true`,
    code: 125,
    shows: /bogus/,
  },
  {
    name: 'events of images have their labels',
    script: `t=$(date +%s); echo x >f; tar c f | docker import -c 'LABEL who=me' - mine >/dev/null; docker tag mine mine:2; docker rmi mine:2 mine >/dev/null; docker image prune -f --filter label=who=me; docker events --since $t --until $(($(date +%s)+1)) --filter type=image --format '{{.Action}} {{.Actor.Attributes.who}} {{.Actor.Attributes.reclaimed}}'`,
    shows: /import me[^]*delete <no value>[^]*prune <no value> 0$/m,
  },
  {
    name: 'events of a short life',
    script: `sleep 1; s=$(date +%s); docker run --rm --name cx busybox true; ${untilTold('destroy')} docker events --since $s --until $(($(date +%s)+2)) --filter container=cx --filter type=container --format '{{.Action}} {{.Actor.Attributes.image}} {{.Actor.Attributes.exitCode}}'`,
    shows: /start busybox/,
  },
  {
    name: 'events --filter event',
    script: `sleep 1; s=$(date +%s); docker run --rm --name cx busybox sh -c 'exit 3'; ${untilTold('die')} docker events --since $s --until $(($(date +%s)+2)) --filter event=die --format '{{.Type}} {{.Action}} {{.Actor.Attributes.exitCode}} {{.Actor.Attributes.name}}'`,
    shows: /container die 3 cx/,
  },
  {
    name: 'events of exec, pause, rename, kill',
    script: `sleep 1; s=$(date +%s); ${UP} docker pause cx; docker unpause cx; docker rename cx cy; docker exec cy true; ${untilTold('exec_die')} docker kill cy; ${untilTold('die')} docker events --since $s --until $(($(date +%s)+2)) --filter type=container --format '{{.Action}} {{.Actor.Attributes.name}}'`,
    shows: /rename cy/,
    normalise: [[/exec_(create|start): true/g, 'exec_$1: true']],
  },
  {
    name: 'events of images',
    script: `sleep 1; s=$(date +%s); docker tag busybox other:1; docker rmi other:1; ${untilTold('untag')} docker events --since $s --until $(($(date +%s)+2)) --filter type=image --format '{{.Action}} {{.Actor.Attributes.name}}'`,
    shows: /tag/,
  },
  {
    name: 'cp into a container',
    script: `${UP} echo data >f; docker cp f cx:/tmp/g; docker exec cx sh -c 'cat /tmp/g; stat -c "%u %a" /tmp/g'`,
    shows: /data\n0 644/,
  },
  { name: 'cp out of a container', script: `${UP} docker cp cx:/etc/passwd p; head -1 p`, shows: /root/ },
  {
    name: 'cp a folder in and out',
    script: `${UP} mkdir -p d/e; echo 1 >d/e/f; docker cp d cx:/tmp/; docker exec cx find /tmp/d; docker cp cx:/tmp/d out; find out | sort; docker cp d/. cx:/tmp/; docker exec cx ls /tmp | sort`,
    shows: /out\/e\/f/,
  },
  {
    name: 'cp from and to a stopped container',
    script: `docker create --name cx busybox true; echo s >f; docker cp f cx:/new; docker cp cx:/new - | tar tvf - | awk '{print $1, $NF}'`,
    shows: /new/,
  },
  {
    name: 'cp reads a tar from standard input',
    script: `${UP} mkdir d; echo t >d/t; tar cf - -C d . | docker cp - cx:/tmp; docker exec cx cat /tmp/t`,
    shows: /^t$/m,
  },
  {
    name: 'cp of a missing file',
    script: `${UP} docker cp cx:/no/such .`,
    code: 1,
    shows: /Could not find the file \/no\/such in container cx/,
  },
  {
    name: 'cp of a missing local file',
    script: `${UP} docker cp nosuch cx:/tmp`,
    code: 1,
    shows: /no such file or directory/,
  },
  {
    name: 'cp into a missing folder',
    script: `${UP} echo 1 >f; docker cp f cx:/no/such/`,
    code: 1,
    normalise: [[/^time=.*\n/gm, '']],
  },
  {
    name: 'cp follows links with -L only',
    script: `${UP} docker exec cx ln -s /etc/passwd /tmp/l; docker cp cx:/tmp/l a; docker cp -L cx:/tmp/l b; test -L a && echo link; test -f b && ! test -L b && echo file`,
    shows: /link\nfile/,
  },
  {
    name: 'cp of an unknown container',
    script: `docker cp nosuch:/x .`,
    code: 1,
    shows: /No such container: nosuch/,
  },
  {
    name: 'cp into a read-only container',
    script: `docker run -d --name cx --read-only busybox sleep 99; echo 1 >f; docker cp f cx:/f`,
    code: 1,
    shows: /marked read-only/,
  },
  {
    name: 'cp into a volume',
    script: `docker run -d --name cx -v vol:/v busybox sleep 99; echo 1 >f; docker cp f cx:/v/f; docker exec cx cat /v/f; docker rm -f cx; realdocker volume rm vol`,
    shows: /^1$/m,
  },
  {
    name: 'cp does not follow a link out of the container',
    script: `docker run -d --name cx busybox sh -c 'ln -s /proc/1/root/etc/hostname /tmp/e; ln -s ../../../../../../etc/hostname /tmp/f; echo up; sleep 99'; ${UNTIL_UP} docker cp -L cx:/tmp/f f >/dev/null; cmp f /etc/hostname >/dev/null && echo LEAK || echo contained`,
    shows: /contained/,
  },
  {
    name: 'diff',
    script: `docker run --name cx busybox sh -c 'echo 1 >/new; rm /etc/group; echo >>/etc/passwd; mkdir /d; touch /d/f'; docker diff cx`,
    anyOrder: true,
    shows: /^D \/etc\/group$/m,
  },
  {
    name: 'diff with mounts',
    script: `mkdir h; echo >hf; docker run --name cx -v vv:/vol -v $PWD/h:/a/b -v $PWD/hf:/etc/one --tmpfs /t busybox true; docker diff cx; docker rm cx; realdocker volume rm vv`,
    anyOrder: true,
    shows: /^A \/vol$/m,
  },
  { name: 'diff of nothing', script: `docker create --name cx busybox true; docker diff cx` },
  {
    name: 'export',
    script: `docker create --name cx busybox true; docker export cx | tar tf - | grep -E '^(bin/busybox|etc/passwd)$' | sort`,
    shows: /bin\/busybox/,
  },
  {
    name: 'the log file has what --log-opt adds to each line',
    script: `docker run --name cx -e E='<x>' --label l=$'1"\\u00e9\\t' --label b=2 --log-opt labels=l,b,nosuch --log-opt env=E --log-opt tag='t-{{.Name}}' busybox sh -c 'echo one; printf two'; sed 's/"time":"[^"]*"/TIME/' "$(docker inspect -f '{{.LogPath}}' cx)"; docker logs cx; docker logs --details cx`,
    shows: /"stream":"stdout","attrs":\{"E":"\\u003cx\\u003e","b":"2",/,
  },
  {
    name: 'the log file is rotated with what --log-opt adds',
    script: `docker run --name cx --label l=1 --log-opt labels=l --log-opt max-size=4k --log-opt max-file=3 busybox sh -c 'for i in $(seq 1000 1099); do echo $i; done'; docker logs cx | tail -3; docker logs --details cx | tail -1; for f in '' .1 .2; do tail -1 "$(docker inspect -f '{{.LogPath}}' cx)$f" | jq -c .attrs; done`,
    shows: /^l=1 1099$/m,
  },
]
