/** The engine's `images`: the image service, and commit, which needs containers too. */
import { commitContainer, type Committer } from './commit.ts'
import type { ImageService } from './images.ts'
import type { Images } from './types.ts'

export function imagesApi(service: ImageService, committer: Committer): Images {
  return {
    list: (options) => service.list(options),
    inspect: (ref) => service.inspect(ref),
    history: (ref) => service.history(ref),
    pull: (ref, options) => service.pull(ref, options),
    push: (ref, options) => service.push(ref, options),
    tag: (ref, target) => service.tag(ref, target),
    remove: (ref, options) => service.remove(ref, options),
    prune: (filters) => service.prune(filters),
    save: (refs) => service.save(refs),
    load: (tar, onProgress) => service.load(tar, onProgress),
    import: (tar, options) => service.import(tar, options),
    commit: (container, options) => commitContainer(committer, container, options),
  }
}
