import { CONTAINERS, LIFE } from './rows-containers.ts'
import { IMAGES } from './rows-images.ts'

/**
 * The Engine API, endpoint by endpoint and parameter by parameter, as a conversation: rows are said in this order to
 * both sides, so that what one row makes the next may use. One row per line:
 *
 *     METHOD PATH [<- BODY] [=> NAME]      BODY is JSON or the name of a file of files.ts; NAME keeps the answer's Id
 *     ~ METHOD PATH                        the client leaves after a second: for answers without end
 *
 * Queries are written as they are read and encoded on the way; {now} is the time in seconds. Left out is what dockerd
 * looks for among plugins, 15 seconds each: unknown drivers of logs, volumes and networks are in the conformance suite.
 */
export const ROWS = `
${CONTAINERS}
${LIFE}
${IMAGES}
# system
GET /_ping
HEAD /_ping
GET /version
GET /info
POST /auth <- {"username":"u","password":"p","serveraddress":"127.0.0.1:5000"}
POST /auth <- {"username":"u","password":"p","serveraddress":"127.0.0.1:5999"}
POST /auth <- nojson
GET /system/df
GET /system/df?type=container
GET /system/df?type=image&type=volume
GET /system/df?type=build-cache
GET /system/df?type=nosuch
GET /events?since=1&until={now}&filters={"type":["nosuch"]}
GET /events?since=1&until=0
GET /events?since=1&until=2
~ GET /events
~ GET /events?until=2999999999
GET /events?since=1h&until=1s
GET /events?since=2020-01-01&until=2020-01-02
GET /events?since=2020-01-01T00:00:00.5Z&until=1600000000.123456789
GET /events?since=x
GET /events?until=x
GET /events?since=1&until=2&filters={"nosuch":["x"]}
GET /events?since=1&until=2&filters=x
GET /v1.23/_ping
GET /v1.23/version
GET /v1.24/version
GET /v1.24/containers/json
GET /v1.24/containers/run/json
GET /v1.24/images/json
GET /v1.25/images/busybox/json
GET /v1.30/info
GET /v1.99/version
GET /v2.0/version
GET /vx/version
GET /v1/version
GET /v1.41.1/version
GET /nosuch
GET /
POST /version
DELETE /containers/json
PUT /containers/create
OPTIONS /version

# what is refused on purpose
GET /plugins
GET /plugins/nosuch/json
GET /swarm
GET /nodes
GET /services
GET /tasks
GET /secrets
GET /configs
POST /swarm/leave
POST /services/create <- {}
POST /secrets/create <- {}
POST /configs/create <- {}
GET /services/x
DELETE /services/x
POST /session
POST /grpc
GET /containers/run/checkpoints
POST /containers/run/checkpoints <- {"CheckpointID":"x"}

# removal, at last
DELETE /containers/run
DELETE /containers/nosuch
DELETE /containers/nosuch?force=1
DELETE /containers/done?v=1
DELETE /containers/talk?link=1
DELETE /containers/run?force=1&v=1
POST /containers/prune?filters={"until":["x"]}
POST /containers/prune?filters={"nosuch":["x"]}
POST /containers/prune?filters={"label":["nosuch"]}
POST /containers/prune
POST /containers/prune
POST /networks/prune
`
