import type { Row } from '../row.ts'

const R = '127.0.0.1:5000'
/** Progress lines come in the order the layers arrive. */
const LAYER_LINES: readonly (readonly [RegExp, string])[] = [[/^(ID12|[0-9a-f]{12}): .*\n/gm, '']]

/** Images: pull to prune. */
export const imageRows: readonly Row[] = [
  {
    name: 'pull',
    script: `docker pull ${R}/configured; docker rmi ${R}/configured`,
    shows: /Status: .* for 127.0.0.1:5000\/configured:latest/,
    normalise: LAYER_LINES,
  },
  {
    name: 'pull of a new image',
    script: `docker pull ${R}/layers3; docker images --format '{{.Repository}}:{{.Tag}}' ${R}/layers3; docker rmi -f ${R}/layers3 >/dev/null`,
    shows: /Downloaded newer image/,
    normalise: LAYER_LINES,
  },
  {
    name: 'pull shows each layer',
    script: `docker pull ${R}/layers3 | grep -oE 'Pull complete|Already exists' | sort | uniq -c; docker rmi -f ${R}/layers3 >/dev/null`,
    shows: /3 Pull complete/,
  },
  {
    name: 'pull again is up to date',
    script: `docker pull ${R}/busybox >/dev/null; docker pull ${R}/busybox; docker rmi ${R}/busybox >/dev/null`,
    shows: /Image is up to date/,
  },
  {
    name: 'pull -q',
    script: `docker pull -q ${R}/busybox; docker rmi ${R}/busybox >/dev/null`,
    shows: /^127.0.0.1:5000\/busybox:latest$/m,
  },
  {
    name: 'pull by digest',
    script: `d=$(curl -sI -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' http://${R}/v2/busybox/manifests/latest | tr -d '\\r' | awk 'tolower($1)=="docker-content-digest:"{print $2}'); docker pull ${R}/busybox@$d; docker images --digests --format '{{.Repository}} {{.Tag}} {{.Digest}}' ${R}/busybox; docker rmi ${R}/busybox@$d`,
    shows: /<none> sha256/,
    normalise: LAYER_LINES,
  },
  {
    name: 'pull of an OCI manifest',
    script: `docker pull -q ${R}/busybox:oci; docker run --rm ${R}/busybox:oci echo oci; docker rmi -f ${R}/busybox:oci >/dev/null`,
    shows: /^oci$/m,
  },
  {
    name: 'pull -a',
    script: `docker pull -aq ${R}/configured; docker rmi ${R}/configured >/dev/null`,
    shows: /configured/,
  },
  {
    name: 'pull of an unknown repository',
    script: `docker pull ${R}/nosuch`,
    code: 1,
    shows: /manifest unknown/,
  },
  {
    name: 'pull of an unknown tag',
    script: `docker pull ${R}/busybox:nosuch`,
    code: 1,
    shows: /manifest for 127.0.0.1:5000\/busybox:nosuch not found/,
  },
  {
    name: 'pull of an unknown digest',
    script: `docker pull ${R}/busybox@sha256:${'0'.repeat(64)}`,
    code: 1,
    shows: /manifest unknown/,
  },
  {
    name: 'pull of a bad reference',
    script: `docker pull 'a b'`,
    code: 1,
    shows: /invalid reference format/,
  },
  { name: 'pull of a bad digest', script: `docker pull busybox@sha256:12`, code: 1, shows: /invalid/ },
  {
    name: 'pull from a registry that is not there',
    script: `docker pull 127.0.0.1:9/x`,
    code: 1,
    shows: /connection refused/,
  },
  {
    name: 'push',
    script: `docker tag busybox ${R}/pushed:v1; docker push ${R}/pushed:v1 | tail -1; docker rmi ${R}/pushed:v1 >/dev/null; docker pull ${R}/pushed:v1 | tail -1; docker rmi ${R}/pushed:v1 >/dev/null`,
    shows: /v1: digest: DIGEST/,
    normalise: [[/digest: sha256:\w+ size: \d+/g, 'digest: DIGEST']],
  },
  {
    name: 'push -q',
    script: `docker tag busybox ${R}/pushed:v2; docker push -q ${R}/pushed:v2; docker rmi ${R}/pushed:v2 >/dev/null`,
    shows: /^127.0.0.1:5000\/pushed:v2$/m,
  },
  {
    name: 'push of an unknown image',
    script: `docker push ${R}/nosuch:v1`,
    code: 1,
    shows: /does not exist locally/,
  },
  {
    name: 'images',
    script: `docker images --format '{{.Repository}}:{{.Tag}} {{.ID}}' | sort`,
    shows: /busybox:latest/,
  },
  {
    name: 'images table',
    script: `docker images busybox | sed 's/  */ /g' | cut -d' ' -f1-3`,
    shows: /REPOSITORY TAG IMAGE/,
  },
  {
    name: 'images -q --no-trunc',
    script: `docker images -q --no-trunc busybox`,
    shows: /^sha256:[0-9a-f]{64}$/m,
  },
  {
    name: 'images --filter reference',
    script: `docker images --filter 'reference=conf*' --format '{{.Repository}}'`,
    shows: /^configured$/m,
  },
  {
    name: 'images --filter label',
    script: `docker images --filter label=maker=dewar --format '{{.Repository}}'`,
    shows: /^configured$/m,
  },
  { name: 'images of an unknown name', script: `docker images -q nosuch` },
  {
    name: 'images with an unknown filter',
    script: `docker images --filter nosuch=1`,
    code: 1,
    shows: /[Ii]nvalid filter/,
  },
  {
    name: 'images shows the size',
    script: `docker images --format '{{.Size}}' nginx`,
    normalise: [[/\d+MB/g, 'N MB']],
    shows: /N MB/,
  },
  {
    name: 'tag',
    script: `docker tag busybox my/thing:1.0; docker images --format '{{.Repository}}:{{.Tag}}' my/thing; docker rmi my/thing:1.0`,
    shows: /Untagged: my\/thing:1.0/,
  },
  {
    name: 'tag of an unknown image',
    script: `docker tag nosuch a:b`,
    code: 1,
    shows: /No such image: nosuch:latest/,
  },
  {
    name: 'tag with a bad name',
    script: `docker tag busybox Bad:b`,
    code: 1,
    shows: /must be lowercase|invalid reference/,
  },
  {
    name: 'tag moves',
    script: `docker tag busybox t:1; docker tag configured t:1; docker images --format '{{.ID}}' t:1; docker rmi t:1`,
    shows: /Untagged: t:1/,
  },
  { name: 'rmi of an unknown image', script: `docker rmi nosuch`, code: 1, shows: /No such image: nosuch/ },
  {
    name: 'rmi of an image in use by a running container',
    script: `docker tag layered used; docker run -d --name cx used sleep 99; docker rmi layered used; docker tag used layered 2>/dev/null; docker rm -f cx; docker tag used layered; docker rmi used`,
    shows: /must be forced|cannot be forced|Untagged/,
  },
  {
    name: 'rmi by id of an image with two tags',
    script: `docker tag layered second; docker rmi $(docker images -q second); docker rmi second`,
    shows: /image is referenced in multiple repositories/,
  },
  {
    name: 'rmi deletes the layers',
    script: `docker create --name cx busybox touch /only; docker start -a cx; realdocker commit cx fresh >/dev/null; docker rm cx; docker rmi fresh | grep -c Deleted`,
    shows: /^2$/m,
  },
  {
    name: 'inspect of an image',
    script: `docker inspect -f '{{json .Config.Env}} {{json .Config.Cmd}} {{json .Config.Entrypoint}} {{json .Config.Labels}} {{json .Config.ExposedPorts}} {{json .Config.Volumes}} {{.Config.User}} {{.Config.WorkingDir}} {{.Config.StopSignal}} {{.Architecture}} {{.Os}} {{.Id}} {{json .RepoTags}}' configured`,
    shows: /amd64 linux sha256/,
  },
  {
    name: 'inspect of the layers of an image',
    script: `docker inspect -f '{{json .RootFS}}' layered`,
    shows: /"Type":"layers"/,
  },
  {
    name: 'inspect of an image says when it was made',
    script: `docker image inspect -f '{{.Created}}' busybox`,
    shows: /TIME/,
  },
  {
    name: 'inspect of an image has these fields',
    script: `docker inspect configured | grep -oE '^ {8}"[A-Za-z]+"' | sort`,
    shows: /RepoDigests/,
  },
  { name: 'inspect of nothing', script: `docker inspect nosuch`, code: 1, shows: /No such object: nosuch/ },
  {
    name: 'image inspect of nothing',
    script: `docker image inspect nosuch`,
    code: 1,
    shows: /No such image: nosuch/,
  },
  {
    name: 'history',
    script: `docker history --no-trunc --format '{{.CreatedBy}} {{.Comment}}' configured`,
    shows: /nop/,
  },
  {
    name: 'history table',
    script: `docker history configured | sed 's/  */ /g' | cut -d' ' -f1-4`,
    shows: /IMAGE CREATED/,
  },
  { name: 'history -q', script: `docker history -q configured`, shows: /<missing>/ },
  {
    name: 'save and load',
    script: `docker save -o s.tar configured; id=$(docker images -q configured); docker rmi -f configured >/dev/null; docker load -i s.tar | tail -1; [ "$id" = "$(docker images -q configured)" ] && echo same; docker run --rm configured`,
    shows: /Loaded image: configured:latest\nsame/,
  },
  {
    name: 'save to standard output and load from it',
    script: `docker save busybox | docker load | tail -1`,
    shows: /Loaded image: busybox:latest/,
  },
  {
    name: 'save has the files of a docker archive',
    script: `docker save busybox | tar tf - | grep -E '^(manifest.json|repositories)$' | sort`,
    shows: /manifest.json/,
  },
  {
    name: 'save of two images',
    script: `docker save busybox configured | tar xOf - manifest.json | grep -o '"RepoTags":\\[[^]]*\\]' | sort`,
    shows: /configured:latest/,
  },
  {
    name: 'save of an unknown image',
    script: `docker save nosuch -o x.tar`,
    code: 1,
    shows: /No such image: nosuch/,
  },
  { name: 'load of garbage', script: `head -c 10000 /dev/urandom | docker load`, code: 1 },
  {
    name: 'load of a tar that is no image',
    script: `echo x >f; tar cf t.tar f; docker load -i t.tar`,
    code: 1,
    normalise: [[/\/\S+docker-import-\d+/g, 'TMP']],
  },
  { name: 'load of a missing file', script: `docker load -i nosuch.tar`, code: 1, shows: /no such file/ },
  {
    name: 'import',
    script: `mkdir -p r/bin; cp /bin/busybox r/bin/sh; tar cf - -C r . | docker import -c 'CMD ["sh","-c","echo imported"]' - imp:1 | cut -c1-7; docker run --rm imp:1; docker rmi imp:1 | sed -n 1p`,
    shows: /sha256:\nimported/,
  },
  {
    name: 'import without a command cannot run',
    script: `mkdir -p r/bin; cp /bin/busybox r/bin/sh; tar cf - -C r . | docker import - imp:2 >/dev/null; docker run --rm imp:2; echo $?; docker rmi imp:2 >/dev/null`,
    shows: /[Nn]o command specified/,
  },
  {
    name: 'rmi of one of two builds that share a step',
    script: `export DOCKER_BUILDKIT=0; printf 'FROM busybox\\nRUN echo shared >/s\\nRUN echo 1 >/x\\n' >Dockerfile; docker build -q -t two:1 . &>/dev/null; sed -i 's/echo 1/echo 2/' Dockerfile; docker build -q -t two:2 . &>/dev/null; docker rmi two:1 | cut -d: -f1; docker rmi two:2 | cut -d: -f1`,
    code: 0,
    shows: /^Deleted$/m,
  },
  {
    name: 'image prune after a rebuild',
    script: `export DOCKER_BUILDKIT=0; printf 'FROM busybox\\nRUN echo shared >/s\\nRUN echo 1 >/x\\n' >Dockerfile; docker build -q -t re:1 . &>/dev/null; sed -i 's/echo 1/echo 2/' Dockerfile; docker build -q -t re:1 . &>/dev/null; docker image prune -f | grep -c '^deleted: '; docker images -qf dangling=true | wc -l; docker rmi re:1 | cut -d: -f1`,
    code: 0,
  },
  {
    name: 'create of an image for another platform warns',
    script: `other=$(test $(uname -m) = x86_64 && echo arm64 || echo amd64); mkdir i; realdocker save busybox | tar xC i; jq --arg a $other '.architecture = $a' i/$(jq -r '.[0].Config' i/manifest.json) >x; mv x i/x.json; jq '.[0].Config = "x.json" | .[0].RepoTags = ["other:1"]' i/manifest.json >m; mv m i/manifest.json; rm -f i/index.json i/oci-layout i/repositories; tar cC i . | realdocker load -q >/dev/null; docker create --name cx other:1 true >/dev/null; docker create --name cy --platform linux/$other other:1 true >/dev/null; docker rm cx cy; realdocker rmi other:1 >/dev/null`,
    shows: /WARNING: The requested image's platform/,
  },
  {
    name: 'save of a name without a tag saves all its tags',
    script: `docker tag busybox sv:h; docker tag busybox sv:h2; docker save sv | tar xOf - manifest.json | jq -c '.[].RepoTags'; docker save sv sv:h2 | tar xOf - manifest.json | jq -c '.[].RepoTags'; docker save nosuchname >/dev/null; docker rmi sv:h sv:h2`,
    shows: /^\["sv:h","sv:h2"\]$/m,
  },
  {
    name: 'commit keeps mount points of volumes',
    script: `docker run --name cx -v vv:/vol busybox sh -c 'echo x >/vol/x'; docker commit cx com:1 >/dev/null; docker run --rm com:1 ls -d /vol /vol/x; docker rm cx; realdocker volume rm vv; realdocker rmi com:1 >/dev/null`,
    code: 0,
    shows: /^\/vol$/m,
  },
  {
    name: 'commit',
    script: `docker run --name cx busybox sh -c 'echo made >/made'; docker commit -m note -a me -c 'CMD ["cat","/made"]' cx com:1 | cut -c1-7; docker run --rm com:1; docker inspect -f '{{.Comment}} {{.Author}}' com:1; docker rmi com:1 | sed -n 1p`,
    shows: /made\nnote me/,
  },
  {
    name: 'image prune',
    script: `docker create --name cx busybox true; docker commit cx >/dev/null; docker rm cx; docker images -qf dangling=true | wc -l; docker image prune -f | grep -oc 'deleted: sha256' >/dev/null; docker images -qf dangling=true | wc -l`,
    shows: /1\n0/,
  },
]
