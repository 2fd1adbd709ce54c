import type { Row } from '../row.ts'
import { buildRow, SERVE, SHOW_CONFIG, SHOW_HISTORY } from './build-row.ts'

const TWO_STAGES = `FROM busybox AS first
RUN echo first > /f
FROM busybox AS second
COPY --from=first /f /g
FROM second
RUN echo third`

/** Options of a build, and where its context comes from. */
export const buildOptionRows: readonly Row[] = [
  buildRow({
    name: 'build: --target by name, any case',
    dockerfile: TWO_STAGES,
    options: '--target SECOND',
    then: 'docker run --rm built cat /g',
    shows: /^first$/m,
  }),
  buildRow({
    name: 'build: --target by number',
    dockerfile: TWO_STAGES,
    options: '--target 0',
    code: 1,
    shows: /failed to reach build target 0 in Dockerfile/,
  }),
  buildRow({
    name: 'build: --target that is not there',
    dockerfile: TWO_STAGES,
    options: '--target nosuch',
    code: 1,
    shows: /failed to reach build target nosuch in Dockerfile/,
  }),
  buildRow({
    name: 'build: --label, several and with spaces',
    dockerfile: 'FROM busybox\nLABEL b=file',
    options: `--label b=given --label 'a=two words' --label empty`,
    then: `${SHOW_CONFIG}; ${SHOW_HISTORY}`,
    shows: /"a": "two words"/,
  }),
  buildRow({
    name: 'build: several tags',
    dockerfile: 'FROM busybox\nCMD x',
    options: '-t other:v1 -t third',
    then: `docker images --format '{{.Repository}}:{{.Tag}}' | sort`,
    shows: /^Successfully tagged other:v1$/m,
  }),
  buildRow({
    name: 'build: a bad tag',
    dockerfile: 'FROM busybox',
    options: '-t UPPER',
    code: 125,
    shows: /invalid argument "UPPER"/,
  }),
  buildRow({
    name: 'build: a name that another image has moves',
    dockerfile: 'FROM busybox\nCMD first',
    then: `sed -i s/first/second/ c/Dockerfile; docker build -qt built c; docker images --format '{{.Repository}}:{{.Tag}}' | sort; ${SHOW_CONFIG}`,
    shows: /^<none>:<none>$/m,
  }),
  buildRow({
    name: 'build: --quiet and --iidfile',
    dockerfile: 'FROM busybox\nRUN echo loud\nRUN echo louder >&2',
    options: '-q --iidfile id',
    then: `cat id; echo; [ "$(cat id)" = "$(docker images -q --no-trunc built)" ] && echo the same`,
    shows: /^SHA256\nSHA256\nthe same$/m,
  }),
  buildRow({
    name: 'build: --quiet and a step that fails',
    dockerfile: 'FROM busybox\nRUN echo why >&2; exit 9',
    options: '-q --iidfile id',
    context: 'c; code=$?; ls id; exit $code',
    code: 9,
    shows: /returned a non-zero code: 9/,
  }),
  buildRow({
    name: 'build: twice, from the cache; --no-cache',
    dockerfile: 'FROM busybox\nRUN echo one\nENV A=1\nCOPY f /f\nCMD ["x"]',
    prepare: 'echo f > c/f',
    then: `docker build -t again c; [ "$(docker images -q built)" = "$(docker images -q again)" ] && echo the same; docker build --no-cache -t fresh c`,
    shows: /Using cache[^]*the same/,
  }),
  buildRow({
    name: 'build: the cache goes by content and mode, not by time',
    dockerfile: 'FROM busybox\nCOPY f d /x/\nRUN echo after',
    prepare: 'echo f > c/f; mkdir c/d; echo g > c/d/g',
    then: `touch -d 2001-01-01 c/f c/d/g; docker build c; echo changed; echo h > c/d/g; docker build c; echo mode; chmod 700 c/f; docker build c`,
    shows: /Using cache/,
  }),
  buildRow({
    name: 'build: the cache goes by arguments that are declared',
    dockerfile: 'FROM busybox\nRUN echo before\nARG A\nRUN echo $A\nRUN echo last',
    options: '--build-arg A=1',
    then: `docker build --build-arg A=1 c; echo other; docker build --build-arg A=2 c; for port in 7 8 9; do docker build --build-arg A=1 --build-arg HTTP_PROXY=http://127.0.0.1:$port c | grep -c cache >count; done; cat count`,
    shows: /Using cache/,
  }),
  buildRow({
    name: 'build: --cache-from an image, and one that is not there',
    dockerfile: 'FROM busybox\nRUN echo one\nRUN echo two',
    then: `docker build --cache-from built c; echo none; docker build --cache-from nosuch c; echo other; docker build --cache-from busybox c`,
    shows: /none[^]*Running in/,
  }),
  buildRow({
    name: 'build: --network none, host, a name, and a bad one',
    dockerfile: `FROM busybox\nRUN ls /sys/class/net | tr '\\n' ' '`,
    options: '--network none',
    then: `docker network create -d bridge --subnet 10.98.7.0/24 own >/dev/null; docker build --no-cache --network own c; docker build --no-cache --network nosuch c`,
    code: 1,
    shows: /network nosuch not found/,
  }),
  buildRow({
    name: 'build: --add-host',
    dockerfile: `FROM busybox\nRUN grep example /etc/hosts`,
    options: '--add-host one.example:10.1.2.3 --add-host two.example:10.1.2.4',
    shows: /10\.1\.2\.4\s+two\.example/,
  }),
  buildRow({
    name: 'build: --memory, --cpu-shares, --cpuset-cpus, --ulimit, --shm-size reach the steps',
    dockerfile: `FROM busybox
RUN ulimit -n; df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2; grep Cpus_allowed_list /proc/self/status`,
    options:
      '--memory 64m --memory-swap 64m --cpu-shares 512 --cpuset-cpus 0 --ulimit nofile=99:100 --shm-size 8m',
    shows: /^99\n8192\nCpus_allowed_list:\s+0$/m,
  }),
  buildRow({
    name: 'build: a step that wants more memory than --memory is killed',
    dockerfile: 'FROM busybox\nRUN { tail /dev/zero; } 2>/dev/null; echo $?',
    options: '--memory 32m --memory-swap 32m',
    shows: /^.*137$/m,
  }),
  buildRow({
    name: 'build: --memory below the least',
    dockerfile: 'FROM busybox\nRUN true',
    options: '--memory 1m',
    code: 1,
    shows: /Minimum memory limit/,
  }),
  buildRow({
    name: 'build: --security-opt',
    dockerfile: 'FROM busybox\nRUN true',
    options: '--security-opt seccomp=unconfined',
    code: 1,
    shows: /does not support setting security options on build/,
  }),
  buildRow({
    name: 'build: --isolation of Windows, also where nothing is run',
    dockerfile: 'FROM busybox',
    options: '--isolation hyperv',
    code: 1,
    shows: /isolation/i,
  }),
  buildRow({
    name: 'build: --network host has the name of the host',
    dockerfile: 'FROM busybox\nRUN hostname',
    options: '--network host',
    then: 'hostname',
    normalise: [[/^ ---> \[Warning\] With the network of the host .*\n/gm, '']],
  }),
  buildRow({
    name: 'build: --cpuset-cpus that are not there, --network of a container that is not there',
    dockerfile: 'FROM busybox\nRUN true',
    options: '--cpuset-cpus 99',
    context: 'c; docker build --network container:nosuch c',
    code: 1,
    shows: /Requested CPUs are not available[^]*No such container: nosuch/,
  }),
  buildRow({
    name: 'build: --squash without experimental features',
    dockerfile: 'FROM busybox',
    options: '--squash',
    code: 1,
    shows: /squash/,
  }),
  buildRow({
    name: 'build: --rm=false keeps the containers of the steps',
    dockerfile: 'FROM busybox\nRUN echo kept\nENV A=1',
    options: '--rm=false',
    then: `docker ps -a --no-trunc --format '{{.Command}} {{.Status}}' | sort`,
    shows: /echo kept/,
  }),
  buildRow({
    name: 'build: --force-rm removes the container of a step that failed, without it it stays',
    dockerfile: 'FROM busybox\nRUN exit 3',
    options: '--force-rm',
    context: 'c; docker ps -aq | wc -l; docker build c; docker ps -aq | wc -l; true',
    shows: /^0$[^]*^1$/m,
  }),
  buildRow({
    name: 'build: --platform of this machine and of another',
    dockerfile: 'FROM busybox\nRUN uname -m',
    options: '--platform linux/amd64',
    then: `docker build --platform nonsense/what/is/it c; echo $?`,
  }),
  buildRow({
    name: 'build: --pull asks the registry',
    dockerfile: 'FROM 127.0.0.1:5000/busybox\nRUN echo pulled',
    options: '--pull',
    then: `docker build --pull c | grep -E 'Status|cache'`,
    shows: /Status: Image is up to date/,
    normalise: [[/^\w+: (Pulling|Already|Pull|Download|Verifying|Waiting).*\n/gm, '']],
  }),
  buildRow({
    name: 'build: -f in the context, outside it, and by another name',
    dockerfile: 'FROM busybox\nRUN echo default',
    prepare: `mkdir c/sub; printf 'FROM busybox\\nCOPY f /f\\nRUN echo sub\\n' > c/sub/Other; cp c/sub/Other outside; echo f > c/f`,
    options: '-f c/sub/Other',
    then: `docker build -f outside c; cd c && docker build -f sub/Other .`,
    shows: /^sub$/m,
  }),
  buildRow({
    name: 'build: the Dockerfile on standard input',
    context: `- <<'EOF'\nFROM busybox\nRUN echo from stdin\nEOF\ntrue`,
    shows: /^from stdin$/m,
  }),
  buildRow({
    name: 'build: the Dockerfile on standard input, files of a folder',
    prepare: 'echo f > c/f',
    options: '-f -',
    context: `c <<'EOF'\nFROM busybox\nCOPY f /f\nRUN cat /f; ls -A /\nEOF\ntrue`,
    shows: /^f$/m,
  }),
  ...['', 'z', 'j', 'J'].map((letter) =>
    buildRow({
      name: `build: a context as a tar on standard input, tar -c${letter}`,
      dockerfile: 'FROM busybox\nCOPY f /f\nRUN cat /f',
      prepare: `echo f > c/f; tar -C c -c${letter}f t.tar .`,
      context: '- < t.tar',
      shows: /^f$/m,
    }),
  ),
  buildRow({
    name: 'build: a context from a URL, and a Dockerfile from one',
    dockerfile: 'FROM busybox\nCOPY f /f\nRUN cat /f',
    prepare: `echo f > c/f; mkdir www; tar -C c -czf www/c.tar.gz .; printf 'FROM busybox\\nRUN echo alone\\n' > www/Dockerfile.txt; ${SERVE}`,
    context: 'http://127.0.0.1:8099/c.tar.gz',
    then: 'docker build http://127.0.0.1:8099/Dockerfile.txt; docker build http://127.0.0.1:8099/nosuch',
    code: 1,
    shows: /^alone$/m,
    normalise: [
      [/^Downloading.*\n/gm, ''],
      [/\r+/g, '\n'],
      [/^\n/gm, ''],
      [/^Downloading.*\n/gm, ''],
    ],
  }),
  buildRow({
    name: 'build: the engine itself fetches a remote context',
    prepare: `mkdir www; printf 'FROM busybox\\nCOPY f /f\\nRUN cat /f\\n' > c/Dockerfile; echo f > c/f; tar -C c -cf www/c.tar .; printf 'FROM busybox\\nRUN echo alone\\n' > www/Dockerfile.txt; ${SERVE}`,
    context: `c >/dev/null; api() { curl -s --unix-socket "$SOCK" -X POST "http://d/v1.41/build?nocache=1&remote=$1" | jq -rj '.stream // .error // .message // empty'; }
      api http://127.0.0.1:8099/c.tar; api http://127.0.0.1:8099/Dockerfile.txt; api http://127.0.0.1:8099/nosuch; api ftp://127.0.0.1/x; true`,
    shows: /^alone$/m,
    normalise: [
      [/^Downloading.*\n/gm, ''],
      [/\r+/g, '\n'],
      [/^\n/gm, ''],
    ],
  }),
  buildRow({
    name: 'build: a git repository, a branch and a folder of it',
    prepare: `git init -q -b master repo && cd repo && git config user.email a@b && git config user.name n && mkdir sub && printf 'FROM busybox\\nRUN echo of master\\n' > Dockerfile && git add . && git commit -qm one && git checkout -qb other && printf 'FROM busybox\\nRUN echo of sub\\n' > sub/Dockerfile && git add . && git commit -qm two && git checkout -q master && cd ..; git daemon --export-all --base-path=. --listen=127.0.0.1 --port=9418 --reuseaddr & daemon=$!; trap 'kill $daemon' EXIT; until git ls-remote git://127.0.0.1/repo >/dev/null 2>&1; do sleep 0.1; done`,
    context: 'git://127.0.0.1/repo',
    then: 'docker build git://127.0.0.1/repo#other:sub; docker build git://127.0.0.1/repo#nosuch',
    code: 1,
    shows: /^of sub$/m,
  }),
  buildRow({
    name: 'build: .dockerignore with wildcards, exceptions and comments',
    dockerfile: 'FROM busybox\nCOPY . /x\nRUN cd /x && find . | sort',
    prepare: `cd c; mkdir -p a/b logs keep/deep; touch a/1.log a/b/2.log a/b/keep.log logs/x logs/y readme.md other.md .hidden keep/deep/z '#not'
      printf '# a comment\\n\\n**/*.log\\n!a/b/keep.log\\nlogs\\n!logs/y\\n*.md\\n!readme*.md\\n/keep/deep\\n.h?dden\\nDockerfile\\n' > .dockerignore; cd ..`,
    shows: /readme\.md/,
  }),
  buildRow({
    name: 'build: .dockerignore names what a COPY wants, and a name of its own for the Dockerfile counts for BuildKit only',
    dockerfile: 'FROM busybox\nCOPY f /f',
    prepare: `echo f > c/f; echo f > c/.dockerignore; echo > c/Dockerfile.dockerignore`,
    code: 1,
    shows: /file not found in build context or excluded by .dockerignore/,
  }),
]
