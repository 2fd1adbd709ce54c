import type { Row } from '../row.ts'

/** Bind mounts, volumes, tmpfs. */
export const volumeRows: readonly Row[] = [
  {
    name: 'run -v binds a folder',
    script: `mkdir d; echo host >d/f; docker run --rm -v $PWD/d:/m busybox sh -c 'cat /m/f; echo inside >/m/g'; cat d/g; stat -c '%u %g' d/g`,
    shows: /host\ninside\n0 0/,
  },
  {
    name: 'run -v keeps the ids of files',
    script: `mkdir d; touch d/f; chown 1000:29 d/f; docker run --rm -v $PWD/d:/m busybox sh -c 'stat -c "%u %g" /m/f; touch /m/g; chown 33:34 /m/g'; stat -c '%u %g' d/g`,
    shows: /1000 29\n33 34/,
  },
  {
    name: 'run -v as another user',
    script: `mkdir d; chown 1000 d; docker run --rm -u 1000 -v $PWD/d:/m busybox touch /m/f; stat -c '%u %g' d/f`,
    shows: /1000 1000/,
  },
  {
    name: 'run -v binds a file',
    script: `echo 1 >f; docker run --rm -v $PWD/f:/f busybox sh -c 'cat /f; echo 2 >/f'; cat f`,
    shows: /1\n2/,
  },
  {
    name: 'run -v ro',
    script: `mkdir d; docker run --rm -v $PWD/d:/m:ro busybox touch /m/f`,
    code: 1,
    shows: /Read-only file system/,
  },
  {
    name: 'create -v / is a slave',
    script: `docker create --name slave -v /:/host:ro busybox | wc -c; docker inspect -f '{{json .Mounts}}' slave; docker create -v /:/x:private busybox 2>&1 | sed 's/daemon root: "[^"]*"/ROOT/'`,
    shows: /"Propagation":"rslave"[^]*rslave" or "rshared"/,
  },
  {
    name: 'run -v with propagation, of a volume and twice',
    script: `for v in vol:/x:rslave /tmp:/x:rslave,shared; do docker run --rm -v $v busybox true 2>&1 | sed 's/ (.*//'; done`,
    shows: /BindOptions must not[^]*invalid mode/,
  },
  {
    name: 'run --tmpfs over a folder of a volume, of a bind, and of none',
    script: `mkdir -p d/a/b; chmod 700 d/a; chmod 1711 d/a/b; docker run --rm -v vol:/v busybox sh -c 'mkdir -m 750 /v/a'; docker run --rm -v $PWD/d:/d -v vol:/v --tmpfs /v/a --tmpfs /d/a --mount type=tmpfs,dst=/d/a/b --tmpfs /d/new busybox stat -c '%a %n' /v/a /d/a /d/a/b /d/new; docker run --rm -v $PWD/d:/d --mount type=tmpfs,dst=/d/a/b busybox stat -c '%a %n' /d/a/b`,
    shows: /^750 [/]v[/]a\n700 [/]d[/]a\n/m,
  },
  {
    // dockerd shows the destination as it was written.
    name: 'a volume of the image without the first slash, and one of run',
    script: `docker run --name v1 busybox true; docker commit -c 'VOLUME data' v1 relative >/dev/null; docker run --name v2 -v foo/bar relative sh -c 'grep -E " /(data|foo/bar) " /proc/mounts | cut -d" " -f2'; docker inspect -f '{{range .Mounts}}{{.Type}} {{.Destination}} {{.Driver}} {{.Mode}} {{.RW}} [{{.Propagation}}]{{println}}{{end}}' v2 | sed 's, /, ,' | sort; docker inspect -f '{{json .Config.Volumes}}' v2; docker run --rm -v data/../x relative true`,
    shows: /^[/]data$/m,
  },
  {
    name: 'run -v makes a missing folder',
    script: `docker run --rm -v $PWD/new/deep:/m busybox touch /m/f; ls new/deep`,
    shows: /^f$/m,
  },
  {
    name: 'run -v relative',
    script: `mkdir d; echo r >d/f; docker run --rm -v ./d:/m busybox cat /m/f`,
    shows: /^r$/m,
  },
  {
    name: 'run -v with nonsense',
    script: `docker run --rm -v a:b:c:d busybox true`,
    code: 125,
    shows: /invalid/,
  },
  {
    name: 'run -v with a relative target',
    script: `docker run --rm -v /tmp:rel busybox true`,
    code: 125,
    shows: /mount path must be absolute/,
  },
  {
    name: 'run -v of the root as target',
    script: `docker run --rm -v /tmp:/ busybox true`,
    code: 125,
    shows: /destination can't be '\/'/,
  },
  {
    name: 'run -v twice to one place',
    script: `docker run --rm -v /tmp:/m -v /var:/m busybox true`,
    code: 125,
    shows: /Duplicate mount point: \/m/,
  },
  {
    name: 'run -v named volume persists',
    script: `docker run --rm -v vol:/v busybox sh -c 'echo kept >/v/f'; docker run --rm -v vol:/v busybox cat /v/f; realdocker volume rm vol`,
    shows: /kept\nvol/,
  },
  {
    name: 'a new volume gets the content of the image',
    script: `docker run --rm -v vol:/etc busybox ls /etc; docker run --rm -v vol:/v busybox ls -ln /v/passwd | cut -d' ' -f1; realdocker volume rm vol`,
    shows: /passwd/,
  },
  {
    name: 'nocopy leaves it empty',
    script: `docker run --rm -v vol:/home:nocopy busybox ls /home; realdocker volume rm vol`,
    shows: /vol/,
  },
  {
    name: 'a volume gets the owner of its place in the image',
    script: `docker run --rm -v vol:/tmp busybox stat -c '%a %u' /tmp; realdocker volume rm vol`,
    shows: /1777 0/,
  },
  {
    name: 'the volume of an image is made and removed with --rm',
    script: `docker run --rm --entrypoint sh -u 0 configured -c 'grep -c " /data " /proc/mounts'; realdocker volume ls -q | wc -l`,
    shows: /1\n0/,
  },
  {
    name: 'inspect of mounts',
    script: `mkdir d; docker run --name cx -v vol:/v -v $PWD/d:/b:ro busybox true; docker inspect -f '{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.Driver}} {{.Mode}} {{.RW}} {{.Propagation}}{{println}}{{end}}' cx | sort; docker rm cx; realdocker volume rm vol`,
    shows: /bind {2}\/b {2}ro false rprivate/,
  },
  {
    name: 'inspect of binds',
    script: `docker create --name cx -v vol:/v:ro busybox true; docker inspect -f '{{json .HostConfig.Binds}}' cx; docker rm cx; realdocker volume rm vol`,
    shows: /vol:\/v:ro/,
  },
  {
    name: 'run --mount type=bind',
    script: `mkdir d; echo m >d/f; docker run --rm --mount type=bind,source=$PWD/d,target=/m,readonly busybox sh -c 'cat /m/f; touch /m/g'`,
    code: 1,
    shows: /^m$/m,
  },
  {
    name: 'run --mount type=bind of a missing source',
    script: `docker run --rm --mount type=bind,source=/no/such,target=/m busybox true`,
    code: 125,
    shows: /bind source path does not exist: \/no\/such/,
  },
  {
    name: 'run --mount type=volume',
    script: `docker run --rm --mount type=volume,source=vol,target=/v busybox touch /v/f; docker run --rm --mount source=vol,target=/v busybox ls /v; realdocker volume rm vol`,
    shows: /^f$/m,
  },
  {
    name: 'run --mount type=tmpfs',
    script: `docker run --rm --mount type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=700 busybox sh -c 'df -k /t | tail -1 | awk "{print \\$2}"; stat -c %a /t'`,
    shows: /1024\n700/,
  },
  {
    name: 'run --mount with nonsense',
    script: `docker run --rm --mount type=nope,target=/m busybox true`,
    code: 125,
  },
  {
    name: 'run --volumes-from',
    script: `docker run --name cx -v vol:/v busybox sh -c 'echo f >/v/f'; docker run --rm --volumes-from cx busybox cat /v/f; docker run --rm --volumes-from cx:ro busybox touch /v/g; docker rm cx; realdocker volume rm vol`,
    shows: /f\n/,
  },
  {
    name: 'volume create, ls, inspect, rm',
    script: `docker volume create --label a=b vol; docker volume ls --format '{{.Driver}} {{.Name}}'; docker volume inspect -f '{{.Name}} {{.Driver}} {{.Scope}} {{json .Labels}}' vol; docker volume rm vol`,
    shows: /local vol/,
  },
  {
    name: 'volume rm in use',
    script: `docker run -d --name cx -v vol:/v busybox sleep 99 >/dev/null; docker volume rm vol; echo $?; docker rm -f cx; docker volume rm vol`,
    shows: /volume is in use/,
  },
  {
    name: 'volume rm of nothing',
    script: `docker volume rm nosuch`,
    code: 1,
    shows: /no such volume|No such volume/,
  },
  {
    name: 'volume create with a bad name',
    script: `docker volume create 'a b'`,
    code: 1,
    shows: /invalid characters/,
  },
  {
    name: 'volume prune',
    script: `docker volume create vol >/dev/null; docker run --name cx -v /v busybox true; docker rm cx; docker volume prune -f >/dev/null; docker volume ls -q | wc -l`,
    shows: /^\d$/m,
  },
  {
    name: 'a folder over /proc',
    script: `mkdir h; docker run --rm -v $PWD/h:/proc busybox true`,
    code: 125,
  },
  {
    name: 'a folder in /proc',
    script: `mkdir h; docker run --rm -v $PWD/h:/proc/sys busybox true`,
    code: 125,
  },
  {
    name: 'a file over one of /proc that says what the container has',
    script: `echo mine >f; docker run --rm -v $PWD/f:/proc/cpuinfo busybox cat /proc/cpuinfo`,
    shows: /mine/,
  },
  {
    name: 'a file over another of /proc',
    script: `echo mine >f; docker run --rm -v $PWD/f:/proc/version busybox cat /proc/version`,
    code: 125,
  },
  {
    name: 'a folder over /sys',
    script: `mkdir h; docker run --rm -v $PWD/h:/sys busybox ls /sys`,
  },
]
