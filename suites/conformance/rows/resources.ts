import type { Row } from '../row.ts'

/** Limits: what is set is what the container's control groups say. */
export const resourceRows: readonly Row[] = [
  {
    name: 'run -m limits memory',
    script: `docker run --rm -m 64m busybox cat /sys/fs/cgroup/memory/memory.limit_in_bytes`,
    shows: /67108864/,
  },
  {
    name: 'run -m is in inspect',
    script: `docker run --name cx -m 64m busybox true; docker inspect -f '{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}' cx`,
    shows: /67108864 134217728/,
  },
  {
    name: 'run -m that is too small',
    script: `docker run --rm -m 4m busybox true`,
    code: 125,
    shows: /Minimum memory limit allowed is 6MB/,
  },
  {
    name: 'run -m with nonsense',
    script: `docker run --rm -m lots busybox true`,
    code: 125,
    shows: /invalid/,
  },
  {
    name: 'run --memory-swap below memory',
    script: `docker run --rm -m 64m --memory-swap 32m busybox true`,
    code: 125,
    shows: /Minimum memoryswap limit should be larger than memory limit/,
  },
  {
    name: 'run --memory-swap without memory',
    script: `docker run --rm --memory-swap 64m busybox true`,
    code: 125,
    shows: /You should always set the Memory limit when using Memoryswap limit/,
  },
  {
    name: 'run --memory-reservation',
    script: `docker run --rm --memory-reservation 32m busybox cat /sys/fs/cgroup/memory/memory.soft_limit_in_bytes`,
    shows: /33554432/,
  },
  {
    name: 'run out of memory is killed and said so',
    script: `docker run --name cx -m 16m --memory-swap 16m busybox sh -c 'tail /dev/zero'; echo $?; docker inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' cx`,
    shows: /true 137/,
  },
  {
    name: 'run --cpus',
    script: `docker run --rm --cpus 0.5 busybox sh -c 'cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us'`,
    shows: /50000\n100000/,
  },
  {
    name: 'run --cpus of more than there are',
    script: `docker run --rm --cpus 9999 busybox true`,
    code: 125,
    shows: /Range of CPUs is from 0.01 to/,
  },
  {
    name: 'run --cpu-shares',
    script: `docker run --rm -c 512 busybox cat /sys/fs/cgroup/cpu/cpu.shares`,
    shows: /512/,
  },
  {
    name: 'run --cpu-quota',
    script: `docker run --rm --cpu-quota 20000 --cpu-period 50000 busybox sh -c 'cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us'`,
    shows: /20000/,
  },
  {
    name: 'run --cpuset-cpus',
    script: `docker run --rm --cpuset-cpus 0 busybox sh -c 'nproc; grep Cpus_allowed_list /proc/self/status'`,
    shows: /^1$/m,
  },
  {
    name: 'run --cpuset-cpus that are not there',
    script: `docker run --rm --cpuset-cpus 77 busybox true`,
    code: 125,
    shows: /Requested CPUs are not available/,
  },
  {
    name: 'run --pids-limit',
    script: `docker run --rm --pids-limit 20 busybox sh -c 'cat /sys/fs/cgroup/pids/pids.max; i=0; while [ $i -lt 40 ]; do sleep 1 & i=$((i+1)); done' 2>&1 | grep -v "^$" | sort -u`,
    shows: /can't fork/,
  },
  {
    name: 'update -m changes the limit of a running container',
    script: `docker run -d --name cx -m 64m busybox sleep 99; docker update -m 32m --memory-swap 64m cx; docker exec cx cat /sys/fs/cgroup/memory/memory.limit_in_bytes`,
    shows: /33554432/,
  },
  {
    name: 'update -m below what is in use',
    script: `docker run -d --name cx -m 64m busybox sh -c 'dd if=/dev/zero of=/dev/shm/x bs=1M count=20; sleep 99'; until [ "$(realdocker exec cx stat -c %s /dev/shm/x 2>/dev/null)" = 20971520 ]; do sleep 0.05; done; docker update -m 7m --memory-swap 7m cx 2>&1 | grep -oE '^.*Cannot update container|unable to set memory limit to 7340032 .current usage' ; docker inspect -f '{{.HostConfig.Memory}} {{.State.Status}}' cx`,
    shows: /Cannot update container\nunable to set memory limit to 7340032 .current usage\n67108864 running/,
  },
  {
    name: 'update --cpus',
    script: `docker run -d --name cx busybox sleep 99; docker update --cpus 0.25 cx; docker exec cx cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us`,
    shows: /25000/,
  },
  {
    name: 'update --restart',
    script: `docker create --name cx busybox true; docker update --restart on-failure:3 cx; docker inspect -f '{{json .HostConfig.RestartPolicy}}' cx`,
    shows: /on-failure/,
  },
  {
    name: 'update of a limit leaves the restart policy',
    script: `docker run -d --name cx --restart on-failure:2 busybox sleep 99; docker update --cpu-shares 512 cx; docker inspect -f '{{json .HostConfig.RestartPolicy}}' cx`,
    shows: /"on-failure"/,
  },
  {
    name: 'update --pids-limit -1 takes the limit away',
    script: `docker run -d --name cx --pids-limit 50 busybox sleep 99; docker update --pids-limit -1 cx; docker exec cx cat /sys/fs/cgroup/pids/pids.max`,
    shows: /max/,
  },
  {
    name: 'update of an unknown container',
    script: `docker update -m 32m nosuch`,
    code: 1,
    shows: /No such container: nosuch/,
  },
  {
    name: 'pause and unpause',
    script: `docker run -d --name cx busybox sleep 99; docker pause cx; docker ps --format '{{.Status}}'; docker inspect -f '{{.State.Status}} {{.State.Paused}}' cx; docker unpause cx; docker inspect -f '{{.State.Status}}' cx`,
    shows: /\(Paused\)/,
  },
  {
    name: 'pause stops the processes',
    script: `docker run -d --name cx busybox sh -c 'while :; do echo .; sleep 0.05; done'; until [ $(realdocker logs cx | wc -l) -gt 2 ]; do sleep 0.05; done; docker pause cx; for i in $(seq 40); do a=$(docker logs cx | wc -l); sleep 0.5; b=$(docker logs cx | wc -l); [ $a = $b ] && break; done; [ $a = $b ] && echo still; docker unpause cx; until [ $(realdocker logs cx | wc -l) -gt $b ]; do sleep 0.05; done`,
    shows: /still/,
  },
  {
    name: 'pause of a stopped container',
    script: `docker create --name cx busybox true; docker pause cx`,
    code: 1,
    shows: /is not running/,
  },
  {
    name: 'pause twice',
    script: `docker run -d --name cx busybox sleep 99; docker pause cx; docker pause cx`,
    code: 1,
    shows: /already paused/,
  },
  {
    name: 'unpause of a running container',
    script: `docker run -d --name cx busybox sleep 99; docker unpause cx`,
    code: 1,
    shows: /not paused/,
  },
  {
    name: 'exec in a paused container',
    script: `docker run -d --name cx busybox sleep 99; docker pause cx; docker exec cx true`,
    code: 1,
    shows: /paused/,
  },
  {
    name: 'kill of a paused container',
    script: `docker run -d --name cx busybox sleep 99; docker pause cx; docker kill cx; docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' cx`,
    shows: /exited 137/,
  },
  {
    name: 'stats --no-stream',
    script: `docker run -d --name cx -m 64m busybox sleep 99; docker stats --no-stream --format '{{.Name}} {{.ID}} {{.PIDs}} {{.MemUsage}}' cx`,
    shows: /cx ID12 1 \S+ \/ 64MiB/,
    normalise: [[/[\d.]+[KM]?i?B \/ 64MiB/g, 'N / 64MiB']],
  },
  {
    name: 'stats table',
    script: `docker run -d --name cx busybox sleep 99; docker stats --no-stream cx | sed -n 1p`,
  },
  {
    name: 'stats of an unknown container',
    script: `docker stats --no-stream nosuch`,
    code: 1,
    shows: /No such container: nosuch/,
  },
  {
    name: 'stats of a stopped container',
    script: `docker create --name cx busybox true; docker stats --no-stream --format '{{.Name}} {{.CPUPerc}} {{.PIDs}}' cx`,
  },
  {
    name: 'top',
    script: `docker run -d --name cx busybox sleep 99; docker top cx | awk '{print $1, $NF, $(NF-1)}'`,
    shows: /UID CMD TIME/,
  },
  {
    name: 'top with ps options',
    script: `docker run -d --name cx busybox sleep 99; docker top cx -o pid,comm,args | awk '{print $2, $3, $4}'`,
    shows: /sleep 99/,
  },
  {
    name: 'top of a stopped container',
    script: `docker create --name cx busybox true; docker top cx`,
    code: 1,
    shows: /is not running/,
  },
]
