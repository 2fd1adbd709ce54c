/** Images, volumes, networks. In rows.ts' notation. */
export const IMAGES = `
# images
GET /images/json
GET /images/json?all=1
GET /images/json?digests=1
GET /images/json?shared-size=1
GET /images/json?manifests=1
GET /images/json?filters={"dangling":["true"]}
GET /images/json?filters={"dangling":["x"]}
GET /images/json?filters={"label":["nosuch"]}
GET /images/json?filters={"reference":["busy*"]}
GET /images/json?filters={"reference":["127.0.0.1:5000/*"]}
GET /images/json?filters={"reference":["[x"]}
GET /images/json?filters={"before":["busybox"]}
GET /images/json?filters={"since":["busybox"]}
GET /images/json?filters={"before":["nosuch"]}
GET /images/json?filters={"since":["nosuch"]}
GET /images/json?filters={"until":["1h"]}
GET /images/json?filters={"until":["x"]}
GET /images/json?filters={"nosuch":["1"]}
GET /images/json?filter=busybox
GET /images/busybox/json
GET /images/127.0.0.1:5000/configured/json
GET /images/127.0.0.1:5000/configured:latest/json
GET /images/busybox/json?manifests=1
GET /images/nosuch/json
GET /images/UPPER/json
GET /images/busybox@sha256:00/json
GET /images/busybox/history
GET /images/127.0.0.1:5000/configured/history
GET /images/nosuch/history
GET /images/busybox/nosuch
POST /images/busybox/tag?repo=tagged&tag=one
POST /images/busybox/tag?repo=tagged
POST /images/busybox/tag?repo=tagged:two
POST /images/busybox/tag?repo=UPPER
POST /images/busybox/tag?repo=
POST /images/busybox/tag
POST /images/busybox/tag?repo=tagged&tag=bad/tag
POST /images/nosuch/tag?repo=q
DELETE /images/tagged:one
DELETE /images/tagged:one
DELETE /images/nosuch
DELETE /images/UPPER
DELETE /images/tagged:two?force=1&noprune=1
GET /events?since=1&until={now}&filters={"type":["image"],"event":["tag","untag"]}
GET /events?since=1&until={now}&filters={"image":["tagged"]}
GET /images/get?names=busybox
GET /images/get?names=busybox&names=tagged
GET /images/get?names=nosuch
GET /images/get
GET /images/busybox/get
GET /images/nosuch/get
POST /images/load <- @image
POST /images/load?quiet=1 <- @image
POST /images/load <- @garbage
POST /images/load <- @tar
POST /images/load
POST /images/create?fromImage=127.0.0.1:5000/busybox&tag=latest
POST /images/create?fromImage=127.0.0.1:5000/busybox:latest
POST /images/create?fromImage=127.0.0.1:5000/nosuch&tag=latest
POST /images/create?fromImage=127.0.0.1:5000/busybox&tag=nosuch
POST /images/create?fromImage=127.0.0.1:5000/busybox&tag=latest&platform=linux/amd64
POST /images/create?fromImage=127.0.0.1:5000/busybox&tag=latest&platform=linux/nosuch
POST /images/create?fromImage=UPPER
POST /images/create?fromImage=127.0.0.1:5999/refused&tag=latest
POST /images/create
POST /images/create?fromSrc=-&repo=imported&tag=one&message=hello&changes=CMD true&changes=ENV a=b <- @tar
GET /images/imported:one/json
GET /images/imported:one/history
POST /images/create?fromSrc=-&changes=NOSUCH x <- @tar
POST /images/create?fromSrc=-&changes=RUN x <- @tar
POST /images/create?fromSrc=-&repo=UPPER <- @tar
POST /images/create?fromSrc=-&platform=linux/arm64 <- @tar
POST /images/create?fromSrc=- <- @garbage
POST /images/busybox/push?tag=latest
POST /images/127.0.0.1:5000/nosuch/push?tag=latest
POST /images/127.0.0.1:5000/busybox/push?tag=latest
POST /images/127.0.0.1:5000/busybox/push?tag=nosuch
GET /images/search
GET /images/search?term=
GET /images/search?term=x&limit=x
GET /images/search?term=x&limit=999
GET /images/search?term=x&filters={"nosuch":["1"]}
GET /distribution/127.0.0.1:5000/busybox/json
GET /distribution/127.0.0.1:5000/nosuch/json
GET /distribution/UPPER/json
POST /commit?container=run&repo=committed&tag=one&comment=c&author=a&pause=1&changes=CMD true&changes=LABEL a=b <- {"Env":["Q=1"]}
GET /images/committed:one/json
GET /images/committed:one/history
POST /commit?container=run&pause=0
POST /commit?container=run&repo=UPPER
POST /commit?container=run&changes=NOSUCH x
POST /commit?container=run&changes=RUN x
POST /commit?container=nosuch
POST /commit
POST /build/prune
GET /events?since=1&until={now}&filters={"type":["builder"]}
POST /build/prune?all=1&filters={"until":["1h"]}
POST /build?remote=nonsense
POST /build <- @tar
POST /build <- @garbage
POST /build?t=UPPER <- @context
POST /build?t=built:1&q=1 <- @context
POST /build?buildargs=x <- @context
POST /build?dockerfile=nosuch <- @context
POST /build?target=nosuch <- @context
POST /build?labels=x <- @context
POST /build?memory=x <- @context
POST /build?ulimits=x <- @context
POST /build?networkmode=none&labels={"a":"b"}&rm=1&forcerm=1&pull=0&nocache=1&squash=0 <- @context
POST /build?platform=linux/amd64 <- @context
POST /build?platform=nonsense/x/y/z <- @context
POST /images/prune
POST /images/prune?filters={"dangling":["x"]}
POST /images/prune?filters={"until":["x"]}
POST /images/prune?filters={"nosuch":["x"]}
POST /images/prune?filters={"dangling":["false"],"label":["nosuch"]}

# volumes
GET /volumes
GET /volumes?filters={"dangling":["true"]}
GET /volumes?filters={"dangling":["x"]}
GET /volumes?filters={"name":["vol"]}
GET /volumes?filters={"driver":["local"]}
GET /volumes?filters={"label":["a=b"]}
GET /volumes?filters={"nosuch":["1"]}
GET /volumes/vol
GET /volumes/nosuch
POST /volumes/create <- {"Name":"v1","Labels":{"x":"y"},"DriverOpts":{"type":"tmpfs","device":"tmpfs","o":"size=1m"}}
GET /volumes/v1
POST /volumes/create <- {"Name":"v1"}
POST /volumes/create <- {}
POST /volumes/create
POST /volumes/create <- nojson
POST /volumes/create <- {"Name":"a/b"}
POST /volumes/create <- {"Name":"x"}
POST /volumes/create <- {"Name":"v2","DriverOpts":{"nosuch":"1"}}
POST /volumes/create <- {"Name":"v2","DriverOpts":{"type":"nfs"}}
DELETE /volumes/v1
GET /events?since=1&until={now}&filters={"type":["volume"],"volume":["v1"]}
DELETE /volumes/vol
DELETE /volumes/vol?force=1
DELETE /volumes/nosuch
DELETE /volumes/nosuch?force=1
PUT /volumes/vol <- {}
PUT /volumes/vol?version=1 <- {"Spec":{}}
POST /volumes/prune?filters={"label":["nosuch"]}
POST /volumes/prune?filters={"label!":["a"]}
POST /volumes/prune?filters={"all":["x"]}
POST /volumes/prune?filters={"nosuch":["x"]}
POST /volumes/prune?filters={"all":["true"]}
POST /volumes/prune

# networks
GET /networks
GET /networks?filters={"name":["mesh"]}
GET /networks?filters={"driver":["bridge"]}
GET /networks?filters={"type":["custom"]}
GET /networks?filters={"type":["x"]}
GET /networks?filters={"scope":["local"]}
GET /networks?filters={"dangling":["true"]}
GET /networks?filters={"dangling":["x"]}
GET /networks?filters={"nosuch":["x"]}
GET /networks/mesh
GET /networks/mesh?verbose=1
GET /networks/mesh?verbose=x
GET /networks/mesh?scope=local
GET /networks/mesh?scope=swarm
GET /networks/bridge
GET /networks/host
GET /networks/none
GET /networks/nosuch
POST /networks/create <- {}
POST /networks/create <- {"Name":"mesh","CheckDuplicate":true}
POST /networks/create <- {"Name":"n2","IPAM":{"Config":[{"Subnet":"x"}]}}
POST /networks/create <- {"Name":"n2","IPAM":{"Config":[{"Subnet":"10.77.0.0/24"}]}}
POST /networks/create <- {"Name":"n2","Internal":true,"Attachable":true,"Labels":{"k":"v"},"Options":{"com.docker.network.bridge.name":"dwtsfn2"}}
GET /networks/n2
POST /networks/n2/connect <- {"Container":"run","EndpointConfig":{"Aliases":["me"]}}
POST /networks/n2/connect <- {"Container":"run"}
POST /networks/n2/connect <- {"Container":"nosuch"}
POST /networks/nosuch/connect <- {"Container":"run"}
POST /networks/n2/connect <- {}
DELETE /networks/n2
POST /networks/n2/disconnect <- {"Container":"run"}
POST /networks/n2/disconnect <- {"Container":"run"}
POST /networks/n2/disconnect <- {"Container":"nosuch"}
POST /networks/n2/disconnect <- {"Container":"nosuch","Force":true}
DELETE /networks/n2
DELETE /networks/n2
GET /events?since=1&until={now}&filters={"type":["network"],"network":["n2"]}
DELETE /networks/bridge
POST /networks/prune?filters={"label":["nosuch"]}
POST /networks/prune?filters={"until":["x"]}
POST /networks/prune?filters={"nosuch":["x"]}

`
