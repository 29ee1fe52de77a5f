import type { Options } from './options.ts';
import { patchOf } from './patch.ts';
import type { Pod } from './pod.ts';
import { proxyContainers, type ProxySettings } from './sidecar-containers.ts';

/** Turns an eligible pod into its patch: a JSON Patch in base64. */
export type Injection = (pod: Pod, options: Options) => string;

/**
 * Most pods ask for nothing, and their patches differ by what of `initContainers`, `volumes` and `labels` is
 * there already: each of these is made once.
 */
export function createInjection(settings: ProxySettings): Injection {
  const made = new Map<string, string>();
  return (pod, options) => {
    if (Object.keys(options).length > 0) return encodedPatch(pod, options, settings);
    const shape = shapeOf(pod);
    const known = made.get(shape);
    if (known !== undefined) return known;
    const patch = encodedPatch(pod, options, settings);
    made.set(shape, patch);
    return patch;
  };
}

function encodedPatch(pod: Pod, options: Options, settings: ProxySettings): string {
  const containers = proxyContainers(options, settings, Boolean(pod.spec.resources));
  return Buffer.from(JSON.stringify(patchOf(pod, containers))).toString('base64');
}

/** All that a patch depends on but for the options. */
function shapeOf({ metadata, spec }: Pod): string {
  return [spec.initContainers, spec.volumes, spec.resources, metadata.labels]
    .map((part) => (part ? '1' : '0'))
    .join('');
}
