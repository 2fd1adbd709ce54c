/**
 * A container as a dewar, and those who look at it around it. An arrow that reaches the inside is a leak; one that ends
 * at the wall is contained; a dashed one is not proven. Drawn once per target, side by side, so that they compare.
 */
import type { Observer, Report, Verdict } from '../types.ts'
import { markup, type Markup } from './markup.ts'
import { sightOf, worstOf, type Tally } from './overview.ts'
import { OBSERVER_NAME } from './words.ts'

interface Place {
  readonly observer: Observer
  readonly lines: readonly [string, string]
  readonly side: 'left' | 'right'
  readonly y: number
}

/** From above: who stands farthest from the container comes first. */
const PLACES: readonly Place[] = [
  { observer: 'unprivileged-user', lines: ['unprivileged', 'user'], side: 'left', y: 66 },
  { observer: 'host-root', lines: ['host root,', 'everyday'], side: 'left', y: 136 },
  { observer: 'determined-root', lines: ['host root,', 'determined'], side: 'left', y: 206 },
  { observer: 'neighbour', lines: ['neighbour', 'container'], side: 'right', y: 66 },
  { observer: 'api-user', lines: ['other users', 'of the API'], side: 'right', y: 136 },
  { observer: 'disk-thief', lines: ['disk thief', '(powered off)'], side: 'right', y: 206 },
]

const BOX = { width: 92, height: 62 }

export function pictureOf(report: Report, target: string): Markup {
  const guest = sightOf(report, target, 'guest')
  const sights = PLACES.map((place) => ({ place, tally: sightOf(report, target, place.observer) }))
  const words = [
    `guest: ${inWords(guest)}`,
    ...sights.map(({ place, tally }) => `${OBSERVER_NAME[place.observer]}: ${inWords(tally)}`),
  ]
  return markup`<svg class="picture" viewBox="0 0 360 343" role="img" aria-label="Who sees what of ${target}. ${words.join('. ')}.">
${flask()}
${sights.map(({ place, tally }) => arrow(place, worstOf(tally)))}
${sights.map(({ place, tally }) => box(place, tally))}
${guestLooksOut(guest)}
</svg>`
}

/** Two walls with nothing between them, a neck, a stopper. */
function flask(): Markup {
  return markup`<path class="wall" d="M158 20 V36 C158 54 126 56 126 86 V250 Q126 276 152 276 H208 Q234 276 234 250 V86 C234 56 202 54 202 36 V20 Z"/>
<path class="inside" d="M166 20 V40 C166 62 135 64 135 90 V246 Q135 267 156 267 H204 Q225 267 225 246 V90 C225 64 194 62 194 40 V20 Z"/>
<rect class="stopper" x="160" y="4" width="40" height="18" rx="4"/>
<text class="inner-label" x="180" y="136">container</text>`
}

function box({ lines, side, y }: Place, tally: Tally): Markup {
  const x = side === 'left' ? 1 : 359 - BOX.width
  const middle = x + BOX.width / 2
  const worst = worstOf(tally)
  return markup`<rect class="who" x="${x}" y="${y}" width="${BOX.width}" height="${BOX.height}" rx="8"/>
<text class="name" x="${middle}" y="${y + 19}">${lines[0]}</text>
<text class="name" x="${middle}" y="${y + 34}">${lines[1]}</text>
<text class="sum ink-${worst ?? 'ABSENT'}" x="${middle}" y="${y + 52}">${shortWords(tally)}</text>`
}

/** Leaks go through both walls to the inside; what is contained ends at the outer one with a bar across. */
function arrow({ side, y }: Place, worst: Verdict | undefined): Markup | undefined {
  if (worst === undefined || worst === 'ABSENT') return undefined
  const middle = y + BOX.height / 2
  const [from, wall, tip, back] = side === 'left' ? [96, 121, 162, -11] : [264, 239, 198, 11]
  if (worst === 'LEAK') {
    return markup`<path class="ray ray-LEAK" d="M${from} ${middle} H${tip + back}"/>
<path class="tip-LEAK" d="M${tip} ${middle} l${back} -6 v12 Z"/>`
  }
  const line = markup`<path class="ray ray-${worst}" d="M${from} ${middle} H${wall}"/>`
  return worst === 'CONTAINED' ? markup`${line}<path class="stop" d="M${wall} ${middle - 9} v18"/>` : line
}

/** The other way round: the guest looks out, through the bottom, at its host. */
function guestLooksOut(tally: Tally): Markup {
  const worst = worstOf(tally)
  return markup`<circle class="guest" cx="180" cy="189" r="7"/><path class="guest" d="M166 214 q0 -14 14 -14 q14 0 14 14 Z"/>
<text class="name" x="180" y="228">guest</text>
${gaze(worst)}<rect class="host" x="1" y="301" width="358" height="40" rx="8"/>
<text class="name" x="14" y="326" text-anchor="start">the host, as the guest sees it</text>
<text class="sum ink-${worst ?? 'ABSENT'}" x="346" y="326" text-anchor="end">${shortWords(tally)}</text>`
}

function gaze(worst: Verdict | undefined): Markup | undefined {
  if (worst === undefined || worst === 'ABSENT') return undefined
  if (worst === 'LEAK') {
    return markup`<path class="ray ray-LEAK" d="M180 236 V287"/><path class="tip-LEAK" d="M180 298 l-6 -12 h12 Z"/>`
  }
  const line = markup`<path class="ray ray-${worst}" d="M180 236 V261"/>`
  return worst === 'CONTAINED' ? markup`${line}<path class="stop" d="M170 262 h20"/>` : line
}

function total(tally: Tally): number {
  return tally.LEAK + tally.CONTAINED + tally.ABSENT + tally.INCONCLUSIVE
}

function shortWords(tally: Tally): string {
  if (total(tally) === 0) return 'not asked'
  if (tally.LEAK > 0) return `✗ ${tally.LEAK} of ${total(tally)}`
  if (tally.INCONCLUSIVE > 0) return `? ${tally.INCONCLUSIVE} of ${total(tally)}`
  return tally.CONTAINED > 0 ? `✓ 0 of ${total(tally)}` : '- absent'
}

function inWords(tally: Tally): string {
  return total(tally) === 0 ? 'not asked' : `${tally.LEAK} of ${total(tally)} probes leak`
}
