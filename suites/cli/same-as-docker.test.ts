/** The same words to docker's client and to ours, on one dockerd: stdout, stderr and exit code must be the same. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { missing } from '../harness/requirement.ts'
import { bothClients, NEEDS, normal } from './both-clients.ts'
import type { BothClients } from './both-clients.ts'

/** Commands that change nothing, or fail; so both can run on the same things, one after the other. */
const LINES = `
ps
ps -a
ps -aq
ps -a --no-trunc
ps -as
ps -l
ps -n 2
ps -a --filter name=one
ps -aqf status=exited
ps -aq --format {{.Names}}
ps -aq --format json
--log-level bogus ps
-l Warning ps -q
ps -a --format {{.Names}}
ps -a --format json --filter name=two
ps -a --format {{.Nope}}
ps -a --format {{.ID
ps -a --format table␣{{.Names}}\\t{{.Status}}\\t{{.Label␣"k"}}
ps -a --format {{json␣.Names}}␣{{upper␣.Image}}
ps -a --format {{if␣eq␣.State␣"running"}}R{{else␣if␣eq␣.State␣"created"}}C{{else}}X{{end}}
ps -a --format {{printf␣"%-10s|%5s|%q"␣.Names␣.State␣.Image}}
ps -a --format {{.Names␣|␣upper␣|␣printf␣"%s!"}}
ps --format {{.LocalVolumes}}␣{{.Networks}}␣{{.CreatedAt}}
ps -z
ps extra
ps --last
container ls -a
container inspect one
images
images -q
images --no-trunc
images --digests
images busybox
images nosuch
images --format json
image ls
image inspect busybox
image inspect nope
history busybox
history --no-trunc busybox
history -q busybox
history -H=false busybox
network ls
network ls --no-trunc
network ls -q
network ls --format json
network inspect none
network inspect nope
volume ls
volume ls -q
volume ls --format json
volume inspect named
volume inspect nope
volume rm nope
inspect one
inspect one two nope
inspect -s one
inspect nope
inspect --type foo x
inspect --type image one
inspect -f {{.State.Status}}␣{{.State.ExitCode}} two
inspect -f {{.State.Health}} one
inspect -f {{if␣.State.Health}}yes{{else}}no{{end}} one
inspect -f {{.State.Health.Status}} one
inspect -f {{.Nope}} one
inspect -f {{json␣.Config.Labels}}␣{{.Config.Labels}}␣{{index␣.Config.Labels␣"k"}}␣{{index␣.Config.Labels␣"x"}} one
inspect -f {{.Config.Cmd}}␣{{len␣.Config.Cmd}}␣{{index␣.Config.Cmd␣0}}␣{{join␣.Config.Cmd␣"␣"}} one
inspect -f {{index␣.Config.Cmd␣10}} one
inspect -f {{range␣$k,␣$v␣:=␣.Config.Labels}}{{$k}}={{$v}};{{end}} one
inspect -f {{range␣.Mounts}}{{.Destination}}␣{{.Mode}}␣{{.RW}}|{{end}} one
inspect -f {{.HostConfig.CapAdd}}␣{{.HostConfig.PortBindings}}␣{{json␣.HostConfig.CapAdd}} one
inspect -f {{(index␣.Mounts␣0).Destination}} one
inspect -f {{.Id one
inspect -f {{end}} one
inspect -f {{$x}} one
logs two
logs --tail 1 two
logs -t two
logs --since 2h two
logs --since foo two
logs nope
top one -o pid,comm
top nope
port one
port nope
diff two
exec one sh -c exit␣4
exec one nosuchcmd
exec nope true
exec two true
exec x
exec -w /tmp -e X=1 -u 0 one sh -c pwd;␣echo␣$X;␣id␣-u
exec -it one sh
attach two
wait two
start nope
stop nope
kill nope
kill two
kill -s FOO one
restart nope
rm nope nope2
rm -f nope
rm one
rmi nope
rmi -f nope
rename nope x
rename one two
rename a
unpause one
pause two
update two
cp a b
cp one:/nope /tmp/x
cp one:/etc two:/
create --name one busybox
run
run --foo
run -it busybox
run -m abc busybox
run --restart=foo busybox
run --pull=foo busybox
run -a foo busybox
run -p 99999:80 busybox
run -p abc busybox
run -p 80-81:80-82 busybox
run -p 80:80/foo busybox
run -p x:80:80 busybox
run --expose a:b busybox
run --mount type=foo busybox
run --mount type=tmpfs,dst=/b,volume-nocopy=1 busybox
run --ulimit nofile=5:1 busybox
run --ulimit foo=1 busybox
run --cpus x busybox
run --device-read-bps foo busybox
run --device foo busybox
run --device-cgroup-rule foo busybox
run -e =x busybox
run --env-file /nope busybox
run --label =x busybox
run --add-host foo busybox
run --dns foo busybox
run --sysctl foo=1 busybox
run --security-opt foo busybox
run --security-opt seccomp=/nope busybox
run --health-interval 5 busybox
run --health-interval=-1s busybox
run --no-healthcheck --health-cmd x busybox
run --rm --restart always busybox
run --pid foo busybox
run --userns foo busybox
run --rm=maybe busybox
run --link a:b:c busybox
run --net host --network-alias x busybox
run --network name=foo,bad=1 busybox
run -d --rm -a stdout busybox true
run Foo
run --rm --net none busybox echo hi
run --rm --net none busybox sh -c echo␣out;␣echo␣err␣>&2;␣exit␣7
run --rm --net none busybox nosuchcmd
run --rm --net none busybox /etc
run --rm --net none busybox sh -c kill␣-9␣$$
run --rm --net none -w /nope busybox pwd
run --rm --net none -u nobodyatall busybox id
run --rm --net none --entrypoint echo busybox hi
run --rm --net none -h myhost busybox hostname
run --rm --net none --read-only busybox touch /x
run --rm --net none --ulimit nofile=99:100 busybox sh -c ulimit␣-n
run --rm=false --name one --net none busybox true
pull
pull Foo
push nope/x
tag busybox Foo
tag nope x:y
save nope
save -o /nonexistent/x busybox
save -o /tmp busybox
export nope
export -o /nonexistent/x one
run --cidfile /nonexistent/x busybox true
events --since x
events --until x --since 1h
commit nope
login -p x
login -u x --password-stdin localhost:1
system df
system df -v
system df --format json
system foo
container foo
container prune --filter x
foo
pss
stats nope --no-stream
stats --no-stream --format {{.Container}}␣{{.Name}} one
info -f {{.Driver}}
info -f {{json␣.Plugins}}
version -f {{.Server.Version}}
events --since 1h --until 0s --filter container=two --filter event=die
events --since 1h --until 0s --filter container=two --filter event=die --format json
events --since 1h --until 0s --filter container=two --filter event=die --format {{.Type}}␣{{.Action}}
`
  .trim()
  .split('\n')

describe('dewar prints what docker prints', { skip: missing(...NEEDS), concurrency: 1 }, () => {
  let both: BothClients
  before(async () => {
    both = await bothClients()
    const loop = 'echo tick; while :; do sleep 100; done'
    await both.server.docker(
      ...['run', '-d', '--net=none', '--name=one', '-l', 'k=v', '-l', 'z=y', '-v', 'named:/vol'],
      ...['busybox', 'sh', '-c', loop],
    )
    await both.docker([
      'run',
      '--net=none',
      '--name=two',
      'busybox',
      'sh',
      '-c',
      'echo out; echo err >&2; exit 3',
    ])
    await both.server.docker(
      'create',
      '--net=host',
      '--name=three',
      '--expose=80',
      '--expose=81',
      'busybox',
      'true',
    )
  })
  after(async () => both?.[Symbol.asyncDispose]())

  for (const line of LINES) {
    // ␣ is a space inside a word.
    const args = line.split(' ').map((word) => word.replaceAll('␣', ' '))
    test(`dewar ${args.join(' ')}`, async () => {
      const docker = await both.docker(args)
      const dewar = await both.dewar(args)
      assert.equal(withoutHints(dewar.stderr), normal(docker.stderr))
      assert.equal(normal(dewar.stdout), normal(docker.stdout))
      assert.equal(dewar.code, docker.code)
    })
  }
})

/** Ours says what may have been meant; docker does not. */
function withoutHints(stderr: string): string {
  return normal(stderr.replace(/\n\nDid you mean .*\?/, ''))
}
