/**
 * The web server inside the built-in image: one page on port 80, a line of log per request, a quick end on SIGTERM
 * (as the first process of a container it gets no default signal handling from the kernel).
 */
export const SERVER_JS = `'use strict'
const http = require('node:http')
const os = require('node:os')
const fs = require('node:fs')

const port = Number(process.env.PORT ?? 80)
const idMap = () => { try { return fs.readFileSync('/proc/self/uid_map', 'utf8').trim().replace(/\\s+/g, ' ') } catch { return 'unknown' } }
const page = () => \`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Hello from a Dewar container</title>
<style>body{font:18px/1.5 system-ui;max-width:36em;margin:4em auto;padding:0 1em}dt{font-weight:600}</style>
<h1>Hello from inside a container</h1>
<dl>
<dt>host name</dt><dd>\${os.hostname()}</dd>
<dt>my process id, as I see it</dt><dd>\${process.pid}</dd>
<dt>my user id, as I see it</dt><dd>\${process.getuid()} (map: \${idMap()})</dd>
</dl>
</html>
\`

const server = http.createServer((request, response) => {
  const found = request.url === '/'
  const body = found ? page() : 'not found\\n'
  response.writeHead(found ? 200 : 404, {
    'content-type': found ? 'text/html; charset=utf-8' : 'text/plain',
    'content-length': Buffer.byteLength(body),
    server: 'dewar-experiment',
  })
  response.end(request.method === 'HEAD' ? undefined : body)
  const from = (request.socket.remoteAddress ?? '-').replace(/^::ffff:/, '')
  console.log(\`\${from} - [\${new Date().toISOString()}] "\${request.method} \${request.url}" \${response.statusCode} \${Buffer.byteLength(body)}\`)
})
server.listen(port, () => console.log(\`listening on port \${port}\`))
server.on('error', (error) => { console.error(error.message); process.exit(1) })
for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT']) process.on(signal, () => process.exit(0))
`
