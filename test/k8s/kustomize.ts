import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments, stringify } from 'yaml';
import { binaryPath } from '../cluster/binaries.ts';
import type { Manifest } from './manifest.ts';

const K8S = join(import.meta.dirname, '..', '..', 'k8s');

/** What can be applied, below `k8s/`. */
export const KUSTOMIZATIONS = ['.', 'overlays/ha', 'overlays/fail-closed', 'overlays/opt-in'] as const;
export type Kustomization = (typeof KUSTOMIZATIONS)[number];

export function directoryOf(kustomization: Kustomization): string {
  return join(K8S, kustomization);
}

/** What `kubectl apply -k` would send, in that order. Rejects with kubectl's complaint. */
export async function build(kustomization: Kustomization): Promise<Manifest[]> {
  return buildDirectory(directoryOf(kustomization));
}

/** The same with more said, as users do in a kustomization of their own. */
export async function buildOn(kustomization: Kustomization, more: object): Promise<Manifest[]> {
  const own = mkdtempSync(join(tmpdir(), 'cortexflow-kustomization-'));
  try {
    const resources = [relative(own, directoryOf(kustomization))];
    writeFileSync(join(own, 'kustomization.yaml'), stringify({ resources, ...more }));
    return await buildDirectory(own);
  } finally {
    rmSync(own, { recursive: true });
  }
}

async function buildDirectory(directory: string): Promise<Manifest[]> {
  const { stdout } = await promisify(execFile)(binaryPath('kubectl'), ['kustomize', directory]);
  return parseAllDocuments(stdout).map((document) => document.toJS() as Manifest);
}
