import type { Logger } from '../process/log.ts';
import { lingeringBeside } from './message/limits.ts';

/** A carried connection has a socket on either side. */
const PER_CONNECTION = 2;

/** What is left for listeners, the control plane, scrapes, files and the runtime itself. */
const RESERVED = 64;

/** One descriptor in so many takes messages, one more passes them on, and one more may be with the workload. */
const SHARE_OF_MESSAGES = 16;

const MOST_DELIVERIES = 64;

/** How many connections can be open for messages with that many descriptors; at least one. */
export function messageConnectionsWithin(descriptors: number): number {
  return Math.max(1, Math.floor(descriptors / SHARE_OF_MESSAGES));
}

/** How many messages can be with the workload at one time with that many descriptors; at least one. */
export function deliveriesWithin(descriptors: number): number {
  return Math.min(MOST_DELIVERIES, messageConnectionsWithin(descriptors));
}

/** What the connections of a sidecar are for, besides messages that are taken and passed on. */
export interface Uses {
  /** In which connections are carried, or flows. */
  readonly directions: number;
  /** Messages are given to the workload. */
  readonly delivers: boolean;
}

/** How many connections can be carried in each direction with that many descriptors; at least one. */
export function connectionsWithin(descriptors: number, { directions, delivers }: Uses): number {
  const messages = messageConnectionsWithin(descriptors);
  const deliveries = delivers ? deliveriesWithin(descriptors) : 0;
  const left = descriptors - RESERVED - 2 * messages - lingeringBeside(messages) - deliveries;
  return Math.max(1, Math.floor(left / PER_CONNECTION / directions));
}

/** A limit of the settings, beside what there are descriptors for. */
export interface Granted {
  /** In words, for people. */
  readonly what: string;
  /** The setting's name. */
  readonly field: string;
  readonly allowed: number;
  readonly fitting: number;
  readonly openFiles: number;
}

/** The lower one. The log says so where that is less than was allowed. */
export function withinDescriptors(
  log: Logger,
  { what, field, allowed, fitting, openFiles }: Granted,
): number {
  if (fitting >= allowed) return allowed;
  log.info(`Fewer ${what} fit than allowed: raise the limit of open files (ulimit -n)`, {
    [field]: fitting,
    allowed,
    openFiles,
  });
  return fitting;
}
