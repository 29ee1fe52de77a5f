/**
 * Where a redirected connection was going before the kernel redirected it. The only file that calls native code.
 *
 * Connection tracking remembers, and tells whoever holds the socket: `SO_ORIGINAL_DST` of netfilter, on the level
 * of either address family, filled in as a `sockaddr_in` or `sockaddr_in6`. Node offers no way to ask for a socket
 * option, so libc's `getsockopt` is called through `node:ffi`. What is relied upon, as of Node 26: `dlopen(null)`
 * finds libc's functions, and an argument of type `buffer` is the address of its first byte.
 */
import { createRequire } from 'node:module';
import type * as Ffi from 'node:ffi';
import { StartupError } from '../../process/listen.ts';
import type { SocketAddress } from './socket-address.ts';
import type { TcpStream } from './tcp.ts';

/** The levels IP and IPv6 of socket options, and SO_ORIGINAL_DST, which is IP6T_SO_ORIGINAL_DST as well (Linux). */
const LEVELS = { ipv4: 0, ipv6: 41 } as const;
const SO_ORIGINAL_DST = 80;

/** `sockaddr_in6` is the longer of the two. */
const SOCKADDR_BYTES = 28;
const PORT_AT = 2;
const IPV4_AT = 4;
const IPV6_AT = 8;

/** Who accepted. */
export interface ListenerPort {
  readonly family: keyof typeof LEVELS;
  readonly port: number;
}

// oxlint-disable-next-line max-params -- the C library's.
type GetSockOpt = (fd: number, level: number, name: number, value: Uint8Array, length: Uint32Array) => number;

/** Asks the kernel, once for each connection. */
export class OriginalDestinations {
  readonly #getsockopt: GetSockOpt;
  readonly #sockaddr = Buffer.alloc(SOCKADDR_BYTES);
  readonly #length = new Uint32Array(1);

  /** Throws a StartupError where native code cannot be called. */
  constructor() {
    this.#getsockopt = loadGetSockOpt();
  }

  /**
   * Of a connection that was accepted by a listener of one family on this port. `direct` where nobody redirected
   * it: the kernel knows nothing of it, or it went to the very address at which it was accepted.
   */
  of(stream: TcpStream, { family, port: ownPort }: ListenerPort): SocketAddress | 'direct' {
    this.#length[0] = SOCKADDR_BYTES;
    if (this.#getsockopt(stream.fd, LEVELS[family], SO_ORIGINAL_DST, this.#sockaddr, this.#length) !== 0) {
      return 'direct';
    }
    const port = this.#sockaddr.readUInt16BE(PORT_AT);
    const address =
      family === 'ipv4' ? formatIPv4(this.#sockaddr, IPV4_AT) : formatIPv6(this.#sockaddr, IPV6_AT);
    // Only then is it worth a system call to know whose port that is.
    return port === ownPort && stream.localAddress()?.address === address ? 'direct' : { address, port };
  }
}

function loadGetSockOpt(): GetSockOpt {
  if (process.platform !== 'linux') {
    throw new StartupError(
      `Interception needs Linux, and this is ${process.platform}: leave it out of the bootstrap.`,
    );
  }
  try {
    const { dlopen } = loadFfi();
    const { functions } = dlopen(null, {
      getsockopt: { return: 'int32', arguments: ['int32', 'int32', 'int32', 'buffer', 'buffer'] },
    });
    return functions.getsockopt;
  } catch (error) {
    throw new StartupError(
      `Interception needs native calls (node:ffi), and this Node does not allow them: run Node 26 with ` +
        `--experimental-ffi, and with --allow-ffi where it has --permission (${String(error)})`,
      { cause: error },
    );
  }
}

/** Without the warning that it is experimental: that is known, Node's version is pinned, and logs stay whole. */
function loadFfi(): typeof Ffi {
  const emitWarning = Object.getOwnPropertyDescriptor(process, 'emitWarning') ?? {};
  process.emitWarning = () => {};
  try {
    return createRequire(import.meta.url)('node:ffi') as typeof Ffi;
  } finally {
    Object.defineProperty(process, 'emitWarning', emitWarning);
  }
}

function formatIPv4(bytes: Uint8Array, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

const GROUPS = 8;

/** As `inet_ntop` writes it: the first longest run of zeroes left out, an IPv4-mapped address with its dots. */
export function formatIPv6(bytes: Uint8Array, at: number): string {
  const groups: number[] = [];
  for (let index = 0; index < GROUPS; index++) {
    groups.push(((bytes[at + 2 * index] ?? 0) << 8) | (bytes[at + 2 * index + 1] ?? 0));
  }
  const hex = groups.map((group) => group.toString(16));
  const { start, length } = longestZeroes(groups);
  if (length < 2) return hex.join(':');
  const endsInIPv4 = start === 0 && (length === 6 || (length === 5 && groups[5] === 0xffff));
  if (endsInIPv4) hex.splice(6, 2, formatIPv4(bytes, at + 12));
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
}

function longestZeroes(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let longest = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let end = start;
    while (groups[end] === 0) end++;
    if (end - start > longest.length) longest = { start, length: end - start };
  }
  return longest;
}
