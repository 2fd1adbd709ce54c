/**
 * Where the host's energy meters and thermometers are, which tell a guest what others compute (PLATYPUS,
 * GHSA-6fw5-f8r9-fgfm). By the device, since the names below /sys/class are links to it.
 */
import { readdirSync, realpathSync } from 'node:fs'
import { join } from 'node:path'

/** Thermal zones and RAPL are below /sys/devices/virtual, which is closed anyway. */
const CLASSES = ['class/hwmon', 'class/power_supply']
const PROCESSORS = 'devices/system/cpu'

/** ms for which they are believed to be the same: to look takes longer than all else that a plan is made of. */
const BELIEVED = 1000
let last: { readonly at: number; readonly folders: readonly string[] } | undefined

/** Looked for again and again: a battery or a sensor may have been plugged in. The same list as long as it is the same. */
export function presentMeters(): readonly string[] {
  const now = performance.now()
  if (last !== undefined && now - last.at < BELIEVED) return last.folders
  const found = meterFolders()
  const same = last !== undefined && found.join('\n') === last.folders.join('\n')
  last = { at: now, folders: same && last !== undefined ? last.folders : found }
  return last.folders
}

export function meterFolders(sys = '/sys'): readonly string[] {
  const devices = CLASSES.flatMap((name) => {
    const folder = join(sys, name)
    return namesIn(folder).flatMap((one) => realPath(join(folder, one)))
  })
  const processors = namesIn(join(sys, PROCESSORS)).filter((name) => /^cpu\d+$/.test(name))
  const throttles = processors
    .map((name) => join(sys, PROCESSORS, name, 'thermal_throttle'))
    .filter((path) => namesIn(path).length > 0)
  return [...new Set([...devices, ...throttles])]
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/** None when the device has just gone. */
function realPath(path: string): readonly string[] {
  try {
    return [realpathSync(path)]
  } catch {
    return []
  }
}
