/** Names and ids of containers. */
import { randomBytes, randomInt } from 'node:crypto'
import { DewarError } from '../base/errors.ts'

/** 64 hex digits whose first 12, the short form, are never all decimal (they would read as a number). */
export function newId(): string {
  for (;;) {
    const id = randomBytes(32).toString('hex')
    if (!/^[0-9]{12}/.test(id)) return id
  }
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/

/** Strips the one leading slash Docker's clients may send. Throws `invalid-argument` with dockerd's words. */
export function checkName(given: string): string {
  const name = given.startsWith('/') ? given.slice(1) : given
  if (NAME.test(name)) return name
  throw new DewarError(
    'invalid-argument',
    `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
  )
}

const ADJECTIVES = (
  'able airy alert amber ample avid awake bold brave breezy bright brisk calm candid civil clever cosy crisp ' +
  'curious daring deft eager early easy earnest elated even exact fair fancy fearless fleet fond frank free ' +
  'fresh gentle glad golden graceful grand happy hardy hearty honest humble jolly jovial keen kind lively loyal ' +
  'lucid lucky mellow merry mighty mild modest neat nimble noble patient placid plucky polite proud quick quiet ' +
  'rapid ready robust rosy serene sharp shiny silent sincere sleek smart snug sober solid spry stable steady ' +
  'stoic sturdy sunny swift tender thrifty tidy tranquil trusty upbeat valiant vivid warm watchful wise witty zesty'
).split(' ')

/** People of vacuum, cold, heat and computing, in the spirit of the flask. */
const SURNAMES = (
  'abel agnesi ampere anning archimedes avogadro babbage bardeen bell bernoulli bohr boltzmann bose boyle brahe ' +
  'burnell carnot carson cauchy celsius charpentier clausius curie dalton darwin davy dewar dijkstra dirac doudna ' +
  'dubinsky edison einstein elion erdos euclid euler faraday fermat fermi feynman fourier franklin galileo galois ' +
  'gauss germain gibbs godel goodall guericke hamilton hawking heisenberg hertz hilbert hodgkin hooke hopper huygens ' +
  'hypatia jackson jemison johnson joule kapitza kelvin kepler khorana kovalevskaya lagrange lamarr lamport laplace ' +
  'leavitt leibniz lichterman linde liskov lorentz lovelace mach maxwell mayer mccarthy mcclintock meitner mendel ' +
  'mendeleev mirzakhani moore morse nernst neumann newton nightingale nobel noether ohm onnes oppenheimer pascal ' +
  'pasteur payne perlman planck poincare pauli raman ramanujan ride ritchie rumford rutherford saha sammet shannon ' +
  'sinoussi snyder spence stallman stefan swirles tesla thompson torricelli turing volta watt wien wilbur wilson wing wu yalow'
).split(' ')

/** A free name of the form adjective_surname; a digit is added when luck runs out. */
export function randomName(taken: (name: string) => boolean): string {
  for (let attempt = 0; ; attempt += 1) {
    const base = `${pick(ADJECTIVES)}_${pick(SURNAMES)}`
    const name = attempt < 6 ? base : `${base}${randomInt(10 ** Math.min(attempt - 4, 9))}`
    if (!taken(name)) return name
  }
}

function pick(words: readonly string[]): string {
  return words[randomInt(words.length)] ?? 'dewar'
}

/** Docker's clients show these words when a name is in use. */
export function nameConflict(name: string, owner: string): DewarError {
  return new DewarError(
    'conflict',
    `Conflict. The container name "/${name}" is already in use by container "${owner}". ` +
      'You have to remove (or rename) that container to be able to reuse that name.',
  )
}
