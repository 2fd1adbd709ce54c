/** Containers: lists, inspection, logs, create; their life, files, execs and streams. In rows.ts' notation. */
export const CONTAINERS = `
# containers: list
GET /containers/json
GET /containers/json?all=1
GET /containers/json?all=true&size=true
GET /containers/json?all=1&limit=2
GET /containers/json?limit=0
GET /containers/json?limit=-1
GET /containers/json?limit=x
GET /containers/json?all=1&filters={"status":["exited"]}
GET /containers/json?all=1&filters={"status":["created","running"]}
GET /containers/json?all=1&filters={"status":["nosuch"]}
GET /containers/json?all=1&filters={"exited":["3"]}
GET /containers/json?all=1&filters={"exited":["x"]}
GET /containers/json?all=1&filters={"name":["^/run$"]}
GET /containers/json?all=1&filters={"name":["(["]}
GET /containers/json?all=1&filters={"id":["nosuch"]}
GET /containers/json?all=1&filters={"label":["role=web"]}
GET /containers/json?all=1&filters={"label":["role"]}
GET /containers/json?all=1&filters={"label":{"role=web":true,"empty":true}}
GET /containers/json?filters={"health":["healthy","starting"]}
GET /containers/json?filters={"health":["nosuch"]}
GET /containers/json?filters={"ancestor":["busybox"]}
GET /containers/json?filters={"ancestor":["nosuch"]}
GET /containers/json?filters={"network":["mesh"]}
GET /containers/json?filters={"volume":["vol"]}
GET /containers/json?filters={"volume":["/vol"]}
GET /containers/json?filters={"publish":["18080"]}
GET /containers/json?filters={"publish":["80/tcp"]}
GET /containers/json?filters={"expose":["80"]}
GET /containers/json?filters={"expose":["x"]}
GET /containers/json?filters={"publish":["1-2-3"]}
GET /containers/json?filters={"is-task":["true"]}
GET /containers/json?filters={"is-task":["x"]}
GET /containers/json?filters={"isolation":["default"]}
GET /containers/json?all=1&filters={"before":["talk"]}
GET /containers/json?all=1&filters={"since":["talk"]}
GET /containers/json?all=1&filters={"before":["nosuch"]}
GET /containers/json?all=1&filters={"since":["nosuch"]}
GET /containers/json?all=1&before=talk
GET /containers/json?all=1&since=talk
GET /containers/json?filters={"nosuch":["x"]}
GET /containers/json?filters=nonsense
GET /containers/json?filters=[]
GET /containers/json?filters={"status":"running"}
GET /containers/json?filters={}
GET /containers/json?filters=

# containers: inspect and what it leads to
GET /containers/run/json
GET /containers/run/json?size=1
GET /containers/tty/json
GET /containers/healthy/json
GET /containers/done/json
GET /containers/fresh/json
GET /containers/bare/json
GET /containers/meshed/json
GET /containers/nosuch/json
GET /containers/run/nosuch
GET /containers/run/top
GET /containers/run/top?ps_args=aux
GET /containers/run/top?ps_args=-o pid,comm
GET /containers/run/top?ps_args=-o nosuchcolumn
GET /containers/run/top?ps_args=-o comm
GET /containers/done/top
GET /containers/nosuch/top
GET /containers/run/changes
GET /containers/fresh/changes
GET /containers/nosuch/changes
GET /containers/run/export
GET /containers/fresh/export
GET /containers/nosuch/export
GET /containers/run/stats?stream=0
GET /containers/run/stats?stream=false&one-shot=true
GET /containers/run/stats?stream=1&one-shot=1
GET /containers/meshed/stats?stream=0&one-shot=1
GET /containers/bare/stats?stream=0&one-shot=1
GET /containers/done/stats?stream=0
GET /containers/fresh/stats?stream=0&one-shot=1
GET /containers/nosuch/stats?stream=0
GET /containers/nosuch/stats
~ GET /containers/run/stats
~ GET /containers/done/stats

# containers: logs
GET /containers/talk/logs?stdout=1
GET /containers/talk/logs?stdout=1&stderr=1
GET /containers/talk/logs?stderr=1&timestamps=1
GET /containers/talk/logs?stdout=1&details=1
GET /containers/talk/logs?stdout=1&tail=1
GET /containers/talk/logs?stdout=1&tail=0
GET /containers/talk/logs?stdout=1&tail=all
GET /containers/talk/logs?stdout=1&tail=nonsense
GET /containers/talk/logs?stdout=1&since=1
GET /containers/talk/logs?stdout=1&since=1.5
GET /containers/talk/logs?stdout=1&since=2999999999
GET /containers/talk/logs?stdout=1&until=1
GET /containers/talk/logs?stdout=1&until=2999999999
GET /containers/talk/logs?stdout=1&since=nonsense
GET /containers/talk/logs?stdout=1&until=nonsense
GET /containers/talk/logs?stdout=1&since=2020-01-01T00:00:00Z
GET /containers/talk/logs?stdout=1&follow=1
GET /containers/talk/logs
GET /containers/local/logs?stdout=1&stderr=1
GET /containers/local/logs?stdout=1&timestamps=1&tail=1
GET /containers/local/logs?stdout=1&tail=1&since=1&until=2999999999
GET /containers/local/logs?stdout=1&details=1
GET /containers/mute/logs?stdout=1
GET /containers/fresh/logs?stdout=1
GET /containers/tty/logs?stdout=1
GET /containers/nosuch/logs?stdout=1
GET /containers/nosuch/logs
~ GET /containers/run/logs?stdout=1&follow=1

# containers: create
POST /containers/create <- {}
POST /containers/create
POST /containers/create <- nojson
POST /containers/create <- []
POST /containers/create <- {"Image":"nosuch"}
POST /containers/create <- {"Image":"UPPER"}
POST /containers/create <- {"Image":"busybox:nosuch"}
POST /containers/create?name=run <- {"Image":"busybox"}
POST /containers/create?name=a/b <- {"Image":"busybox"}
POST /containers/create?name=x <- {"Image":"busybox"}
POST /containers/create?name=made&platform=linux/amd64 <- {"Image":"busybox","Cmd":"true"}
POST /containers/create?platform=linux/s390x <- {"Image":"busybox","Cmd":["true"]}
POST /containers/create?platform=nonsense/a/b/c <- {"Image":"busybox","Cmd":["true"]}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"LogConfig":{"Type":"json-file","Config":{"nosuch":"1"}}}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"LogConfig":{"Type":"json-file","Config":{"max-size":"x"}}}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"LogConfig":{"Type":"json-file","Config":{"max-file":"0"}}}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"LogConfig":{"Type":"json-file","Config":{"max-file":"2"}}}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"LogConfig":{"Type":"json-file","Config":{"mode":"nosuch"}}}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"LogConfig":{"Type":"json-file","Config":{"mode":"blocking","max-buffer-size":"1m"}}}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"LogConfig":{"Type":"json-file","Config":{"mode":"non-blocking","max-buffer-size":"1m"}}}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"LogConfig":{"Type":"json-file","Config":{"compress":"true","max-file":"2","max-size":"1m"}}}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"LogConfig":{"Type":"json-file","Config":{"compress":"maybe"}}}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"LogConfig":{"Type":"local","Config":{"nosuch":"1"}}}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"LogConfig":{"Type":"local","Config":{"max-size":"1m","max-file":"3","compress":"false"}}}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"LogConfig":{"Type":"none","Config":{"nosuch":"1"}}}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"LogConfig":{"Type":"","Config":{"max-size":"1m"}}}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"LogConfig":{"Type":"syslog"}}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"LogConfig":{"Type":"journald"}}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"Healthcheck":{"Test":["CMD","true"],"Interval":1}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"Healthcheck":{"Test":["CMD","true"],"Timeout":-1}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"Healthcheck":{"Test":["CMD","true"],"StartPeriod":1}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"Healthcheck":{"Test":["CMD","true"],"StartInterval":1}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"Healthcheck":{"Test":["CMD","true"],"Retries":-1}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"Healthcheck":{"Test":["NOSUCH"]}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"Healthcheck":{"Test":["NONE"]}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"Healthcheck":{}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"RestartPolicy":{"Name":"nosuch"}}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"RestartPolicy":{"Name":"always","MaximumRetryCount":2}}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":-2}}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"AutoRemove":true,"RestartPolicy":{"Name":"always"}}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"Memory":1}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"Memory":"x"}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"NanoCpus":999000000000}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"CpuShares":-5}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"OomScoreAdj":5000}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"ShmSize":-1}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"Binds":["/a"]}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"Binds":["/nosuch-of-host:/x"]}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"Mounts":[{"Type":"bind","Source":"/nosuch-of-host-2","Target":"/x"}]}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"Mounts":[{"Type":"volume","Target":"/x"}]}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"Mounts":[{"Type":"tmpfs","Target":"/x","Source":"y"}]}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"NetworkMode":"nosuch"}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"NetworkMode":"container:nosuch"}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"PortBindings":{"80/nosuch":[{"HostPort":"1"}]}}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":"x"}]}}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"CapAdd":["NOSUCH"]}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"HostConfig":{"Runtime":"nosuch"}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"WorkingDir":"relative"}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"StopSignal":"NOSUCH"}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"Env":["=x"]}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"Env":[""]}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"Hostname":"a..b"}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"ExposedPorts":{"x":{}}}
POST /containers/create <- {"Image":"busybox","Cmd":["true"],"Volumes":{"relative":{}}}

`

export const LIFE = `
# containers: life
POST /containers/fresh/start
POST /containers/fresh/wait
POST /containers/fresh/start?detachKeys=ctrl-x
POST /containers/fresh/wait
POST /containers/fresh/start?detachKeys=nonsense-keys
POST /containers/run/start
POST /containers/nosuch/start
POST /containers/run/pause
POST /containers/run/pause
POST /containers/run/start
GET /containers/run/json
GET /containers/json?filters={"status":["paused"]}
POST /containers/run/unpause
POST /containers/run/unpause
POST /containers/done/pause
POST /containers/done/unpause
POST /containers/run/kill?signal=nosuch
POST /containers/run/kill?signal=USR1
POST /containers/run/kill?signal=0
POST /containers/run/kill?signal=99
POST /containers/done/kill
POST /containers/nosuch/kill
POST /containers/tty/resize?h=20&w=80
POST /containers/tty/resize?h=x&w=80
POST /containers/tty/resize?h=20
POST /containers/tty/resize
POST /containers/tty/resize?h=99999&w=99999
POST /containers/tty/resize?h=-1&w=5
POST /containers/done/resize?h=20&w=80
POST /containers/run/resize?h=20&w=80
POST /containers/nosuch/resize?h=20&w=80
POST /containers/run/rename
POST /containers/run/rename?name=
POST /containers/run/rename?name=run
POST /containers/run/rename?name=done
POST /containers/run/rename?name=a b
POST /containers/run/rename?name=other
GET /containers/other/json
POST /containers/other/rename?name=/run
POST /containers/nosuch/rename?name=q
POST /containers/done/wait
POST /containers/done/wait?condition=
POST /containers/done/wait?condition=not-running
POST /containers/done/wait?condition=nosuch
POST /containers/nosuch/wait
POST /containers/nosuch/wait?condition=removed
~ POST /containers/run/wait
~ POST /containers/done/wait?condition=next-exit
~ POST /containers/done/wait?condition=removed
POST /containers/done/stop
POST /containers/done/stop?t=1
POST /containers/run/stop?t=x
POST /containers/run/stop?signal=nosuch
POST /containers/run/restart?t=x
POST /containers/run/restart?t=1
POST /containers/run/restart?signal=TERM&t=5
POST /containers/nosuch/stop
POST /containers/nosuch/restart
GET /events?since=1&until={now}&filters={"type":["container"],"container":["run"],"event":["pause","unpause","kill","rename","restart","start","stop","die"]}
GET /events?since=1&until={now}&filters={"daemon":["nobody"]}

# containers: update
POST /containers/run/update <- {}
POST /containers/run/update
POST /containers/run/update <- {"Memory":67108864,"MemorySwap":67108864}
POST /containers/run/update <- {"MemoryReservation":33554432}
POST /containers/run/update <- {"Memory":1}
POST /containers/run/update <- {"Memory":33554432,"MemorySwap":1}
POST /containers/run/update <- {"CpuShares":512}
POST /containers/run/update <- {"CpuPeriod":100000,"CpuQuota":50000}
POST /containers/run/update <- {"NanoCpus":500000000}
POST /containers/run/update <- {"CpuQuota":1}
POST /containers/run/update <- {"CpusetCpus":"99"}
POST /containers/done/update <- {"CpusetCpus":"0","CpusetMems":"0"}
POST /containers/run/update <- {"PidsLimit":100}
POST /containers/run/update <- {"PidsLimit":-1}
POST /containers/run/update <- {"PidsLimit":0}
POST /containers/run/update <- {"BlkioWeight":300}
POST /containers/run/update <- {"BlkioWeight":5}
POST /containers/run/update <- {"KernelMemory":4194304}
POST /containers/run/update <- {"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":3}}
POST /containers/run/update <- {"RestartPolicy":{"Name":"nosuch"}}
POST /containers/run/update <- {"RestartPolicy":{"Name":"no"}}
POST /containers/run/update <- {"Ulimits":[{"Name":"nofile","Soft":1,"Hard":2}]}
POST /containers/run/update <- {"Devices":[]}
POST /containers/done/update <- {"Memory":67108864,"MemorySwap":134217728}
POST /containers/nosuch/update <- {}
GET /containers/run/json
GET /containers/done/json

# containers: archive
HEAD /containers/run/archive?path=/made/file
HEAD /containers/run/archive?path=/made/link
HEAD /containers/run/archive?path=/nosuch
HEAD /containers/run/archive
HEAD /containers/nosuch/archive?path=/
GET /containers/run/archive?path=/made
GET /containers/run/archive?path=/made/link
GET /containers/run/archive?path=made/file
GET /containers/run/archive?path=/made/../made/file
GET /containers/run/archive?path=/made/.
GET /containers/run/archive?path=/made/file/
GET /containers/run/archive?path=/nosuch
GET /containers/run/archive
GET /containers/run/archive?path=
GET /containers/done/archive?path=/etc
GET /containers/nosuch/archive?path=/
PUT /containers/run/archive?path=/made <- @tar
PUT /containers/run/archive?path=/made/deep/ <- @tar
PUT /containers/run/archive?path=/made&noOverwriteDirNonDir=1 <- @tar
PUT /containers/run/archive?path=/made&noOverwriteDirNonDir=1 <- @deep-is-file
PUT /containers/run/archive?path=/made&noOverwriteDirNonDir=1 <- @file-is-deep
PUT /containers/run/archive?path=/made&copyUIDGID=1 <- @tar
PUT /containers/run/archive?path=/made/file <- @tar
PUT /containers/run/archive?path=/nosuch <- @tar
PUT /containers/run/archive <- @tar
PUT /containers/run/archive?path=/made <- @garbage
PUT /containers/run/archive?path=/made <- @gzip
PUT /containers/run/archive?path=/vol <- @tar
GET /containers/run/archive?path=/vol/new
PUT /containers/run/archive?path=/ro <- @tar
GET /containers/run/archive?path=/ro
PUT /containers/bare/archive?path=/ <- @tar
PUT /containers/bare/archive?path=/dev/shm <- @tar
PUT /containers/done/archive?path=/ <- @tar
GET /containers/done/archive?path=/new
PUT /containers/done/archive?path=/made <- @tar
PUT /containers/nosuch/archive?path=/ <- @tar
GET /containers/done/changes

# exec
POST /containers/run/exec <- {"AttachStdout":true,"Cmd":["echo","hi"]} => e1
GET /exec/{e1}/json
POST /exec/{e1}/start <- {"Detach":false,"Tty":false}
GET /exec/{e1}/json
POST /exec/{e1}/start <- {"Detach":false}
POST /containers/run/exec <- {"Cmd":["sleep","1"],"User":"1000:1000","Env":["X=y"],"WorkingDir":"/tmp","Privileged":true,"Tty":true} => e2
POST /exec/{e2}/start <- {"Detach":true,"Tty":true}
GET /exec/{e2}/json
POST /exec/{e2}/resize?h=10&w=20
POST /exec/{e2}/resize?h=x&w=20
POST /containers/run/exec <- {"Cmd":["nosuchprogram"],"AttachStdout":true} => e3
POST /exec/{e3}/start <- {"Detach":false}
GET /exec/{e3}/json
POST /containers/run/exec <- {"Cmd":["nosuchprogram"]} => e4
POST /exec/{e4}/start <- {"Detach":true}
POST /containers/run/exec <- {"Cmd":["true"],"User":"nosuchuser"} => e5
POST /exec/{e5}/start <- {"Detach":true}
POST /containers/run/exec <- {"Cmd":["true"],"WorkingDir":"/nosuch"} => e6
POST /exec/{e6}/start <- {"Detach":true}
POST /containers/run/exec <- {"Cmd":["true"],"ConsoleSize":[10,20],"Tty":true} => e7
POST /exec/{e7}/start <- {"Detach":true,"ConsoleSize":[10,20],"Tty":true}
POST /containers/run/exec <- {"Cmd":["true"],"DetachKeys":"ctrl-x,x"} => e8
GET /exec/{e8}/json
POST /containers/run/exec <- {"Cmd":["true"],"DetachKeys":"nonsense"}
POST /containers/run/exec <- {"Cmd":[]}
POST /containers/run/exec <- {}
POST /containers/run/exec
POST /containers/run/exec <- nojson
POST /containers/done/exec <- {"Cmd":["true"]}
POST /containers/nosuch/exec <- {"Cmd":["true"]}
POST /exec/nosuch/start <- {}
POST /exec/nosuch/resize?h=1&w=1
GET /exec/nosuch/json
GET /events?since=1&until={now}&filters={"container":["run"],"event":["exec_create","exec_start","exec_die"]}
GET /events?since=1&until={now}&filters={"scope":["local"],"event":["exec_die"],"label":["role=web","empty"]}
GET /events?since=1&until={now}&filters={"event":["exec_die"],"label":["role=web","nosuch"]}
GET /containers/run/json

# attach
~ POST /containers/done/attach?stream=1&stdout=1
POST /containers/done/attach?logs=1&stdout=1
POST /containers/done/attach
POST /containers/nosuch/attach
POST /containers/run/attach?detachKeys=nonsense-x&stream=1&stdout=1
~ POST /containers/done/attach?logs=1&stdout=1&stderr=1&stream=1
~ POST /containers/run/attach?stream=1&stdout=1
~ POST /containers/tty/attach?stream=1&stdout=1&stdin=1
GET /containers/run/attach/ws
GET /containers/nosuch/attach/ws

`
