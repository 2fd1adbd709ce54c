import { join } from 'node:path'
import { callApi } from '../harness/call-api.ts'
import { busyboxTree } from '../harness/image-recipes.ts'
import { networkNamespace } from '../harness/network-namespace.ts'
import { tarOf } from '../harness/oci-layout.ts'
import { missing } from '../harness/requirement.ts'
import type { Scope } from '../harness/scope.ts'
import type { Server } from '../harness/server.ts'
import { startPodman } from '../harness/start-podman.ts'
import { startSide } from '../harness/start-side.ts'
import { tempFolder } from '../harness/temp-folder.ts'
import { ApiClient } from './api-client.ts'
import type { Absence } from './sample.ts'

/** An engine with the busybox image, reached through its API. */
export interface Subject {
  readonly name: 'dewar' | 'dockerd' | 'podman'
  readonly api: ApiClient
  readonly socket: string
  /** Set for those the memory of which is measured. */
  readonly server?: Server
}

const IMAGE = '127.0.0.1:5000/busybox'

/** Starts each engine that is there; who cannot be started is told in `absences`. */
export async function startSubjects(scope: Scope, absences: Absence[]): Promise<Subject[]> {
  const subjects: Subject[] = []
  for (const name of ['dewar', 'dockerd', 'podman'] as const) {
    const reason = missing(name === 'dewar' ? 'docker' : name, 'docker-registry', 'skopeo')
    try {
      if (reason !== false) throw new Error(reason)
      subjects.push(await startSubject(name, scope))
    } catch (error) {
      absences.push({
        group: 'engines',
        subject: name,
        reason: String(error).split('\n').slice(0, 3).join(' '),
      })
    }
  }
  return subjects
}

async function startSubject(name: Subject['name'], scope: Scope): Promise<Subject> {
  if (name === 'podman') return startPodmanSubject(scope)
  const { server } = await startSide(name, scope)
  await server.docker('pull', '--quiet', IMAGE)
  await server.docker('tag', IMAGE, 'busybox')
  return { name, server, socket: server.socket, api: clientOf(server.socket, scope) }
}

/** Podman loads the image from an archive: it has no registry of its own here. */
async function startPodmanSubject(scope: Scope): Promise<Subject> {
  const { path } = scope.use(await tempFolder('podman'))
  const network = scope.use(await networkNamespace(join(path, 'netns.log')))
  const podman = scope.use(await startPodman(join(path, 'podman'), network))
  const api = clientOf(podman.socket, scope)
  await loadBusybox(podman.socket)
  return { name: 'podman', api, socket: podman.socket }
}

async function loadBusybox(socket: string): Promise<void> {
  const tar = await tarOf(busyboxTree())
  const path = '/v1.41/images/create?fromSrc=-&repo=busybox&tag=latest'
  const answer = await callApi(socket, 'POST', path, tar, {
    headers: { 'Content-Type': 'application/x-tar' },
  })
  if (answer.status !== 200) throw new Error(`loading busybox into podman: ${answer.status} ${answer.text}`)
}

function clientOf(socket: string, scope: Scope): ApiClient {
  const api = new ApiClient(socket)
  scope.defer(async () => api.close())
  return api
}
