/** Numbers of the DNS protocol (RFC 1035, RFC 6891 and IANA's registry of DNS parameters). */

export const HEADER_BYTES = 12;
/** What every asker by UDP takes (RFC 1035, 2.3.4). */
export const PLAIN_LIMIT = 512;
/** A message by TCP has a length of 16 bits before it. */
export const LONGEST_MESSAGE = 65_535;

export const TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  NAPTR: 35,
  OPT: 41,
  DS: 43,
  DNSKEY: 48,
  SVCB: 64,
  HTTPS: 65,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
  CAA: 257,
} as const;

/** From here on types are questions and no records (RFC 6895): transfers, ANY, keys. */
export const FIRST_META_TYPE = 128;
export const LAST_META_TYPE = 255;

export const CLASS_IN = 1;

export const RCODE = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  BADVERS: 16,
  BADCOOKIE: 23,
} as const;

/** The second 16 bits of a message. */
export const FLAG = {
  RESPONSE: 0x8000,
  OPCODE: 0x7800,
  AUTHORITATIVE: 0x0400,
  TRUNCATED: 0x0200,
  RECURSION_DESIRED: 0x0100,
  RECURSION_AVAILABLE: 0x0080,
  CHECKING_DISABLED: 0x0010,
  RCODE: 0x000f,
} as const;

/** What an answer repeats of its question. */
export const REPEATED_FLAGS = FLAG.RECURSION_DESIRED | FLAG.CHECKING_DISABLED;

const TYPE_NAMES = namesOf(TYPE);
const RCODE_NAMES = namesOf(RCODE);

function namesOf(numbers: Readonly<Record<string, number>>): ReadonlyMap<number, string> {
  return new Map(Object.entries(numbers).map(([name, number]) => [number, name]));
}

/** For people and metrics; `other` for what is rarely asked, so that nobody can make any number of series. */
export function typeName(type: number): string {
  return TYPE_NAMES.get(type) ?? 'other';
}

export function rcodeName(rcode: number): string {
  return RCODE_NAMES.get(rcode) ?? 'other';
}

export function uint16(data: Uint8Array, at: number): number {
  return ((data[at] ?? 0) << 8) | (data[at + 1] ?? 0);
}

export function uint32(data: Uint8Array, at: number): number {
  return uint16(data, at) * 0x1_00_00 + uint16(data, at + 2);
}

export function setUint16(data: Uint8Array, at: number, value: number): void {
  data[at] = value >> 8;
  data[at + 1] = value & 0xff;
}

export function setUint32(data: Uint8Array, at: number, value: number): void {
  setUint16(data, at, Math.floor(value / 0x1_00_00));
  setUint16(data, at + 2, value & 0xff_ff);
}
