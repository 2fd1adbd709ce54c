/** Traps for the engine itself: descriptors that it may carry inside, images and paths that lead outside. */
import type { Probe } from '../../probe.ts'
import { copyRaces } from './copy-races.ts'
import { descriptors } from './descriptors.ts'
import { imageTraversal } from './image-links.ts'
import { sharedFolder } from './read-only-share.ts'

export const ENGINE_TRAPS: readonly Probe[] = [descriptors, imageTraversal, copyRaces, sharedFolder]
