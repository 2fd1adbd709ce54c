/** The engine's `images`: the image service, and commit, which needs containers too. */
import { inspectDistribution } from '../registry/distribution.ts'
import { DEFAULT_REGISTRY_OPTIONS, type RegistryOptions } from '../registry/endpoints.ts'
import { searchRegistry } from '../registry/search.ts'
import { parseReference } from '../store/reference.ts'
import { commitContainer, type Committer } from './commit.ts'
import type { ImageService } from './images.ts'
import type { Settings } from './options.ts'
import type { Images } from './types.ts'

export function imagesApi(service: ImageService, committer: Committer, registry: RegistryOptions): Images {
  return {
    distribution: (ref, auth, signal) => inspectDistribution(parseReference(ref), auth, registry, signal),
    search: (term, { limit, auth, signal }) =>
      searchRegistry(term, { limit, credentials: auth, registry, signal }),
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

export function registryOptions({ registryMirrors, insecureRegistries }: Settings): RegistryOptions {
  return { ...DEFAULT_REGISTRY_OPTIONS, mirrors: registryMirrors, insecure: insecureRegistries }
}
