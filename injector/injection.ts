import { isOption, type Options } from './options.ts';
import { type Operation, patchOf, remove } from './patch.ts';
import type { Pod, TextMap } from './pod.ts';
import { isInjected, type Remains, remainsOf } from './remains.ts';
import { type ProxyContainers, proxyContainers, type ProxySettings } from './sidecar-containers.ts';

/**
 * Turns an eligible pod and the options in its annotations into its patch: a JSON Patch in base64. Undefined where the
 * pod has all of it already.
 */
export type Injection = (pod: Pod, options: Options) => string | undefined;

/** Patches that are kept, at some 5 KB each; whoever makes up others makes them anew. */
const MOST_KEPT = 1_000;
/** In characters. A patch is some times as long as what it was asked for with: long ones are made each time. */
const LONGEST_KEY = 1_024;

/**
 * The pods of one Deployment get one patch, and so do most others: it depends on our annotations and on what of
 * `initContainers`, `volumes` and `labels` is there already. Each is made once.
 */
export function createInjection(settings: ProxySettings): Injection {
  const made = new Map<string, string>();
  return (pod, options) => {
    const remains = remainsOf(pod);
    if (remains !== undefined) return repairOf(pod, remains, containersFor(pod, options, settings));
    const key = shapeOf(pod) + askedBy(pod.metadata.annotations);
    const known = made.get(key);
    if (known !== undefined) return known;
    const patch = encoded(patchOf(pod, containersFor(pod, options, settings)));
    if (key.length > LONGEST_KEY) return patch;
    if (made.size >= MOST_KEPT) made.clear();
    made.set(key, patch);
    return patch;
  };
}

/** Takes out what is left of an earlier injection, and adds all of it anew. */
function repairOf(pod: Pod, remains: Remains, containers: ProxyContainers): string | undefined {
  if (isInjected(pod, remains, containers)) return undefined;
  return encoded([...remains.paths.map(remove), ...patchOf(remains.rest, containers)]);
}

function containersFor(pod: Pod, options: Options, settings: ProxySettings): ProxyContainers {
  return proxyContainers(options, settings, Boolean(pod.spec.resources));
}

function encoded(operations: readonly Operation[]): string {
  return Buffer.from(JSON.stringify(operations)).toString('base64');
}

function shapeOf({ metadata, spec }: Pod): string {
  return [spec.initContainers, spec.volumes, spec.resources, metadata.labels]
    .map((part) => (part ? '1' : '0'))
    .join('');
}

/** All annotations that options are read from. */
function askedBy(annotations: TextMap | null | undefined): string {
  const ours: (string | undefined)[] = [];
  for (const name in annotations) {
    if (isOption(name)) ours.push(name, annotations?.[name]);
  }
  return ours.length === 0 ? '' : JSON.stringify(ours);
}
