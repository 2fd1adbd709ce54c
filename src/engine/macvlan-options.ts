/** What is asked of a network of the driver macvlan, checked in dockerd's order and words. Pure. */
import { DewarError } from '../base/errors.ts'
import { MODES, type Macvlan, type MacvlanMode } from '../network/macvlan.ts'
import { checkInterfaceName, type Network } from '../network/network.ts'

interface Asked {
  readonly id: string
  readonly options: Readonly<Record<string, string>>
}

/** `links`: interfaces of the host. */
export function macvlanOf(
  { id, options }: Asked,
  others: readonly Network[],
  links: readonly string[],
): Macvlan {
  const mode = modeOf(options['macvlan_mode'] ?? '')
  const parent = options['parent'] ?? ''
  if (parent === '') return { parent: innerName(id), mode, made: 'inner' }
  if (parent === 'lo') refuse('loopback interface is not a valid macvlan parent link')
  const user = others.find(({ macvlan }) => macvlan?.parent === parent)
  if (user !== undefined) refuse(`network ${innerName(user.id)} is already using parent interface ${parent}`)
  if (links.includes(parent)) return { parent, mode }
  const made = vlanOf(parent, links)
  return { parent: checkInterfaceName(parent), mode, made }
}

/** As dockerd names its dummy interfaces, and in errors all networks. */
const innerName = (id: string): string => `dm-${id.slice(0, 12)}`

function modeOf(text: string): MacvlanMode {
  const mode = text === '' ? 'bridge' : MODES.find((one) => one === text)
  if (mode !== undefined) return mode
  return refuse(`requested macvlan mode '${text}' is not valid, 'bridge' mode is the macvlan driver default`)
}

function vlanOf(parent: string, links: readonly string[]): { on: string; vlan: number } {
  const [on = '', text = '', ...more] = parent.split('.')
  if (!parent.includes('.')) refuse(`invalid subinterface vlan name ${parent}, example formatting is eth0.10`)
  if (more.length > 0) {
    refuse(
      `required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received ${parent}`,
    )
  }
  if (!/^[+-]?\d+$/.test(text))
    refuse(`unable to parse a valid vlan id from: ${text} (ex. eth0.10 for vlan 10)`)
  if (!links.includes(on)) refuse(`-o parent interface was not found on the host: ${on}`)
  const vlan = Number(text)
  if (vlan < 1 || vlan > 4094) refuse(`vlan id must be between 1-4094, received: ${vlan}`)
  return { on, vlan }
}

/** dockerd answers all of these with 500. */
function refuse(message: string): never {
  throw new DewarError('system', message)
}
