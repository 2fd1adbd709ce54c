import type { Row } from '../row.ts'

/** `docker run` in all its forms. */
export const runRows: readonly Row[] = [
  { name: 'run prints what the command prints', script: `docker run busybox echo hello`, shows: /^hello$/m },
  { name: 'run gives the exit code of the command', script: `docker run busybox sh -c 'exit 3'`, code: 3 },
  { name: 'run gives 1 for false', script: `docker run --rm busybox false`, code: 1 },
  { name: 'run keeps stdout and stderr apart', script: `docker run busybox sh -c 'echo out; echo err >&2'` },
  {
    name: 'run --rm leaves no container',
    script: `docker run --rm busybox true; docker ps -aq | wc -l`,
    shows: /^0$/m,
  },
  {
    name: 'run -i passes standard input',
    script: `echo over | docker run -i --rm busybox cat`,
    shows: /over/,
  },
  {
    name: 'run -i passes a megabyte unchanged',
    script: `head -c 1000000 /dev/zero | docker run -i --rm busybox md5sum`,
  },
  {
    name: 'run passes a megabyte of output unchanged',
    script: `docker run --rm busybox sh -c 'head -c 1000000 /dev/zero | tr "\\0" x' | md5sum`,
  },
  { name: 'run without -i has an empty standard input', script: `echo lost | docker run --rm busybox cat` },
  { name: 'run with the default command of the image ends at once', script: `docker run --rm busybox` },
  { name: 'run -d prints the id', script: `docker run -d busybox echo x`, shows: /^ID64$/m },
  {
    name: 'run --name names it',
    script: `docker run --name one busybox true; docker ps -a --format '{{.Names}}'`,
  },
  {
    name: 'run -it is a terminal',
    script: `expect -c 'set timeout 60; spawn -noecho docker run --rm -it busybox sh; expect "# "; send "tty; echo \\$((40+2))\\r"; expect "\\n42"; expect "# "; send "exit 5\\r"; expect eof; exit [lindex [wait] 3]'`,
    code: 5,
    shows: /\/dev\/pts\/0/,
    // The shell asks the terminal where the cursor is; when depends on scheduling.
    normalise: [[/\x1b\[6n/g, '']],
  },
  {
    name: 'run -t turns newlines into CR LF',
    script: `docker run --rm -t busybox echo x | od -c`,
    shows: /\\r/,
  },
  {
    name: 'run -it tells the size of the terminal',
    script: `expect -c 'set timeout 60; set stty_init "rows 31 cols 97"; spawn -noecho docker run --rm -it busybox sh -c "until stty size 2>/dev/null | grep -q 31; do sleep 0.05; done; stty size"; expect eof; exit [lindex [wait] 3]'`,
    shows: /31 97/,
  },
  { name: 'run -it without a terminal is refused', script: `docker run --rm -it busybox true`, code: 1 },
  {
    name: 'run -e and --env-file set the environment',
    script: `printf 'C=3\\n# no\\nD=four 4\\n' >f; B=2 docker run --rm -e A=1 -e B -e GONE --env-file f busybox env | grep -v HOSTNAME | sort`,
    shows: /D=four 4/,
  },
  {
    name: 'run sets HOSTNAME, HOME and PATH',
    script: `docker run --rm -h box busybox env | sort`,
    shows: /HOSTNAME=box/,
  },
  { name: 'run -t sets TERM', script: `docker run --rm -t busybox env | grep TERM`, shows: /TERM=xterm/ },
  {
    name: 'run -w sets the working directory',
    script: `docker run --rm -w /etc busybox pwd`,
    shows: /^\/etc$/m,
  },
  { name: 'run -w makes a missing directory', script: `docker run --rm -w /new/deep busybox pwd` },
  {
    name: 'run -w refuses a relative path',
    script: `docker run --rm -w etc busybox pwd`,
    code: 125,
    shows: /needs to be an absolute path/,
  },
  {
    name: 'run --user with numbers',
    script: `docker run --rm -u 1000:29 busybox id`,
    shows: /uid=1000\(user\) gid=29/,
  },
  {
    name: 'run --user with a name has its groups',
    script: `docker run --rm -u user busybox id`,
    shows: /29\(audio\)/,
  },
  {
    name: 'run --user with an unknown number',
    script: `docker run --rm -u 4242 busybox id`,
    shows: /uid=4242 gid=0/,
  },
  {
    name: 'run --user with an unknown name fails',
    script: `docker run --rm -u nosuch busybox id`,
    code: 125,
    shows: /unable to find user nosuch: no matching entries in passwd file/,
  },
  {
    name: 'run --user sets HOME',
    script: `docker run --rm -u user busybox sh -c 'echo $HOME'`,
    shows: /\/home/,
  },
  {
    name: 'run --group-add adds groups',
    script: `docker run --rm --group-add audio --group-add 77 busybox id -G`,
  },
  { name: 'run --entrypoint', script: `docker run --rm --entrypoint echo busybox a b`, shows: /^a b$/m },
  {
    name: 'run --entrypoint "" resets it',
    script: `docker run --rm --entrypoint "" configured echo plain`,
    shows: /plain/,
  },
  {
    name: 'run uses the configuration of the image',
    script: `docker run --rm configured`,
    shows: /entry: one two/,
  },
  {
    name: 'run replaces the command of the image',
    script: `docker run --rm configured three`,
    shows: /entry: three$/m,
  },
  {
    name: 'run of a missing command gives 127',
    script: `docker run --rm busybox nosuchcommand`,
    code: 127,
    shows: /executable file not found in \$PATH/,
  },
  {
    name: 'run of a missing absolute path gives 127',
    script: `docker run --rm busybox /no/such`,
    code: 127,
    shows: /no such file or directory/,
  },
  {
    name: 'run of a file that is not executable gives 126',
    script: `docker run --rm busybox /etc/passwd`,
    code: 126,
  },
  { name: 'run of a directory gives 126', script: `docker run --rm busybox /etc`, code: 126 },
  {
    name: 'run of a script without interpreter line',
    script: `printf 'echo hi\\n' >s; chmod +x s; docker run --rm -v $PWD/s:/s busybox /s`,
    code: 1,
    shows: /exec format error/,
  },
  {
    name: 'run of a failed command leaves it created',
    script: `docker run --name cx busybox nosuch; docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' cx`,
    shows: /created 127/,
  },
  {
    name: 'run of a command killed by a signal',
    script: `docker run --rm --init busybox sh -c 'kill -KILL $$'`,
    code: 137,
  },
  {
    name: 'run reports SIGSEGV as 139',
    script: `docker run --rm --init busybox sh -c 'kill -SEGV $$'`,
    code: 139,
  },
  {
    name: 'run --hostname',
    script: `docker run --rm -h box --domainname example.org busybox sh -c 'hostname; hostname -f; cat /proc/sys/kernel/domainname'`,
  },
  {
    name: 'run makes the short id the host name',
    script: `docker run --rm busybox hostname`,
    shows: /^ID12$/m,
  },
  {
    name: 'run writes /etc/hosts',
    script: `docker run --rm -h box --add-host db:10.1.2.3 --add-host six:::1 busybox cat /etc/hosts | tr '\\t' ' '`,
    shows: /10\.1\.2\.3 db/,
  },
  {
    name: 'run --add-host host-gateway',
    script: `docker run --rm --add-host gw:host-gateway busybox grep gw /etc/hosts`,
  },
  {
    name: 'run --dns',
    script: `docker run --rm --dns 9.9.9.9 --dns-search example.org --dns-option ndots:3 busybox cat /etc/resolv.conf | grep -E '^[a-z]'`,
  },
  {
    name: 'run --read-only',
    script: `docker run --rm --read-only busybox touch /x`,
    code: 1,
    shows: /Read-only file system/,
  },
  {
    name: 'run --read-only leaves /dev/shm writable',
    script: `docker run --rm --read-only busybox touch /dev/shm/x`,
  },
  {
    name: 'run --tmpfs',
    script: `docker run --rm --tmpfs /t:size=1m,mode=1770 busybox sh -c 'stat -c "%a %U" /t; df -k /t | tail -1; mount | grep " /t " | grep -o "noexec\\|nosuid\\|nodev" | sort'`,
  },
  {
    name: 'run --cap-add',
    script: `docker run --rm --cap-add NET_ADMIN busybox grep CapEff /proc/self/status`,
  },
  {
    name: 'run has the default capabilities',
    script: `docker run --rm busybox grep ^Cap /proc/self/status`,
    shows: /CapEff:\s00000000a80425fb/,
  },
  {
    name: 'run as another user has no capabilities',
    script: `docker run --rm -u 1000 busybox grep ^Cap /proc/self/status`,
    shows: /CapEff:\s0{16}/,
  },
  {
    name: 'run --cap-drop ALL',
    script: `docker run --rm --cap-drop ALL busybox grep ^Cap /proc/self/status`,
    shows: /CapBnd:\s0{16}/,
  },
  {
    name: 'run --cap-drop ALL --cap-add',
    script: `docker run --rm --cap-drop all --cap-add chown busybox grep ^Cap /proc/self/status`,
    shows: /0{15}1/,
  },
  {
    name: 'run --cap-add with an unknown name',
    script: `docker run --rm --cap-add BOGUS busybox true`,
    code: 125,
    shows: /invalid CapAdd: unknown capability: "CAP_BOGUS"/,
  },
  { name: 'run has a filter', script: `docker run --rm busybox grep Seccomp: /proc/self/status`, shows: /2/ },
  {
    name: 'run --security-opt seccomp=unconfined',
    script: `docker run --rm --security-opt seccomp=unconfined busybox grep Seccomp: /proc/self/status`,
    shows: /0/,
  },
  {
    name: 'run --security-opt seccomp=FILE',
    script: `echo '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":62}]}' >p.json; docker run --rm --security-opt seccomp=p.json busybox mkdir /x`,
    code: 1,
    shows: /Timer expired/,
  },
  {
    name: 'run --security-opt no-new-privileges',
    script: `docker run --rm --security-opt no-new-privileges busybox grep NoNewPrivs /proc/self/status`,
    shows: /1/,
  },
  {
    name: 'run --security-opt with nonsense',
    script: `docker run --rm --security-opt bogus=1 busybox true`,
    code: 125,
  },
  {
    name: 'run --ulimit',
    script: `docker run --rm --ulimit nofile=100:200 --ulimit core=0 busybox sh -c 'ulimit -Sn; ulimit -Hn; ulimit -c'`,
    shows: /100\n200\n0/,
  },
  {
    name: 'run --ulimit with soft above hard',
    script: `docker run --rm --ulimit nofile=300:200 busybox true`,
    code: 125,
  },
  {
    name: 'run --sysctl',
    script: `docker run --rm --sysctl net.ipv4.ip_default_ttl=42 busybox cat /proc/sys/net/ipv4/ip_default_ttl`,
    shows: /42/,
  },
  {
    name: 'run --sysctl outside of namespaces',
    script: `docker run --rm --sysctl kernel.panic=1 busybox true`,
    code: 125,
  },
  {
    name: 'run --device',
    script: `docker run --rm --device /dev/null:/dev/xnull:rw busybox sh -c 'echo x > /dev/xnull; stat -c "%t %T" /dev/xnull'`,
    shows: /1 3/,
  },
  {
    name: 'run --device that is not there',
    script: `docker run --rm --device /dev/nosuch busybox true`,
    code: 127,
    shows: /error gathering device information/,
  },
  {
    name: 'run has these devices',
    script: `docker run --rm busybox sh -c 'ls /dev | sort | xargs'`,
    shows: /full/,
  },
  {
    name: 'run --shm-size',
    script: `docker run --rm --shm-size 16m busybox sh -c 'df -k /dev/shm | tail -1 | awk "{print \\$2}"'`,
    shows: /16384/,
  },
  {
    name: 'run --label',
    script: `printf 'l2=two\\n' >f; docker run --name cx -l a=b -l flag --label-file f busybox true; docker inspect -f '{{json .Config.Labels}}' cx`,
    shows: /two/,
  },
  {
    name: 'run --cidfile',
    script: `docker run --cidfile id busybox true; grep -c . id; docker run --cidfile id busybox true`,
    code: 125,
  },
  {
    name: 'run -a stdout drops stderr',
    script: `docker run --rm -a stdout busybox sh -c 'echo out; echo err >&2'`,
  },
  { name: 'run -a stdin', script: `docker run --rm --pull never -a stdin -i busybox cat </dev/null` },
  {
    name: 'run --oom-score-adj',
    script: `docker run --rm --oom-score-adj 500 busybox cat /proc/self/oom_score_adj`,
    shows: /500/,
  },
  {
    name: 'run --pid host sees the host',
    script: `docker run --rm --pid host busybox sh -c '[ $$ -gt 50 ] && echo host'`,
    shows: /host/,
  },
  {
    name: 'run --pid container',
    script: `docker run -d --name ca busybox sleep 1234; docker run --rm --pid container:ca busybox ps -o args | grep -c 'sleep 1234'`,
    shows: /^1$/m,
  },
  {
    name: 'run --uts host',
    script: `[ "$(docker run --rm --uts host busybox hostname)" = "$(hostname)" ] && echo same`,
    shows: /same/,
  },
  {
    name: 'run --ipc container shares /dev/shm',
    script: `docker run -d --name ca --ipc shareable busybox sh -c 'echo x >/dev/shm/f; sleep 99'; until realdocker exec ca test -s /dev/shm/f; do sleep 0.05; done; docker run --rm --ipc container:ca busybox cat /dev/shm/f`,
    shows: /^x$/m,
  },
  {
    name: 'run --userns host keeps the ids',
    script: `docker run --rm --userns host busybox cat /proc/self/uid_map | xargs`,
    shows: /0 0 4294967295/,
  },
  {
    name: 'run --runtime with an unknown name',
    script: `docker run --rm --runtime bogus busybox true`,
    code: 125,
    shows: /bogus/,
  },
  {
    name: 'run masks paths',
    script: `docker run --rm busybox sh -c 'cat /proc/kcore | wc -c; cat /proc/keys 2>&1 | wc -c; ls /proc/acpi /sys/firmware 2>/dev/null | grep -v : | wc -w'`,
  },
  {
    name: 'run keeps /proc/sys read-only',
    script: `docker run --rm busybox sh -c 'echo 1 > /proc/sys/kernel/panic'`,
    code: 1,
    shows: /Read-only file system/,
  },
  {
    name: 'run keeps /sys read-only',
    script: `docker run --rm busybox sh -c 'echo 1 > /sys/kernel/profiling'`,
    code: 1,
    shows: /Read-only file system/,
  },
  {
    name: 'run --init reaps',
    script: `docker run --rm --init busybox sh -c 'echo $$ > /tmp/p; [ $$ != 1 ] && echo child'`,
    shows: /child/,
  },
  {
    name: 'run of an unknown image',
    script: `docker run --rm 127.0.0.1:5000/nosuch true`,
    code: 125,
    shows: /manifest unknown/,
  },
  {
    name: 'run --pull never of an unknown image',
    script: `docker run --rm --pull never nosuch true`,
    code: 125,
    shows: /No such image: nosuch:latest/,
  },
  {
    name: 'run pulls a missing image',
    script: `docker run --rm 127.0.0.1:5000/configured pulled; docker rmi 127.0.0.1:5000/configured`,
    shows: /Unable to find image/,
    normalise: [[/^[0-9a-fID]+12: .*\n/gm, '']],
  },
  {
    name: 'run of a bad reference',
    script: `docker run --rm UPPER true`,
    code: 125,
    shows: /must be lowercase/,
  },
  {
    name: 'run of an empty reference',
    script: `docker run --rm ''`,
    code: 125,
    shows: /invalid reference format/,
  },
  {
    name: 'run with a name in use',
    script: `docker run --name cx busybox true; docker run --name cx busybox true`,
    code: 125,
    shows: /Conflict. The container name "\/cx" is already in use by container/,
  },
  {
    name: 'run with an invalid name',
    script: `docker run --name 'a b' busybox true`,
    code: 125,
    shows: /Invalid container name \(a b\), only \[a-zA-Z0-9\]\[a-zA-Z0-9_.-\] are allowed/,
  },
  {
    name: 'run with an unknown flag',
    script: `docker run --nosuchflag busybox true`,
    code: 125,
    shows: /unknown flag: --nosuchflag/,
  },
  { name: 'run without an image', script: `docker run`, code: 1, shows: /requires at least 1 argument/ },
  {
    name: 'run --rm with --restart',
    script: `docker run --rm --restart always busybox true`,
    code: 125,
    shows: /conflicting options/i,
  },
  {
    name: 'run --restart with nonsense',
    script: `docker run --restart sometimes busybox true`,
    code: 125,
    shows: /invalid restart policy/,
  },
  {
    name: 'run -d with -a',
    script: `docker run -d -a stdout busybox true`,
    code: 1,
    shows: /[Cc]onflicting options/,
  },
  {
    name: 'run passes signals on',
    script: `docker run --name cx --rm busybox sh -c 'trap "echo got it; exit 9" TERM; echo ready; while :; do sleep 0.1; done' > out & until grep -qs ready out; do sleep 0.05; done; kill -TERM $!; wait $!; echo $?; cat out`,
    shows: /got it/,
  },
  {
    name: 'run -it detaches with ctrl-p ctrl-q',
    script: `expect -c 'set timeout 60; spawn -noecho docker run --name cx -it busybox sh; expect "# "; send "\\x10\\x11"; expect eof; exit [lindex [wait] 3]' >/dev/null; echo $?; docker ps --format '{{.Names}} {{.State}}'`,
    shows: /cx running/,
  },
  {
    name: 'run --detach-keys',
    script: `expect -c 'set timeout 60; spawn -noecho docker run --name cx --detach-keys ctrl-a,d -it busybox sh; expect "# "; send "\\x01d"; expect eof; exit [lindex [wait] 3]' >/dev/null; echo $?; docker ps --format '{{.Names}} {{.State}}'`,
    shows: /cx running/,
  },
  {
    name: 'run sees a layered image as it should be',
    script: `docker run --rm layered sh -c 'cd /l; find . | sort | cut -c1-60; cat changed; ls opaque; stat -c "%h %a %u %g %F" hard-a setuid owned fifo null link; cat link | sed -n 1p'`,
    shows: /visible/,
  },
]
