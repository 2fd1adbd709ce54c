// Writes src/kernel/syscalls-<arch>.ts from the kernel's own user-space headers.
//
//   node scripts/syscall-tables.mjs [FOLDER]
//
// FOLDER holds the unpacked Debian packages linux-libc-dev-arm64-cross and linux-libc-dev-armhf-cross
// (apt-get download …; dpkg -x … FOLDER); the x86 tables come from /usr/include of this machine. The numbers
// are facts of the kernel's ABI and never change; calls newer than those headers are listed below by hand
// from the kernel's scripts/syscall.tbl, where all architectures share one number since 5.1.
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'

const folder = process.argv[2] ?? '/tmp/dwt-hdr/x'

const NEWER = {
  451: 'cachestat', // 6.5
  452: 'fchmodat2', // 6.6
  453: 'map_shadow_stack', // 6.6
  454: 'futex_wake', // 6.7
  455: 'futex_wait', // 6.7
  456: 'futex_requeue', // 6.7
  457: 'statmount', // 6.8
  458: 'listmount', // 6.8
  459: 'lsm_get_self_attr', // 6.8
  460: 'lsm_set_self_attr', // 6.8
  461: 'lsm_list_modules', // 6.8
  462: 'mseal', // 6.10
  463: 'setxattrat', // 6.13
  464: 'getxattrat', // 6.13
  465: 'listxattrat', // 6.13
  466: 'removexattrat', // 6.13
  467: 'open_tree_attr', // 6.15
  468: 'file_getattr', // 6.17
  469: 'file_setattr', // 6.17
}
const X86_64_NEWER = { 335: 'uretprobe', 336: 'uprobe' } // 6.11, 6.18

const TABLES = [
  {
    arch: 'x86_64',
    target: 'x86_64-linux-gnu',
    include: ['/usr/include/x86_64-linux-gnu', '/usr/include'],
    extra: X86_64_NEWER,
  },
  { arch: 'i386', target: 'i386-linux-gnu', include: ['/usr/include/x86_64-linux-gnu', '/usr/include'] },
  {
    arch: 'x32',
    target: 'x86_64-linux-gnux32',
    include: ['/usr/include/x86_64-linux-gnu', '/usr/include'],
    base: 0x40000000,
  },
  { arch: 'arm64', target: 'aarch64-linux-gnu', include: [`${folder}/usr/aarch64-linux-gnu/include`] },
  { arch: 'arm', target: 'arm-linux-gnueabihf', include: [`${folder}/usr/arm-linux-gnueabihf/include`] },
]

const NOT_CALLS = new Set([
  'syscalls',
  'arch_specific_syscall',
  'SYSCALL_BASE',
  'OABI_SYSCALL_BASE',
  'SYSCALL_MASK',
  'BASE',
])

function macros({ target, include }) {
  const args = ['-target', target, '-nostdinc', ...include.flatMap((d) => ['-isystem', d]), '-E', '-dM', '-']
  const text = execFileSync('clang', args, { input: '#include <asm/unistd.h>\n', encoding: 'utf8' })
  return new Map([...text.matchAll(/^#define (\w+) (.+)$/gm)].map((m) => [m[1], m[2]]))
}

/** Numbers, names and sums of them are all these headers use. */
function valueOf(all, expression) {
  return expression
    .replace(/[()]/g, '')
    .split('+')
    .reduce((sum, word) => {
      const token = word.trim()
      return sum + (/^(0x)?[0-9a-f]+$/i.test(token) ? Number(token) : valueOf(all, all.get(token)))
    }, 0)
}

function tableOf(spec) {
  const all = macros(spec)
  const calls = []
  for (const [macro, expression] of all) {
    const name = /^__(?:ARM_)?NR_(\w+)$/.exec(macro)?.[1]
    if (name !== undefined && !NOT_CALLS.has(name)) calls.push([valueOf(all, expression), name])
  }
  for (const [nr, name] of Object.entries({ ...NEWER, ...spec.extra })) {
    calls.push([Number(nr) + (spec.base ?? 0), name])
  }
  return calls.sort((a, b) => a[0] - b[0] || (a[1] < b[1] ? -1 : 1))
}

/** A number sets the counter, a name takes it and counts on; `=` before a name: the same number again. */
function compact(calls) {
  const words = []
  let next = -1
  for (const [nr, name] of calls) {
    if (nr === next - 1) words.push(`=${name}`)
    else {
      if (nr !== next) words.push(String(nr))
      words.push(name)
    }
    next = nr + 1
  }
  return words
}

function wrap(words) {
  const lines = ['']
  for (const word of words) {
    const last = lines.length - 1
    if (lines[last].length + word.length > 100) lines.push(word)
    else lines[last] = `${lines[last]} ${word}`.trim()
  }
  return lines
}

for (const spec of TABLES) {
  const calls = tableOf(spec)
  if (calls.length < 300)
    throw new Error(
      `Reading the headers for ${spec.arch} gave only ${calls.length} calls (is ${folder} there?)`,
    )
  writeFileSync(
    `src/kernel/syscalls-${spec.arch}.ts`,
    `/**
 * System call numbers of ${spec.arch}: ${calls.length} facts of the kernel's ABI, written by
 * scripts/syscall-tables.mjs from the headers of Linux 6.1 and, above 450, from the kernel's syscall.tbl up
 * to 6.18. A number sets the counter, a name takes it and counts on, \`=\` is a second name of the same
 * number.
 */
export default \`
${wrap(compact(calls)).join('\n')}
\`
`,
  )
  console.log(spec.arch, calls.length)
}
