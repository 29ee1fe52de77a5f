import type { Quantity } from './options/quantity.ts';
import type { Options } from './options.ts';

/** What the proxy's containers ask for where the pod says nothing. Undefined: nothing. */
export interface ResourceDefaults {
  readonly cpuRequest?: Quantity | undefined;
  readonly cpuLimit?: Quantity | undefined;
  readonly memoryRequest?: Quantity | undefined;
  readonly memoryLimit?: Quantity | undefined;
}

export interface Resources {
  readonly requests: Readonly<Record<string, string>>;
  readonly limits: Readonly<Record<string, string>>;
}

/** `resources` of a container. A default gives way to what the pod asks for, where both cannot be. */
export function resourcesOf(options: Options, defaults: ResourceDefaults): Resources {
  const cpu = settle(
    { request: options.cpuRequest, limit: options.cpuLimit },
    { request: defaults.cpuRequest, limit: defaults.cpuLimit },
  );
  const memory = settle(
    { request: options.memoryRequest, limit: options.memoryLimit },
    { request: defaults.memoryRequest, limit: defaults.memoryLimit },
  );
  return {
    requests: given({ cpu: cpu.request, memory: memory.request }),
    limits: given({ cpu: cpu.limit, memory: memory.limit }),
  };
}

interface Bounds {
  readonly request: Quantity | undefined;
  readonly limit: Quantity | undefined;
}

function settle(asked: Bounds, defaults: Bounds): Bounds {
  const request = asked.request ?? defaults.request;
  const limit = asked.limit ?? defaults.limit;
  if (request === undefined || limit === undefined || request.nanos <= limit.nanos) return { request, limit };
  return asked.limit === undefined ? { request, limit: request } : { request: limit, limit };
}

function given(amounts: Readonly<Record<string, Quantity | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(amounts).flatMap(([name, amount]) => (amount === undefined ? [] : [[name, amount.text]])),
  );
}
