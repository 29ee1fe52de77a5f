/**
 * Where a redirected connection was going before the kernel redirected it.
 *
 * Connection tracking remembers, and tells whoever holds the socket: `SO_ORIGINAL_DST` of netfilter, on the level
 * of either address family, filled in as a `sockaddr_in` or `sockaddr_in6`. Node offers no way to ask for a socket
 * option, so libc's `getsockopt` is called through `node:ffi`. What is relied upon, as of Node 26: `dlopen(null)`
 * finds libc's functions, and an argument of type `buffer` is the address of its first byte.
 */
import { StartupError } from '../../process/listen.ts';
import { loadFfi } from '../native/ffi.ts';
import { readSockaddr, SOCKADDR_BYTES } from './sockaddr.ts';
import type { SocketAddress } from './socket-address.ts';
import type { TcpStream } from './tcp.ts';

/** The levels IP and IPv6 of socket options, and SO_ORIGINAL_DST, which is IP6T_SO_ORIGINAL_DST as well (Linux). */
const LEVELS = { ipv4: 0, ipv6: 41 } as const;
const SO_ORIGINAL_DST = 80;

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
    const { address, port } = readSockaddr(this.#sockaddr, 0);
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
