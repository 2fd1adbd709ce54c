/** Meters of the host: energy and temperature tell what others compute. */
import { readdir, readFile, realpath } from 'node:fs/promises'
import type { Probe } from '../../probe.ts'
import type { Evidence } from '../../types.ts'
import { absent, conclude } from '../../verdict.ts'
import { lookingProbe, sees, textInside } from './inside.ts'

const CLASSES = ['/sys/class/powercap', '/sys/class/thermal', '/sys/class/hwmon', '/sys/class/power_supply']
const METER =
  /^(energy_uj|temp|(temp|power|energy|curr|in|fan)\d+_(input|average)|(power|energy|current|voltage)_now|temp_now)$/
const THROTTLE = '/sys/devices/system/cpu/cpu0/thermal_throttle'

/** Files that hold a number, by the name that the class gives and by where the device is: one may be masked without the other. */
async function metersIn(folder: string): Promise<readonly string[]> {
  const found = new Set<string>()
  for (const name of await readdir(folder).catch(() => [])) {
    for (const place of [`${folder}/${name}`, await realpath(`${folder}/${name}`).catch(() => '')])
      for (const file of await readdir(place).catch(() => []))
        if (METER.test(file) && (await tellsNumber(`${place}/${file}`))) found.add(`${place}/${file}`)
  }
  return [...found]
}

async function tellsNumber(path: string): Promise<boolean> {
  return /^-?\d+\s*$/.test(await readFile(path, 'latin1').catch(() => ''))
}

async function throttles(): Promise<readonly string[]> {
  const names = await readdir(THROTTLE).catch(() => [])
  return names.filter((name) => name.endsWith('_count')).map((name) => `${THROTTLE}/${name}`)
}

export const meters: Probe = lookingProbe(
  {
    id: 'I17',
    slug: 'in.power.thermal',
    asset: 'side channel',
    question: 'Does a guest read the host’s energy meters or thermometers?',
    method: `Meters in ${CLASSES.join(', ')} and thermal_throttle that the host reads, by each of their paths, read inside.`,
    references: ['GHSA-jq35-85cj-fj4p', 'GHSA-6fw5-f8r9-fgfm', 'PLATYPUS'],
    remedy:
      'Mask /sys/devices/virtual/powercap, /sys/devices/virtual/thermal, thermal_throttle and what /sys/class/hwmon leads to.',
  },
  async (guest) => {
    const known = [...(await Promise.all(CLASSES.map(metersIn))).flat(), ...(await throttles())]
    if (known.length === 0) return absent('this host has no energy meter and no thermometer')
    const seen: Evidence[] = []
    for (const path of known)
      if ((await textInside(guest, path)) !== '') seen.push({ kind: 'path', text: path })
    return conclude({
      seen,
      controls: [await sees(guest), { what: `the host reads its own (${known[0]})`, held: true }],
      leak: 'The guest reads meters of the host: a side channel to what others compute.',
      contained: `None of ${known.length} meters of the host can be read inside.`,
    })
  },
)
