import { type Level, LEVELS } from '../process/log.ts';
import { nearestWord } from '../process/nearest-word.ts';
import { INJECTION, PREFIX } from './names.ts';
import { readCidrs } from './options/cidrs.ts';
import { beginning, excerpt } from './options/excerpt.ts';
import { readImage } from './options/image.ts';
import { readMessageTaker } from './options/message-taker.ts';
import { readPorts } from './options/ports.ts';
import { type Quantity, readCpu, readMemory } from './options/quantity.ts';
import { misread, read, type Reading } from './options/reading.ts';
import { readUpstreams, type Upstream } from './options/upstreams.ts';
import type { TextMap } from './pod.ts';

/** What a pod asks of its proxy by annotations; what it leaves out is undefined. */
export interface Options {
  readonly excludeInboundPorts?: readonly string[];
  readonly excludeInboundCidrs?: readonly string[];
  readonly excludeOutboundPorts?: readonly string[];
  readonly excludeOutboundCidrs?: readonly string[];
  readonly upstreams?: readonly Upstream[];
  /** An address of HTTP. */
  readonly deliverMessagesTo?: string;
  readonly logLevel?: Level;
  readonly image?: string;
  readonly cpuRequest?: Quantity;
  readonly cpuLimit?: Quantity;
  readonly memoryRequest?: Quantity;
  readonly memoryLimit?: Quantity;
  readonly requireControlPlane?: boolean;
  readonly interceptDns?: boolean;
}

export interface ReadOptions {
  readonly options: Options;
  /** Sentences that name the annotation, what is wrong with it and what to write instead. */
  readonly mistakes: readonly string[];
  /** Sentences about what does nothing, and was meant to do something perhaps. */
  readonly warnings: readonly string[];
}

interface Annotation<T = unknown> {
  readonly option: keyof Options;
  readonly read: (value: string) => Reading<T>;
}

/** By annotation. A value that is empty, as templates leave it, is as good as none. */
const ANNOTATIONS: Readonly<Record<string, Annotation>> = {
  [`${PREFIX}exclude-inbound-ports`]: { option: 'excludeInboundPorts', read: readPorts },
  [`${PREFIX}exclude-inbound-cidrs`]: { option: 'excludeInboundCidrs', read: readCidrs },
  [`${PREFIX}exclude-outbound-ports`]: { option: 'excludeOutboundPorts', read: readPorts },
  [`${PREFIX}exclude-outbound-cidrs`]: { option: 'excludeOutboundCidrs', read: readCidrs },
  [`${PREFIX}upstreams`]: { option: 'upstreams', read: readUpstreams },
  [`${PREFIX}deliver-messages-to`]: { option: 'deliverMessagesTo', read: readMessageTaker },
  [`${PREFIX}log-level`]: { option: 'logLevel', read: oneOf(LEVELS) },
  [`${PREFIX}proxy-image`]: { option: 'image', read: readImage },
  [`${PREFIX}proxy-cpu-request`]: { option: 'cpuRequest', read: readCpu },
  [`${PREFIX}proxy-cpu-limit`]: { option: 'cpuLimit', read: readCpu },
  [`${PREFIX}proxy-memory-request`]: { option: 'memoryRequest', read: readMemory },
  [`${PREFIX}proxy-memory-limit`]: { option: 'memoryLimit', read: readMemory },
  [`${PREFIX}require-control-plane`]: { option: 'requireControlPlane', read: readBoolean },
  [`${PREFIX}intercept-dns`]: { option: 'interceptDns', read: readBoolean },
};

/** Without the prefix, which is most of a name and says nothing about what was meant. */
const KNOWN = [...Object.keys(ANNOTATIONS).map((name) => name.slice(PREFIX.length)), INJECTION];

/** How many unknown annotations are told: a pod may have thousands. */
const MOST_UNKNOWN = 10;

/**
 * Of the values of all annotations that options are read from: what they become has to fit into one environment
 * variable, for which Linux has 128 KiB.
 */
const MOST_BYTES = 32 * 1024;

const NOTHING_ASKED: ReadOptions = { options: {}, mistakes: [], warnings: [] };

/** Pure. A pod without annotations of ours always gets the same value. */
export function readOptions(annotations: TextMap | null | undefined): ReadOptions {
  const ours: string[] = [];
  for (const name in annotations) {
    if (name.startsWith(PREFIX)) ours.push(name);
  }
  return ours.length === 0 || !annotations ? NOTHING_ASKED : readOurs(ours, annotations);
}

function readOurs(names: readonly string[], annotations: TextMap): ReadOptions {
  const options: Record<string, unknown> = {};
  const mistakes: string[] = [];
  const unknown: string[] = [];
  let bytes = 0;
  for (const name of names) {
    const annotation = isOption(name) ? ANNOTATIONS[name] : undefined;
    const value = annotations[name]?.trim() ?? '';
    if (annotation === undefined) unknown.push(name);
    else if (value !== '') {
      bytes += Buffer.byteLength(value);
      const reading = annotation.read(value);
      if (reading.ok) options[annotation.option] = reading.value;
      else mistakes.push(`annotation ${name} is ${excerpt(value)}: ${reading.what}`);
    }
  }
  if (bytes > MOST_BYTES) mistakes.push(tooLong(bytes));
  return { options, mistakes: [...mistakes, ...contradictions(options)], warnings: areUnknown(unknown) };
}

function tooLong(bytes: number): string {
  return (
    `annotations ${PREFIX}… have ${bytes} bytes together: the proxy takes ${MOST_BYTES}; merge ports into ranges and ` +
    'networks into larger ones'
  );
}

/** Whether options are read from an annotation of this name. */
export function isOption(name: string): boolean {
  return Object.hasOwn(ANNOTATIONS, name);
}

function areUnknown(names: readonly string[]): string[] {
  const more = names.length - MOST_UNKNOWN;
  const told = names.slice(0, MOST_UNKNOWN).map(isUnknown);
  return more > 0 ? [...told, `${more} more annotations ${PREFIX}… are unknown and do nothing`] : told;
}

function isUnknown(name: string): string {
  const meant = nearestWord(name.slice(PREFIX.length), KNOWN);
  const unknown = `annotation ${beginning(name)} is unknown and does nothing`;
  if (meant === undefined) return unknown;
  return `${unknown}: did you mean ${meant === INJECTION ? INJECTION : PREFIX + meant}?`;
}

/** What each annotation says may be right, and both together not. */
function contradictions({ cpuRequest, cpuLimit, memoryRequest, memoryLimit }: Options): string[] {
  return [exceeds('cpu', cpuRequest, cpuLimit), exceeds('memory', memoryRequest, memoryLimit)].flat();
}

function exceeds(resource: string, request: Quantity | undefined, limit: Quantity | undefined): string[] {
  if (request === undefined || limit === undefined || request.nanos <= limit.nanos) return [];
  const name = `${PREFIX}proxy-${resource}`;
  return [
    `annotation ${name}-request is ${excerpt(request.text)}: it is more than ${name}-limit, ${limit.text}: ` +
      'lower the request or raise the limit',
  ];
}

function oneOf<const Choice extends string>(choices: readonly Choice[]): (value: string) => Reading<Choice> {
  return (value) => {
    const choice = choices.find((candidate) => candidate === value);
    return choice === undefined ? misread(`use one of ${choices.join(', ')}`) : read(choice);
  };
}

function readBoolean(value: string): Reading<boolean> {
  return value === 'true' || value === 'false' ? read(value === 'true') : misread('use "true" or "false"');
}
