import type { Difference } from './difference.ts'

const NEWER = 'dockerd 20.10 has other words; these are those of newer ones'

/** Builds: what is meant to differ from dockerd's classic builder. */
export const BUILD_DIFFERENCES: readonly Difference[] = [
  {
    row: 'build: HEALTHCHECK NONE, and one over another',
    part: 'stdout',
    ours: /"Test": \[\s+"NONE"\s+\]\s+}/,
    reason:
      'what a HEALTHCHECK leaves out has its default, as the Dockerfile reference and BuildKit have it; dockerd’s classic builder takes it from the base image',
  },
  ...(
    [
      ['code', /^0$/],
      ['stdout', /Successfully built/],
      ['stderr', /^$/],
    ] as const
  ).flatMap(([part, ours]): Difference[] => [
    {
      row: 'build: --target by number',
      part,
      ours,
      reason: 'a number names a stage, as it does for BuildKit and for COPY --from',
    },
    {
      row: 'build: COPY --chmod',
      part,
      ours,
      reason: 'served; dockerd’s classic builder refers to BuildKit',
    },
  ]),
  {
    row: 'build: --security-opt',
    part: 'stderr',
    ours: /security options are not supported on linux/,
    reason: NEWER,
  },
  {
    row: 'build: --isolation of Windows, also where nothing is run',
    part: 'stderr',
    ours: /invalid isolation: hyperv \(use one of namespaces/,
    reason: 'the message ends with the remedy',
  },
  {
    row: 'build: a variable that is not closed',
    part: 'stderr',
    ours: /failed to process "\$\{B": syntax error: missing '}'/,
    reason: NEWER,
  },
  {
    row: 'build: a step whose program is not there',
    part: 'stderr',
    ours: /unable to start container process: error during container init: exec: "\/nosuch"/,
    reason: NEWER,
  },
  {
    row: 'build: ADD of a damaged archive',
    part: 'stderr',
    ours: /Decompressing failed: the gzip data is damaged: unexpected end of file \(fetch it again\)/,
    reason: 'the message ends with the remedy',
  },
]
