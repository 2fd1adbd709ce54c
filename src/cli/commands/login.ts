import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { isRecord } from '../../client/connect.ts'
import type { Cli } from '../cli.ts'
import { atMost, command } from '../command-spec.ts'
import {
  callHelper,
  findAuth,
  helperFor,
  HUB_KEY,
  readConfig,
  registryKey,
  writeConfig,
} from '../config-file.ts'
import type { ConfigFile } from '../config-file.ts'
import { Failure } from '../failure.ts'
import { bool, string } from '../flags.ts'

export const login = command({
  name: 'login',
  summary: 'Authenticate to a registry',
  usage: '[OPTIONS] [SERVER]',
  arity: atMost(1),
  flags: {
    password: string('Password or Personal Access Token (PAT)', { short: 'p' }),
    'password-stdin': bool('Take the Password or Personal Access Token (PAT) from stdin'),
    username: string('Username', { short: 'u' }),
  },
  examples: [
    {
      command: 'echo "$TOKEN" | dewar login -u ci --password-stdin registry.example.com',
      about: 'In a script',
    },
  ],
  run: async (flags, [server = ''], cli) => {
    if (flags.password !== '') {
      cli.warn('WARNING! Using --password via the CLI is insecure. Use --password-stdin.')
      if (flags['password-stdin']) throw new Failure('--password and --password-stdin are mutually exclusive')
    }
    if (flags['password-stdin'] && flags.username === '')
      throw new Failure('Must provide --username with --password-stdin')
    const key = registryKey(hostOf(server))
    const config = await readConfig(cli.configFolder)
    const given = {
      username: flags.username,
      password: flags['password-stdin'] ? await firstLine(cli) : flags.password,
    }
    const auth = await complete(given, config, key, cli)
    const client = await cli.client()
    const { Status, IdentityToken } = await client.system.auth({ ...auth, serveraddress: key })
    await store(config, key, { ...auth, token: IdentityToken }, cli)
    if (Status !== '') cli.say(Status)
  },
})

export const logout = command({
  name: 'logout',
  summary: 'Log out from a registry',
  usage: '[SERVER]',
  arity: atMost(1),
  flags: {},
  examples: [{ command: 'dewar logout registry.example.com', about: 'Forget its password' }],
  run: async (_flags, [server = ''], cli) => {
    const key = registryKey(hostOf(server))
    const config = await readConfig(cli.configFolder)
    const auths = isRecord(config.raw['auths']) ? config.raw['auths'] : {}
    const helper = helperFor(config, key)
    if (!Object.hasOwn(auths, key) && helper === undefined) {
      cli.say(`Not logged in to ${key}`)
      return
    }
    cli.say(`Removing login credentials for ${key}`)
    if (helper !== undefined) await callHelper(helper, 'erase', key)
    const rest = Object.fromEntries(Object.entries(auths).filter(([name]) => name !== key))
    await writeConfig(config, { ...config.raw, auths: rest })
  },
})

function hostOf(server: string): string {
  if (server === '' || server === HUB_KEY) return 'docker.io'
  return server.replace(/^https?:\/\//, '').replace(/\/.*$/, '')
}

interface Names {
  readonly username: string
  readonly password: string
}

/** What is missing is asked for on a terminal, or taken from what is stored when nothing at all was given. */
async function complete(given: Names, config: ConfigFile, key: string, cli: Cli): Promise<Names> {
  if (given.username !== '' && given.password !== '') return given
  if (given.username === '' && given.password === '') {
    const known = await findAuth(config, key)
    if (known?.username !== undefined && known.password !== undefined) {
      cli.say(`Authenticating with existing credentials... [Username: ${known.username}]`)
      return { username: known.username, password: known.password }
    }
  }
  if (cli.stdin.isTTY !== true)
    throw new Failure('Error: Cannot perform an interactive login from a non TTY device')
  const username = given.username === '' ? await ask('Username: ', true, cli) : given.username
  if (username === '') throw new Failure('Error: Non-null Username Required')
  const password = given.password === '' ? await ask('Password: ', false, cli) : given.password
  if (password === '') throw new Failure('Error: Password Required')
  return { username, password }
}

async function firstLine(cli: Cli): Promise<string> {
  const all = await text(cli.stdin)
  return all.replace(/\r?\n$/, '')
}

/** One line from the terminal; a password is read in raw mode and not shown. */
function ask(prompt: string, shown: boolean, cli: Cli): Promise<string> {
  cli.stdout.write(prompt)
  if (shown) {
    const lines = createInterface({ input: cli.stdin })
    return new Promise((resolve) =>
      lines
        .once('line', (line) => {
          lines.close()
          resolve(line.trim())
        })
        .once('close', () => resolve('')),
    )
  }
  const { stdin } = cli
  stdin.setRawMode(true)
  stdin.resume()
  return new Promise((resolve, reject) => {
    let typed = ''
    const finish = (act: () => void): void => {
      stdin.off('data', onData).setRawMode(false)
      stdin.pause()
      cli.stdout.write('\n')
      act()
    }
    const onData = (chunk: Buffer): void => {
      for (const character of chunk.toString('utf8')) {
        if (character === '\r' || character === '\n' || character === '\x04')
          return finish(() => resolve(typed))
        if (character === '\x03') return finish(() => reject(new Failure('', 130)))
        typed = character === '\x7f' ? typed.slice(0, -1) : typed + character
      }
    }
    stdin.on('data', onData)
  })
}

async function store(
  config: ConfigFile,
  key: string,
  auth: Names & { readonly token: string },
  cli: Cli,
): Promise<void> {
  const auths = isRecord(config.raw['auths']) ? config.raw['auths'] : {}
  const helper = helperFor(config, key)
  if (helper !== undefined) {
    const secret =
      auth.token === ''
        ? { Username: auth.username, Secret: auth.password }
        : { Username: '<token>', Secret: auth.token }
    await callHelper(helper, 'store', JSON.stringify({ ServerURL: key, ...secret }))
    await writeConfig(config, { ...config.raw, auths: { ...auths, [key]: {} } })
    return
  }
  cli.warn(
    `\nWARNING! Your credentials are stored unencrypted in '${config.path}'.\nConfigure a credential helper to remove this warning. See\nhttps://docs.docker.com/go/credential-store/\n`,
  )
  const entry =
    auth.token === ''
      ? { auth: Buffer.from(`${auth.username}:${auth.password}`).toString('base64') }
      : { auth: Buffer.from(`${auth.username}:`).toString('base64'), identitytoken: auth.token }
  await writeConfig(config, { ...config.raw, auths: { ...auths, [key]: entry } })
}
