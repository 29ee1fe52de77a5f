import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { binaryPath } from '../cluster/binaries.ts';
import type { Manifest } from './manifest.ts';

const K8S = join(import.meta.dirname, '..', '..', 'k8s');

/** What can be applied, below `k8s/`. */
export const KUSTOMIZATIONS = ['.', 'overlays/ha', 'overlays/fail-closed', 'overlays/opt-in'] as const;
export type Kustomization = (typeof KUSTOMIZATIONS)[number];

export function directoryOf(kustomization: Kustomization): string {
  return join(K8S, kustomization);
}

const built = new Map<Kustomization, Promise<Manifest[]>>();

/** What `kubectl apply -k` would send, in that order; once for each process. Rejects with kubectl's complaint. */
export function build(kustomization: Kustomization): Promise<readonly Manifest[]> {
  const manifests = built.get(kustomization) ?? buildDirectory(directoryOf(kustomization));
  built.set(kustomization, manifests);
  return manifests;
}

/** What comes of a directory of users, as docs/kubernetes.md has them: `kustomization.yaml` and what it names. */
export async function buildFiles(files: Readonly<Record<string, string>>): Promise<Manifest[]> {
  const parent = mkdtempSync(join(tmpdir(), 'cortexflow-kustomization-'));
  try {
    symlinkSync(dirname(K8S), join(parent, 'cortexflow'));
    const own = join(parent, 'my-mesh');
    mkdirSync(own);
    for (const [name, text] of Object.entries(files)) writeFileSync(join(own, name), text);
    return await buildDirectory(own);
  } finally {
    rmSync(parent, { recursive: true });
  }
}

async function buildDirectory(directory: string): Promise<Manifest[]> {
  const { stdout } = await promisify(execFile)(binaryPath('kubectl'), ['kustomize', directory]);
  return parseAllDocuments(stdout).map((document) => document.toJS() as Manifest);
}
