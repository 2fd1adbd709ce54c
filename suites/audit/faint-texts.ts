/**
 * Runs in the page, so it is a text: which texts have less contrast than 4.5 with the ground they are painted on.
 */
export const FAINT_TEXTS = `(() => {
  const numbers = (colour) => (colour.match(/[\\d.]+/g) ?? []).map(Number)
  const light = (colour) => {
    const [red, green, blue] = numbers(colour).map((value) => {
      const part = value / 255
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }
  const ground = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const { backgroundColor } = getComputedStyle(at)
      if (numbers(backgroundColor)[3] !== 0) return backgroundColor
    }
    return 'rgb(255, 255, 255)'
  }
  const found = new Set()
  for (const element of document.querySelectorAll('main *, header *, footer *')) {
    if (element.closest('svg') !== null) continue
    if (![...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== '')) continue
    const [text, under] = [light(getComputedStyle(element).color), light(ground(element))]
    const contrast = (Math.max(text, under) + 0.05) / (Math.min(text, under) + 0.05)
    if (contrast < 4.5) found.add(element.tagName + '.' + element.className + ' ' + contrast.toFixed(2))
  }
  return [...found]
})()`
