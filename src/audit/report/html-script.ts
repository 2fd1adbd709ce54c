/**
 * The page's script: filters, links from the matrix to its probes, and everything open on paper. It reads the attributes
 * that html-probes.ts wrote and shows or hides; it never makes markup.
 */
export const PAGE_SCRIPT = `'use strict'
const form = document.getElementById('filters')
if (form) {
  const shown = document.getElementById('shown')
  const probes = [...document.querySelectorAll('.probe')]
  const NAMES = ['direction', 'asset', 'observer', 'verdict', 'target', 'text']
  const fields = NAMES.map((name) => form.elements.namedItem(name))
  const wanted = () => Object.fromEntries(fields.map((field) => [field.name, field.value]))
  const fits = (want, value) => want === '' || want === value
  const show = (element, yes) => { element.hidden = !yes }

  const apply = () => {
    const want = wanted()
    const text = want.text.trim().toLowerCase()
    let count = 0
    for (const probe of probes) {
      let some = false
      for (const part of probe.querySelectorAll('[data-verdict]')) {
        const yes = fits(want.target, part.dataset.target) && fits(want.verdict, part.dataset.verdict)
        show(part, yes)
        some = some || yes
      }
      const yes = some && fits(want.direction, probe.dataset.direction) && fits(want.asset, probe.dataset.asset)
        && (want.observer === '' || probe.dataset.observers.split(' ').includes(want.observer))
        && (text === '' || probe.textContent.toLowerCase().includes(text))
      show(probe, yes)
      if (yes) count += 1
    }
    const all = count === probes.length
    shown.textContent = all ? count + ' probes' : count + ' of ' + probes.length + ' probes'
    form.classList.toggle('narrowed', !all)
    const words = new URLSearchParams(Object.entries(want).filter(([, value]) => value !== ''))
    history.replaceState(null, '', words.size === 0 ? location.pathname + location.search : '#' + words)
  }
  const choose = (choice) => {
    for (const field of fields) field.value = choice[field.name] ?? ''
    apply()
  }
  const fromAddress = () => {
    if (location.hash.includes('=')) choose(Object.fromEntries(new URLSearchParams(location.hash.slice(1))))
  }

  form.hidden = false
  form.addEventListener('input', apply)
  form.addEventListener('submit', (event) => event.preventDefault())
  form.addEventListener('reset', (event) => { event.preventDefault(); choose({}) })
  for (const cell of document.querySelectorAll('.cell')) {
    cell.addEventListener('click', (event) => {
      event.preventDefault()
      choose(cell.dataset)
      const heading = document.getElementById('h-probes')
      heading.tabIndex = -1
      heading.focus()
      heading.scrollIntoView()
    })
  }
  window.addEventListener('hashchange', fromAddress)
  fromAddress()
}
let closed = []
window.addEventListener('beforeprint', () => {
  closed = [...document.querySelectorAll('details:not([open])')]
  for (const one of closed) one.open = true
})
window.addEventListener('afterprint', () => { for (const one of closed) one.open = false })
`
