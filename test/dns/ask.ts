/** Asks a DNS server as a resolver does, and reads its answers with a codec that is not the proxy's own. */
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { randomInt } from 'node:crypto';
import * as dnsPacket from 'dns-packet';
import { framed } from './name-server.ts';

const EDNS_BYTES = 1232;
const COOKIE_OPTION = 10;

export interface Question {
  readonly name: string;
  readonly type?: dnsPacket.RecordType;
  /** By UDP as a rule, and by TCP what was cut. */
  readonly transport?: 'udp' | 'tcp' | 'udp-only';
  /** How many bytes are taken by UDP, said by EDNS; `none` for 512 and no EDNS. */
  readonly edns?: number | 'none';
  /** Cookies are between two: such an answer is for nobody else. */
  readonly cookie?: boolean;
  /** Of each try by UDP, and of all by TCP. */
  readonly timeoutMs?: number;
  readonly tries?: number;
}

export interface Answered {
  readonly status: string;
  readonly isCut: boolean;
  /** QR, AA, RD and RA, those that are set. */
  readonly flags: readonly string[];
  /** `name type data`, in the order in which they came. */
  readonly answer: readonly string[];
  readonly authority: readonly string[];
  readonly additional: readonly string[];
  /** Of the answer's records. */
  readonly ttls: readonly number[];
}

/** Asks for an address of this name, or what else was asked, on 127.0.0.1. Rejects where nobody answers. */
export async function ask(port: number, asked: string | Question): Promise<Answered> {
  const question = typeof asked === 'string' ? { name: asked } : asked;
  const query = dnsPacket.encode(queryOf(question));
  const { transport = 'udp' } = question;
  if (transport === 'tcp') return read(await exchangeByTcp(port, query, question));
  const answered = read(await exchangeByUdp(port, query, question));
  return answered.isCut && transport === 'udp' ? read(await exchangeByTcp(port, query, question)) : answered;
}

function queryOf({ name, type = 'A', edns = EDNS_BYTES, cookie = false }: Question): dnsPacket.Packet {
  const options = cookie ? [{ code: COOKIE_OPTION, data: Buffer.alloc(8, 1) }] : [];
  const opt = { type: 'OPT', name: '.', udpPayloadSize: Number(edns), flags: 0, options };
  return {
    type: 'query',
    id: randomInt(0x1_00_00),
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [{ type, name, class: 'IN' }],
    additionals: edns === 'none' ? [] : [opt as unknown as dnsPacket.Answer],
  };
}

async function exchangeByUdp(
  port: number,
  query: Buffer,
  { timeoutMs = 30_000, tries = 1, name }: Question,
): Promise<Buffer> {
  const socket = createSocket('udp4');
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  let left = tries;
  const send = () => {
    if (left-- > 0) socket.send(query, port, '127.0.0.1');
    else reject(new Error(`no answer by UDP about ${name}`));
  };
  const timer = setInterval(send, timeoutMs);
  socket.on('message', (answer: Buffer) => {
    if (answer.readUInt16BE(0) === query.readUInt16BE(0)) resolve(answer);
  });
  socket.on('error', reject);
  send();
  return promise.finally(() => {
    clearInterval(timer);
    socket.close();
  });
}

async function exchangeByTcp(
  port: number,
  query: Buffer,
  { timeoutMs = 30_000, name }: Question,
): Promise<Buffer> {
  const socket = connect(port, '127.0.0.1');
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const timer = setTimeout(() => reject(new Error(`no answer by TCP about ${name}`)), timeoutMs);
  let received = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    if (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0))
      resolve(received.subarray(2));
  });
  socket.on('error', reject);
  socket.on('end', () => reject(new Error(`the connection ended without an answer about ${name}`)));
  socket.write(framed(query));
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}

function read(bytes: Buffer): Answered {
  const packet = dnsPacket.decode(bytes) as dnsPacket.DecodedPacket & { readonly rcode: string };
  const { answers = [], authorities = [], additionals = [] } = packet;
  const flags = { qr: packet.flag_qr, aa: packet.flag_aa, rd: packet.flag_rd, ra: packet.flag_ra };
  return {
    status: packet.rcode,
    isCut: packet.flag_tc,
    flags: Object.entries(flags).flatMap(([name, isSet]) => (isSet ? [name] : [])),
    answer: answers.map(textOf),
    authority: authorities.map(textOf),
    additional: additionals.filter(({ type }) => type !== 'OPT').map(textOf),
    ttls: answers.map((record) => ('ttl' in record ? (record.ttl ?? 0) : 0)),
  };
}

function textOf(record: dnsPacket.Answer): string {
  const data = 'data' in record ? record.data : undefined;
  return `${record.name} ${record.type} ${dataText(data)}`;
}

/** The numbers of a record and then its names, as far as tests look at them. */
function dataText(data: unknown): string {
  if (typeof data !== 'object' || data === null) return String(data);
  const { priority, weight, port, target, mname, rname, refresh, retry, expire, minimum } = data as Record<
    string,
    unknown
  >;
  if (target !== undefined) return [priority, weight, port, target].join(' ');
  return [mname, rname, refresh, retry, expire, minimum].join(' ');
}
