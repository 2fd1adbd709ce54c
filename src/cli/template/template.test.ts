import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compileTemplate, TemplateError } from './template.ts'

const DATA = {
  Name: 'web',
  Tags: ['a', 'b'],
  Labels: { k: 'v', z: 'y' },
  State: { Running: true, Pid: 42 },
  Nothing: null,
  Empty: {},
}

/** Each pair was checked with docker 28.2.2's `inspect --format`. */
const SHOWN: readonly (readonly [string, string])[] = [
  ['{{.Name}}', 'web'],
  ['{{.Tags}} {{.Labels}}', '[a b] map[k:v z:y]'],
  ['{{json .Tags}}{{json .Labels}}', '["a","b"]{"k":"v","z":"y"}'],
  ['{{range .Tags}}<{{.}}>{{end}}', '<a><b>'],
  ['{{range $i, $t := .Tags}}{{$i}}{{$t}}{{end}}', '0a1b'],
  ['{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}', 'k=v;z=y;'],
  ['{{range .Nothing}}x{{else}}none{{end}}', 'none'],
  ['{{range .Tags}}{{if eq . "b"}}{{break}}{{end}}{{.}}{{end}}', 'a'],
  ['{{if .State.Running}}up{{else}}down{{end}}', 'up'],
  ['{{if .Nothing}}1{{else if .Empty}}2{{else}}3{{end}}', '3'],
  ['{{with .State}}{{.Pid}} {{$.Name}}{{end}}', '42 web'],
  ['{{index .Labels "k"}}{{index .Tags 1}}[{{index .Labels "none"}}]', 'vb[]'],
  ['{{(index .Tags 0)}} {{len .Tags}} {{len .Name}}', 'a 2 3'],
  ['{{.Name | upper | printf "%s!"}}', 'WEB!'],
  ['{{join .Tags ", "}} {{slice .Name 0 2}} {{truncate .Name 1}} {{title .Name}}', 'a, b we w Web'],
  [
    '{{printf "%-5s|%5d|%q|%v|%t|%.2f" .Name .State.Pid .Name .Tags .State.Running 1.5}}',
    'web  |   42|"web"|[a b]|true|1.50',
  ],
  ['a {{- .Name -}} b', 'awebb'],
  ['{{/* no */}}{{`raw`}}{{"q\\tx"}}', 'rawq\tx'],
  ['{{and .Name .Nothing}} {{or .Nothing "x"}} {{not .Nothing}}', '<no value> x true'],
  ['{{eq .Name "a" "web"}} {{ne 1 2}} {{lt 1 2}} {{ge "b" "a"}}', 'true true true true'],
  ['{{$x := .Name}}{{$x = "y"}}{{$x}}', 'y'],
  ['{{print 1 2 "x" 3}}{{println "a" 1}}', '1 2x3a 1\n'],
  ['{{.Nothing}}', '<no value>'],
]

for (const [source, expected] of SHOWN) {
  test(`compileTemplate renders ${source}`, () => {
    assert.equal(compileTemplate(source).render(DATA), expected)
  })
}

const REFUSED: readonly (readonly [string, string])[] = [
  ['{{.Name', 'template: :1: unclosed action'],
  ['{{foo}}', 'template: :1: function "foo" not defined'],
  ['{{end}}', 'template: :1: unexpected {{end}}'],
  ['{{if}}x{{end}}', 'template: :1: missing value for if'],
  ['{{range .Tags}}', 'template: :1: unexpected EOF'],
  ['{{$x}}', 'template: :1: undefined variable "$x"'],
  ['{{break}}', 'template: :1: {{break}} outside {{range}}'],
  ['{{.Nope}}', 'template: :1:2: executing "" at <.Nope>: map has no entry for key "Nope"'],
  ['{{.State.Nope.X}}', 'template: :1:8: executing "" at <.State.Nope.X>: map has no entry for key "Nope"'],
  [
    '{{index .Tags 9}}',
    'template: :1:2: executing "" at <index .Tags 9>: error calling index: index out of range: 9',
  ],
  ['{{.Name.X}}', 'template: :1:7: executing "" at <.Name.X>: can\'t evaluate field X in type string'],
]

for (const [source, message] of REFUSED) {
  test(`compileTemplate refuses ${source} in Go's words`, () => {
    assert.throws(() => compileTemplate(source).render(DATA), { name: 'TemplateError', message })
  })
}

test('compileTemplate answers any text with output or a TemplateError', () => {
  const piece = fc.constantFrom(
    '{{',
    '}}',
    '.Name',
    'range ',
    'if ',
    'end',
    'else',
    ' ',
    '|',
    '(',
    ')',
    '$x',
    ':=',
    '"a"',
    '1',
    'json ',
    '-',
    '/*',
    '*/',
    'x',
    '.',
    ',',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      try {
        compileTemplate(pieces.join('')).render(DATA)
      } catch (error) {
        assert.ok(error instanceof TemplateError, `${pieces.join('')}: ${String(error)}`)
      }
    }),
    { numRuns: 2000 },
  )
})
