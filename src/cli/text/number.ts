/** Go's %.Ng: N significant digits, no trailing zeros, an exponent of two digits when it does not fit. */
export function significant(value: number, digits: number): string {
  const text = value.toPrecision(digits)
  const [mantissa = '', exponent] = text.split('e')
  const short = mantissa.includes('.') ? mantissa.replace(/\.?0+$/, '') : mantissa
  if (exponent === undefined) return short
  const sign = exponent.startsWith('-') ? '-' : '+'
  return `${short}e${sign}${exponent.replace(/^[+-]/, '').padStart(2, '0')}`
}
