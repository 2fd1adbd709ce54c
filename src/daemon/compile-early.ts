/**
 * What an engine does it does a few times for each container, not in loops. V8 waits with its best code for what runs
 * thousands of times (its words for that changed with Node 22): it took 1,500 containers until those of an engine were
 * as fast as they get, with this 200.
 */
import { setFlagsFromString } from 'node:v8'

/** By V8's major version, those of Node 20, 22 and 24. What V8 does not know it complains about: others are left alone. */
const FLAGS: Readonly<Record<string, string>> = {
  11: '--interrupt-budget=5000',
  12: '--invocation-count-for-turbofan=200',
  13: '--invocation-count-for-turbofan=200',
}

export function compileEarly(): void {
  const [major = ''] = process.versions.v8.split('.')
  const flag = FLAGS[major]
  if (flag !== undefined) setFlagsFromString(flag)
}
