/** What a JSON answer looks like: fields and types, without values. */

/** One line per field, `.Config.Labels: object`; elements of a list share theirs. */
export function shapeOf(value: unknown): Set<string> {
  const lines = new Set<string>()
  walk(value, '', lines)
  return lines
}

function walk(value: unknown, path: string, lines: Set<string>): void {
  if (Array.isArray(value)) {
    lines.add(`${path}: list`)
    for (const item of value) walk(item, `${path}[]`, lines)
    return
  }
  if (typeof value === 'object' && value !== null) {
    lines.add(`${path}: object`)
    for (const [key, item] of Object.entries(value)) walk(item, `${path}.${nameOf(key)}`, lines)
    return
  }
  lines.add(`${path}: ${value === null ? 'null' : typeof value}`)
}

/** Keys that differ from run to run share one name. */
function nameOf(key: string): string {
  return key.replace(/^(sha256:)?[0-9a-f]{64}$/, 'ID')
}

/** JSON, or lines of JSON; anything else is shown by its kind. */
export function valueOf(text: string): unknown {
  const whole = parse(text)
  if (whole !== undefined) return whole
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  const parsed = lines.map(parse)
  return lines.length > 0 && parsed.every((line) => line !== undefined) ? parsed : undefined
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
