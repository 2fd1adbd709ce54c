/**
 * A token server as registries name it in their challenge, for `docker-registry` to believe: who may do what to
 * which repository, signed. `node token-server.js PORT KEY CERTIFICATE`; a line for each request on standard output.
 */
import { createPrivateKey, randomUUID, sign, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

/** Name → password and what may be done. */
const PEOPLE: Readonly<Record<string, { readonly password: string; readonly actions: readonly string[] }>> = {
  alice: { password: 'opens: it', actions: ['pull', 'push'] },
  bob: { password: 'reads', actions: ['pull'] },
}

const [port = '', keyFile = '', certificateFile = ''] = process.argv.slice(2)
const key = createPrivateKey(readFileSync(keyFile))
const certificate = new X509Certificate(readFileSync(certificateFile)).raw.toString('base64')
const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

createServer((request, response) => {
  const url = new URL(request.url ?? '', 'http://localhost')
  const [, basic = ''] = (request.headers.authorization ?? '').split(' ')
  const [, name = '', password = ''] = /^([^:]*):([^]*)$/.exec(Buffer.from(basic, 'base64').toString()) ?? []
  const scopes = url.searchParams.getAll('scope').flatMap((scope) => scope.split(' '))
  process.stdout.write(`${name === '' ? 'nobody' : name} ${scopes.join(' ')}\n`)
  const person = PEOPLE[name]
  if (name !== '' && person?.password !== password) {
    response.writeHead(401).end(JSON.stringify({ details: 'incorrect username or password' }))
    return
  }
  const access = scopes.map((scope) => {
    const [type = '', repository = '', wanted = ''] = scope.split(':')
    const actions = wanted.split(',').filter((action) => person?.actions.includes(action))
    return { type, name: repository, actions }
  })
  const token = signed(name, url.searchParams.get('service') ?? '', access)
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ token, expires_in: 300 }))
}).listen(Number(port), '127.0.0.1')

function signed(subject: string, audience: string, access: readonly object[]): string {
  const now = Math.floor(Date.now() / 1000)
  const claims = { iss: 'dewar-tests', sub: subject, aud: audience, iat: now, nbf: now - 60, exp: now + 300 }
  const head = encoded({ typ: 'JWT', alg: 'RS256', x5c: [certificate] })
  const body = `${head}.${encoded({ ...claims, jti: randomUUID(), access })}`
  return `${body}.${sign('RSA-SHA256', Buffer.from(body), key).toString('base64url')}`
}
