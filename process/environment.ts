import { isIPv4, isIPv6 } from 'node:net';

/** A host and a port to listen on or to connect to. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/**
 * Reads settings from the environment, through a lookup so that a test can give its own. A mistake never
 * throws: it is noted in `problems`, with the variable's name and what to write instead, and the fallback
 * stands in so that all mistakes come to light at once.
 */
export class Environment {
  readonly problems: string[] = [];
  readonly #lookup: (name: string) => string | undefined;

  constructor(lookup: (name: string) => string | undefined) {
    this.#lookup = lookup;
  }

  /** Unset and empty are the same. */
  string(name: string, fallback: string): string {
    return this.#lookup(name)?.trim() || fallback;
  }

  choice<const Choice extends string>(name: string, choices: readonly Choice[], fallback: Choice): Choice {
    const value = this.string(name, fallback);
    const choice = choices.find((candidate) => candidate === value);
    return choice ?? this.#problem(name, value, `use one of ${choices.join(', ')}`, fallback);
  }

  integer(name: string, range: { min: number; max: number }, fallback: number): number {
    const value = this.string(name, String(fallback));
    const number = /^-?\d+$/.test(value) ? Number(value) : Number.NaN;
    if (number >= range.min && number <= range.max) return number;
    return this.#problem(name, value, `use a whole number from ${range.min} to ${range.max}`, fallback);
  }

  address(name: string, fallback: string): Address {
    const value = this.string(name, fallback);
    const address = parseAddress(value);
    if (address) return address;
    const advice = 'use host:port, with an IPv6 host in brackets, e.g. 127.0.0.1:18000 or [::1]:18000';
    return this.#problem(name, value, advice, { host: '127.0.0.1', port: 0 });
  }

  #problem<T>(name: string, value: string, advice: string, fallback: T): T {
    this.problems.push(`${name} is "${value}": ${advice}`);
    return fallback;
  }
}

const ADDRESS = /^(?:\[(?<v6>[^\]]+)\]|(?<host>[^:[\]/\s]+)):(?<port>\d{1,5})$/;
const DNS_NAME = /^[a-z0-9_]([-a-z0-9_]*[a-z0-9])?(\.[a-z0-9_]([-a-z0-9_]*[a-z0-9])?)*\.?$/i;

/** `host:port`, an IPv6 address in brackets; undefined when it is neither. Port 0 asks the system for a free one. */
export function parseAddress(text: string): Address | undefined {
  const { v6, host = '', port } = ADDRESS.exec(text)?.groups ?? {};
  const isSound = v6 === undefined ? isIPv4(host) || isName(host) : isIPv6(v6);
  return isSound && Number(port) <= 65_535 ? { host: v6 ?? host, port: Number(port) } : undefined;
}

/** Digits and dots alone are a mistyped address and no name. */
function isName(host: string): boolean {
  return DNS_NAME.test(host) && !/^[\d.]+$/.test(host);
}
