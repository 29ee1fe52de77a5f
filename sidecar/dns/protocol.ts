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
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  IXFR: 251,
  AXFR: 252,
} as const;

/** From here on types are questions and no records (RFC 6895): transfers, ANY, keys. */
export const FIRST_META_TYPE = 128;
export const LAST_META_TYPE = 255;

export const CLASS_IN = 1;

export const RCODE = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;

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

const TYPE_NAMES: ReadonlyMap<number, string> = new Map([
  [1, 'A'],
  [2, 'NS'],
  [5, 'CNAME'],
  [6, 'SOA'],
  [12, 'PTR'],
  [15, 'MX'],
  [16, 'TXT'],
  [28, 'AAAA'],
  [33, 'SRV'],
  [35, 'NAPTR'],
  [43, 'DS'],
  [48, 'DNSKEY'],
  [64, 'SVCB'],
  [65, 'HTTPS'],
  [251, 'IXFR'],
  [252, 'AXFR'],
  [255, 'ANY'],
  [257, 'CAA'],
]);

const RCODE_NAMES = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'];

/** For people and metrics; `other` for what is rarely asked, so that nobody can make any number of series. */
export function typeName(type: number): string {
  return TYPE_NAMES.get(type) ?? 'other';
}

export function rcodeName(rcode: number): string {
  return RCODE_NAMES[rcode] ?? 'other';
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
