import type { Row } from '../row.ts'

const WEB = `docker run -d --name cx -p 8088:80 nginx >/dev/null; for i in $(seq 100); do curl -sf -o /dev/null 127.0.0.1:8088 && break; sleep 0.05; done;`
const SERVE = `busybox nc -ll -p 80 -e echo hello`
const UNTIL_SERVED = `until realdocker exec cx sh -c 'nc -w 20 127.0.0.1 80 </dev/null' 2>/dev/null | grep -q hello; do sleep 0.05; done;`

/** Ports, addresses, names. */
export const networkRows: readonly Row[] = [
  {
    name: 'run -p serves nginx on the loopback',
    script: `${WEB} curl -s 127.0.0.1:8088 | grep -i '<title>'`,
    shows: /Welcome to nginx/,
  },
  {
    name: 'run -p serves on an address of the host',
    script: `${WEB} ip addr add 10.77.0.1/32 dev lo 2>/dev/null; curl -s 10.77.0.1:8088 | grep -ic welcome; ip addr del 10.77.0.1/32 dev lo`,
    shows: /[1-9]/,
  },
  {
    name: 'run -p serves on the IPv6 loopback',
    script: `${WEB} curl -s '[::1]:8088' | grep -ic welcome`,
    shows: /[1-9]/,
  },
  {
    name: 'run -p shows the real address of the client inside',
    script: `${WEB} ip addr add 10.77.0.1/32 dev lo; ip addr add 10.77.0.2/32 dev lo; curl -s -o /dev/null --interface 10.77.0.2 10.77.0.1:8088; docker exec cx tail -1 /var/log/nginx/access.log | cut -d' ' -f1; ip addr del 10.77.0.1/32 dev lo; ip addr del 10.77.0.2/32 dev lo`,
    shows: /^10\.77\.0\.2$/m,
  },
  {
    name: 'run -p serves by the address of the container',
    script: `${WEB} curl -s $(docker inspect -f '{{.NetworkSettings.IPAddress}}' cx) | grep -ic welcome`,
    shows: /[1-9]/,
  },
  {
    name: 'run -p serves to another container through the gateway',
    script: `${WEB} docker run --rm busybox wget -qO- http://172.17.0.1:8088 | grep -ic welcome`,
    shows: /[1-9]/,
  },
  {
    name: 'run -p serves a container by its own published port',
    script: `docker run -d --name cx -p 8087:80 busybox ${SERVE}; ${UNTIL_SERVED} docker exec cx sh -c 'nc -w 20 172.17.0.1 8087 </dev/null'`,
    shows: /hello/,
  },
  {
    name: 'containers reach one another by address',
    script: `${WEB} docker run --rm busybox wget -qO- http://$(docker inspect -f '{{.NetworkSettings.IPAddress}}' cx) | grep -ic welcome`,
    shows: /[1-9]/,
  },
  {
    name: 'port lists',
    script: `${WEB} docker port cx; docker port cx 80; docker port cx 80/tcp`,
    shows: /80\/tcp -> 0.0.0.0:8088/,
  },
  {
    name: 'port of an unpublished port',
    script: `${WEB} docker port cx 81`,
    code: 1,
    shows: /No public port '81/,
  },
  {
    name: 'port of an unknown container',
    script: `docker port nosuch`,
    code: 1,
    shows: /No such container: nosuch/,
  },
  {
    name: 'run -p with a host address',
    script: `docker run -d --name cx -p 127.0.0.1:8089:80 busybox ${SERVE}; docker port cx; ${UNTIL_SERVED} busybox nc -w 20 127.0.0.1 8089 </dev/null`,
    shows: /127.0.0.1:8089/,
  },
  {
    name: 'run -p with a random port',
    script: `docker run -d --name cx -p 80 busybox ${SERVE}; p=$(docker port cx 80 | sed -n 1p | sed 's/.*://'); [ $p -gt 1024 ] && echo above; ${UNTIL_SERVED} busybox nc -w 20 127.0.0.1 $p </dev/null`,
    shows: /above\nhello/,
  },
  {
    name: 'run -p with a range',
    script: `docker run -d --name cx -p 8090-8092:80-82 busybox sleep 99; docker port cx | sort`,
    shows: /82\/tcp -> 0.0.0.0:8092/,
  },
  {
    name: 'run -p udp',
    script: `docker run -d --name cx -p 8093:53/udp nginx perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(LocalPort=>53,Proto=>"udp");while($s->recv($m,99)){$s->send("got $m")}'; docker port cx; until realdocker exec cx grep -q ':0035 ' /proc/net/udp; do sleep 0.05; done; exec 3<>/dev/udp/127.0.0.1/8093; echo ping >&3; timeout 20 head -1 <&3`,
    shows: /got ping/,
  },
  {
    name: 'run -P publishes what the image exposes',
    script: `docker run -d --name cx -P --entrypoint sleep configured 99; docker port cx | sed 's/:[0-9]*$//' | sort -u`,
    shows: /53\/udp/,
  },
  {
    name: 'run --expose',
    script: `docker run -d --name cx --expose 7000 busybox sleep 99; docker inspect -f '{{json .Config.ExposedPorts}} {{json .NetworkSettings.Ports}}' cx; docker ps --format '{{.Ports}}'`,
    shows: /7000\/tcp/,
  },
  {
    name: 'run -p that is in use by a container',
    script: `docker run -d --name cx -p 8094:80 busybox sleep 99; docker run -d --name cy -p 8094:80 busybox sleep 99; echo $?; docker inspect -f '{{.State.Status}}' cy`,
    shows: /port is already allocated/,
  },
  {
    name: 'run -p that is in use by the host',
    script: `busybox nc -l -p 8095 & n=$!; until grep -q ':1F9F ' /proc/net/tcp /proc/net/tcp6; do sleep 0.05; done; docker run --name cy -p 8095:80 busybox true; echo $?; kill $n`,
    shows: /address already in use/,
  },
  {
    name: 'run -p of nonsense',
    script: `docker run -p nope:80 busybox true`,
    code: 125,
    shows: /[Ii]nvalid/,
  },
  {
    name: 'run -p out of range',
    script: `docker run -p 70000:80 busybox true`,
    code: 125,
    shows: /[Ii]nvalid/,
  },
  {
    name: 'the port is free after rm',
    script: `docker run -d --name cx -p 8096:80 busybox sleep 99; docker rm -f cx; docker run --rm -p 8096:80 busybox echo again`,
    shows: /again/,
  },
  {
    name: 'run --network none has only a loopback',
    script: `docker run --rm --network none busybox ip -o addr | grep -o 'inet .*' | cut -d' ' -f2; docker run --rm --network none busybox ls /sys/class/net`,
    shows: /127.0.0.1\/8/,
  },
  {
    name: 'run --network host is in the network namespace of the host',
    script: `[ "$(docker run --rm --network host busybox readlink /proc/self/ns/net)" = "$(readlink /proc/self/ns/net)" ] && echo same`,
    shows: /same/,
  },
  {
    name: 'run --network container shares',
    script: `docker run -d --name cx busybox sleep 99; [ "$(docker exec cx ip addr)" = "$(docker run --rm --network container:cx busybox ip addr)" ] && echo same`,
    shows: /same/,
  },
  {
    name: 'run --network container:unknown',
    script: `docker run --rm --network container:nosuch busybox true`,
    code: 125,
    shows: /No such container: nosuch/,
  },
  {
    name: 'run --network unknown',
    script: `docker run --rm --network nosuch busybox true`,
    code: 125,
    shows: /network nosuch not found/,
  },
  {
    name: 'run has an address, a route and an interface eth0',
    script: `docker run --rm busybox sh -c 'ip -o -4 addr show eth0 | grep -o "inet [^ ]*"; ip route'`,
    shows: /default via 172.17.0.1/,
  },
  {
    name: 'run --ip on the default network is refused',
    script: `docker run --rm --ip 172.17.0.9 busybox true`,
    code: 125,
    shows: /user.*networks only/,
  },
  {
    name: 'the address is given again after rm',
    script: `a=$(docker run --rm busybox hostname -i); b=$(docker run --rm busybox hostname -i); echo $a $b`,
    shows: /172.17.0/,
  },
  {
    name: 'inspect of the network settings',
    script: `docker run -d --name cx -p 8097:80 busybox sleep 99; docker inspect -f '{{json .NetworkSettings.Ports}} {{.NetworkSettings.Gateway}} {{.NetworkSettings.IPPrefixLen}} {{range $k,$v := .NetworkSettings.Networks}}{{$k}} {{$v.Gateway}} {{$v.IPPrefixLen}}{{end}}' cx`,
    shows: /bridge 172.17.0.1 16/,
  },
  {
    name: 'inspect of a stopped container has no address',
    script: `docker run --name cx busybox true; docker inspect -f '[{{.NetworkSettings.IPAddress}}] {{json .NetworkSettings.Ports}}' cx`,
    shows: /\[\] \{\}/,
  },
  {
    name: 'ping is allowed',
    script: `docker run --rm busybox ping -c 1 -w 20 172.17.0.1 | grep -o '1 packets received'`,
    shows: /1 packets received/,
  },
  {
    name: 'network ls',
    script: `docker network ls --format '{{.Name}} {{.Driver}} {{.Scope}}' | sort`,
    shows: /bridge bridge local/,
  },
  {
    name: 'network inspect of the bridge',
    script: `docker network inspect bridge -f '{{.Name}} {{.Driver}} {{.Scope}} {{json .IPAM.Config}}'`,
    shows: /172.17.0.0\/16/,
  },
  {
    name: 'a network of its own resolves names',
    script: `docker network create --subnet 172.30.0.0/24 mynet >/dev/null; docker run -d --name web --network mynet --network-alias www busybox sleep 99 >/dev/null; docker run --rm --network mynet busybox sh -c 'ping -c 1 -w 20 web | grep -o "1 packets received"; ping -c1 -w 2 www | sed -n 1p | cut -d" " -f2,3'; docker rm -f web; docker network rm mynet`,
    shows: /1 packets received\nwww \(172.30.0.2\)/,
  },
  {
    name: 'network connect and disconnect',
    script: `docker network create --subnet 172.31.9.0/24 n2 >/dev/null; docker run -d --name cx busybox sleep 99 >/dev/null; docker network connect n2 cx; docker exec cx ip -o -4 addr | grep -c 172.31.9; docker network disconnect n2 cx; docker exec cx ip -o -4 addr | grep -c 172.31.9; docker network rm n2`,
    shows: /1\n0\nn2/,
  },
  {
    name: 'network rm in use',
    script: `docker network create --subnet 172.31.8.0/24 n3 >/dev/null; docker run -d --name cx --network n3 busybox sleep 99 >/dev/null; docker network rm n3; echo $?; docker rm -f cx; docker network rm n3`,
    shows: /has active endpoints/,
  },
  {
    name: 'network rm of the bridge',
    script: `docker network rm bridge`,
    code: 1,
    shows: /pre-defined network/,
  },
  {
    name: 'network inspect of nothing',
    script: `docker network inspect nosuch`,
    code: 1,
    shows: /network nosuch not found|No such network/,
  },
  {
    name: 'names: getent and nslookup find a neighbour, an alias and a hostname',
    script: `docker network create --subnet 172.31.10.0/24 n5 >/dev/null; docker run -d --name cx --network n5 --network-alias www --hostname bee busybox sleep 99 >/dev/null; docker run --rm --network n5 busybox sh -c 'for n in cx www bee cx.n5; do nslookup -type=a $n | grep ^Address: | tail -1; done'; docker rm -f cx; docker network rm n5`,
    shows: /172\.31\.10\.2/,
  },
  {
    name: 'names: an address gives the name',
    script: `docker network create --subnet 172.31.10.0/24 n5 >/dev/null; docker run -d --name cx --network n5 busybox sleep 99 >/dev/null; docker run --rm --network n5 busybox nslookup 172.31.10.2 | grep name; docker rm -f cx; docker network rm n5`,
    shows: /cx\.n5/,
  },
  {
    name: 'names: resolv.conf names the server of the network',
    script: `docker network create --subnet 172.31.10.0/24 n5 >/dev/null; docker run --rm --network n5 --dns 192.0.2.1 --dns-search example.org --dns-option timeout:1 busybox grep -v '^#' /etc/resolv.conf | grep . | sort; docker network rm n5`,
    shows: /nameserver 127\.0\.0\.11/,
  },
  {
    name: "names: a network does not know another's names",
    script: `docker network create --subnet 172.31.10.0/24 n5 >/dev/null; docker network create --internal --subnet 172.31.12.0/24 n7 >/dev/null; docker run -d --name cx --network n5 busybox sleep 99 >/dev/null; docker run --rm --network n7 busybox ping -c1 -w1 cx; docker rm -f cx; docker network rm n5 n7`,
    shows: /bad address 'cx'/,
  },
  {
    name: 'network connect with an alias and an address',
    script: `docker network create --subnet 172.31.10.0/24 n5 >/dev/null; docker run -d --name cx busybox sleep 99 >/dev/null; docker network connect --alias far --ip 172.31.10.9 n5 cx; docker run --rm --network n5 busybox ping -c1 -w20 far | sed -n 1p; docker inspect -f '{{range $k, $v := .NetworkSettings.Networks}}{{$k}} {{$v.IPAddress}} {{end}}' cx; docker rm -f cx; docker network rm n5`,
    shows: /172\.31\.10\.9/,
  },
  {
    name: 'network connect twice',
    script: `docker network create --subnet 172.31.10.0/24 n5 >/dev/null; docker run -d --name cx --network n5 busybox sleep 99 >/dev/null; docker network connect n5 cx; echo $?; docker rm -f cx; docker network rm n5`,
    shows: /already exists in network n5/,
  },
  {
    name: 'network connect of host and none',
    script: `docker run -d --name cx busybox sleep 99 >/dev/null; docker network connect host cx; docker network connect none cx; docker rm -f cx`,
    shows: /host network/,
  },
  {
    name: 'network disconnect of another network',
    script: `docker network create --subnet 172.31.10.0/24 n5 >/dev/null; docker run -d --name cx busybox sleep 99 >/dev/null; docker network disconnect n5 cx; echo $?; docker rm -f cx; docker network rm n5`,
    shows: /is not connected to/,
  },
  {
    name: 'network create with options and labels',
    script: `docker network create -o com.docker.network.driver.mtu=1400 -o com.docker.network.bridge.enable_icc=false --label a=b --attachable n8 >/dev/null; docker network inspect -f '{{json .Options}} {{json .Labels}} {{.Attachable}}' n8; docker run --rm --network n8 busybox ip link show eth0 | grep -o 'mtu [0-9]*'; docker network ls --filter label=a --format '{{.Name}}'; docker network rm n8`,
    shows: /mtu 1400/,
  },
  {
    name: 'network create of a second host network',
    script: `docker network create -d host hh`,
    code: 1,
    shows: /only one instance of/,
  },
  {
    name: 'network create with ranges gives addresses of them',
    script: `docker network create --subnet 172.31.13.0/24 --ip-range 172.31.13.128/25 --gateway 172.31.13.254 --aux-address r=172.31.13.129 n9 >/dev/null; docker network inspect -f '{{json .IPAM.Config}}' n9; docker network rm n9`,
    shows: /172\.31\.13\.129/,
  },
  {
    name: 'network prune takes what no running container has',
    script: `docker network create --subnet 172.31.10.0/24 n5 >/dev/null; docker create --name cx --network n5 busybox true >/dev/null; docker network prune -f; docker rm cx`,
    shows: /n5/,
  },
  {
    name: 'run --link on the default bridge',
    script: `docker run -d --name cx -e A=b --expose 80 busybox sleep 99 >/dev/null; docker run -d --name cy --link cx:db busybox sleep 99 >/dev/null; docker exec cy env | grep ^DB_ | sort; docker exec cy ping -c1 -w20 db | grep -c 'seq='; docker inspect -f '{{json .HostConfig.Links}}' cy; docker rm --link cy/db; docker inspect -f '{{json .HostConfig.Links}}' cy; docker rm -f cx cy`,
    shows: /DB_PORT_80_TCP_PROTO=tcp/,
  },
  {
    name: 'run --link to nobody',
    script: `docker run --link nosuch:x busybox true`,
    code: 125,
    shows: /could not get container for nosuch/,
  },
  {
    name: 'run --link on a network of its own',
    script: `docker network create --subnet 172.31.10.0/24 n5 >/dev/null; docker run -d --name cx --network n5 busybox sleep 99 >/dev/null; docker run --rm --network n5 --link cx:peer busybox ping -c1 -w20 peer | sed -n 1p; docker rm -f cx; docker network rm n5`,
    shows: /PING peer/,
  },
  {
    name: 'network create --config-only keeps settings, --config-from takes them',
    script: `docker network create --config-only --subnet 172.31.20.0/24 --gateway 172.31.20.9 -o com.docker.network.driver.mtu=1400 kept >/dev/null; docker network create --config-from kept real >/dev/null; docker network inspect -f '{{.Driver}} {{.ConfigOnly}} {{json .ConfigFrom}} {{json .IPAM.Config}} {{json .Options}}' kept real; docker run --rm --network real busybox sh -c 'ip link show eth0 | grep -o "mtu [0-9]*"; ip route | grep default'; docker network rm kept 2>&1 | head -1; docker network prune -f; docker network rm kept`,
    shows: /bridge false \{"Network":"kept"\}/,
  },
  {
    name: 'network create --config-only and --config-from that cannot be',
    script: `docker network create --config-only kept >/dev/null; docker network create --config-only --internal k2; docker network create --config-only --config-from kept k2; docker network create --config-from kept --label a=b k2; docker network create --config-from kept -o a=b k2; docker network create --config-from kept --subnet 172.31.21.0/24 k2; docker network create --config-from nosuch k2; docker network create --config-from bridge k2; docker network rm kept`,
    shows: /a configuration network cannot depend on another/,
  },
  {
    name: 'run on a network that only keeps settings',
    script: `docker network create --config-only kept >/dev/null; docker run --rm --network kept busybox true; echo $?; docker network rm kept`,
    shows: /cannot create endpoint on configuration-only network/,
  },
  {
    name: 'network create of a macvlan',
    script: `ip link add wire0 type veth peer name wire1; ip link set wire0 up; ip link set wire1 up; docker network create -d macvlan -o parent=wire0 --subnet 172.31.22.0/24 lan >/dev/null; docker network inspect -f '{{.Driver}} {{.Scope}} {{.Internal}} {{json .IPAM.Config}} {{json .Options}}' lan; docker run -d --name cx --network lan -p 80:80 busybox sleep 99 >/dev/null; docker run --rm --network lan busybox sh -c 'ip route; ping -c1 -w20 cx | grep -c seq='; docker inspect -f '{{json .NetworkSettings.Ports}} {{range .NetworkSettings.Networks}}{{.IPAddress}} {{.Gateway}} {{.MacAddress}}{{end}}' cx; docker port cx; docker restart -t 0 cx; docker exec cx ip -o -4 addr show eth0 | grep -o '172.31.22.[0-9]*/24'; docker rm -f cx; docker network rm lan; ip link del wire0`,
    shows: /macvlan local false/,
  },
  {
    name: 'network create of macvlans that cannot be',
    script: `ip link add wire0 type veth peer name wire1; docker network create -d macvlan -o parent=lo lan; docker network create -d macvlan -o parent=nosuch lan; docker network create -d macvlan -o parent=wire0.x lan; docker network create -d macvlan -o parent=wire0.5000 lan; docker network create -d macvlan -o parent=wire0.5.6 lan; docker network create -d macvlan -o parent=wire0 -o macvlan_mode=odd lan; docker network create -d macvlan -o parent=wire0 lan >/dev/null; docker network create -d macvlan -o parent=wire0 lan2 2>&1 | sed 's/dm-[0-9a-f]*/dm-ID/'; docker network rm lan; ip link del wire0`,
    shows: /already using parent interface wire0/,
  },
  {
    name: 'network connect of a macvlan',
    script: `ip link add wire0 type veth peer name wire1; ip link set wire0 up; ip link set wire1 up; docker network create -d macvlan -o parent=wire0 --subnet 172.31.22.0/24 lan >/dev/null; docker network create --subnet 172.31.23.0/24 zn >/dev/null; docker run -d --name cx --network zn busybox sleep 99 >/dev/null; docker network connect lan cx; docker exec cx ip route | grep default; docker exec cx ip -o -4 addr | grep -c 172.31.22; docker network disconnect lan cx; docker exec cx ip route | grep default; docker exec cx ip -o -4 addr | grep -c 172.31.22; docker rm -f cx; docker network rm lan zn; ip link del wire0`,
    shows: /default via 172\.31\.23\.1/,
  },
  {
    name: 'network ls with filters',
    script: `docker network create --label a=1 --label b f1 >/dev/null; docker network create --internal f2 >/dev/null; for f in name=f label=a label=a=1 label=nosuch driver=bridge driver=null driver=macvlan scope=local scope=swarm type=custom type=builtin type=x dangling=x id=$(docker network inspect -f '{{.Id}}' f1 | cut -c1-12); do echo "- \${f%%=*}"; docker network ls --filter $f --format '{{.Name}}' | sort; done; docker network rm f1 f2`,
    shows: /invalid filter: 'type'='x'/,
  },
  {
    name: 'network prune with filters',
    script: `docker network create --label a=1 f1 >/dev/null; docker network create f2 >/dev/null; docker network prune -f --filter until=1h; docker network prune -f --filter until=x; docker network prune -f --filter label=nosuch; docker network prune -f --filter label!=a; docker network ls -q --filter name=f1 | wc -l; sleep 1; docker network prune -f --filter label=a=1 --filter until=0s`,
    shows: /failed to parse value as time or duration: "x"/,
  },
  {
    name: 'run with a link-local address',
    script: `docker network create --subnet 172.31.24.0/24 n9 >/dev/null; docker run --rm --network n9 --link-local-ip 169.254.3.4 busybox ip -4 -o addr show eth0 | grep -o 'inet [^ ]*'; docker network rm n9`,
    shows: /169\.254\.3\.4\/16/,
  },
  {
    name: 'auxiliary addresses are given to nobody',
    script: `docker network create --subnet 172.31.25.0/29 --aux-address a=172.31.25.2 --gateway 172.31.25.6 n9 >/dev/null; for i in 1 2 3 4; do docker run -d --name c$i --network n9 busybox sleep 99 >/dev/null; docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' c$i; done; docker run --name c5 --network n9 busybox true; echo $?; docker rm -f c1 c2 c3 c4 c5; docker network rm n9`,
    shows: /172\.31\.25\.5/,
    normalise: [[/address pools: .*/g, 'address pools']],
  },
  {
    name: 'network disconnect of one that is gone',
    script: `docker network create gn >/dev/null; docker run -d --name cx busybox sleep 99 >/dev/null; docker network connect gn cx; docker stop -t 0 cx; docker network rm gn; docker start cx 2>&1 | sed 's/network [^ ]* not/network GN not/'; docker network disconnect nosuch cx; docker network disconnect -f gn cx; echo $?; docker network disconnect -f gn cx; docker network disconnect -f gn cz; docker network disconnect -f bridge cz; docker start cx; docker inspect -f '{{range $k,$v := .NetworkSettings.Networks}}{{$k}} {{end}}' cx; docker rm -f cx`,
    shows: /is not connected to the network gn/,
  },
  {
    name: 'network disconnect none, then connect',
    script: `docker network create nn >/dev/null; for how in run create; do docker $how $([ $how = run ] && echo -d) --name cx --network none busybox sleep 99 >/dev/null; docker network connect nn cx; docker network disconnect none cx; echo $?; docker network disconnect none cx; docker network connect nn cx; echo $?; docker network connect none cx; docker start cx; docker restart -t 0 cx; docker exec cx ls /sys/class/net; docker network disconnect nn cx; docker restart -t 0 cx; docker exec cx ls /sys/class/net; docker inspect -f '{{range $k,$v := .NetworkSettings.Networks}}{{$k}} {{end}}' cx; docker network connect none cx; docker network connect none cx; docker inspect -f '{{range $k,$v := .NetworkSettings.Networks}}{{$k}} {{end}}' cx; docker rm -f cx; done; docker network rm nn`,
    shows: /eth0[^]*private \(none\) mode[^]*is not connected to network none/,
  },
  {
    name: 'network connect and disconnect of who shares a network',
    script: `docker network create nn >/dev/null; docker run -d --name cx --network host --userns host busybox sleep 99 >/dev/null; docker run -d --name cy busybox sleep 99 >/dev/null; docker run -d --name cz --network container:cy busybox sleep 99 >/dev/null; for c in cx cz; do docker network connect nn $c; docker network connect none $c; docker network disconnect none $c; docker network disconnect host $c; docker network disconnect bridge $c; done; docker network connect host cx; docker network connect host cz; docker network connect host cy; docker rm -f cx cy cz; docker network rm nn`,
    shows: /sharing network namespace[^]*endpoint with name cx already exists/,
  },
  {
    name: 'create -p on an address that is none',
    script: `for p in 80:80:80:80 :::::80 01.2.3.4:80:80 fe80::1%eth0::80 1.2.3::80; do docker create -p $p busybox true 2>&1 | sed 's/ --help.*//'; done; docker ps -aq | wc -l`,
    shows: /invalid IP address: 80:80$[^]*^0$/m,
  },
  {
    name: 'run -p on an IPv4 address in the form of IPv6',
    script: `docker run -d --name cx -p '[::ffff:127.0.0.1]:8097:80' busybox sleep 99 >/dev/null; docker port cx; docker inspect -f '{{json .HostConfig.PortBindings}}' cx`,
    shows: /80\/tcp -> 127\.0\.0\.1:8097/,
  },
  {
    name: 'run --expose of a protocol in capitals',
    script: `docker run -d --name cx --expose 80/TCP busybox sleep 99 >/dev/null; docker inspect -f '{{json .Config.ExposedPorts}} {{json .NetworkSettings.Ports}}' cx; docker ps --format '{{.Ports}}'`,
    shows: /\{"80\/tcp":null\}/,
  },
  {
    name: 'create --expose of a protocol that is none',
    script: `docker create --expose 80/foo busybox true | wc -l`,
    shows: /^1$/m,
  },
  {
    name: 'network connect of a stopped container is no event',
    script: `s=$(date +%s.%N); docker network create n1 >/dev/null; docker create --name cx busybox true >/dev/null; docker network connect n1 cx; docker network disconnect n1 cx; docker events --since $s --until $(date +%s.%N) --filter type=network --format '{{.Action}}'`,
    shows: /^create\ndisconnect$/m,
  },
]
