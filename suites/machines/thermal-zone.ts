/** An ACPI table that gives an emulated machine a thermometer: ACPI 6.5, 5.2.6 (header), 11 (thermal zones), 20 (AML). */

const word = (value: number): Buffer => Buffer.from([0x0b, value & 0xff, value >> 8])
/** `Name (NAME, value)` */
const named = (name: string, value: number): Buffer =>
  Buffer.concat([Buffer.from([0x08]), Buffer.from(name), word(value)])
/** PkgLength counts itself; of one byte up to 63. */
const sized = (...parts: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([body.length + 1]), body])
}

/** `Scope (\_TZ) { ThermalZone (TZ00) { Name (_TMP, …) Name (_CRT, …) } }`, in tenths of a kelvin. */
export function thermalZone(temperature: number, critical: number): Buffer {
  const zone = sized(Buffer.from('TZ00'), named('_TMP', temperature), named('_CRT', critical))
  const scope = sized(Buffer.from('\\_TZ_'), Buffer.from([0x5b, 0x85]), zone)
  const aml = Buffer.concat([Buffer.from([0x10]), scope])
  const head = Buffer.alloc(36)
  head.write('SSDT')
  head.writeUInt32LE(head.length + aml.length, 4)
  head[8] = 2
  head.write('DEWAR ', 10)
  head.write('THERMAL ', 16)
  head.writeUInt32LE(1, 24)
  head.write('DEWR', 28)
  head.writeUInt32LE(1, 32)
  const table = Buffer.concat([head, aml])
  // All bytes add up to nothing.
  table[9] = -table.reduce((sum, byte) => sum + byte, 0) & 0xff
  return table
}
