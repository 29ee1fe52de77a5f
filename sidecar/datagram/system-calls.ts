/**
 * recvmmsg(2) and sendmmsg(2) through `node:ffi`: many datagrams for the price of one system call, and no object
 * for each. What is relied upon, as of Node 26: `dlopen(null)` finds libc's functions, an argument of type `buffer`
 * is the address of its first byte, and the memory of a typed array that is too large for V8's own heap stays where
 * it is for as long as somebody holds it. Linux on 64 bits only: elsewhere the structures look otherwise.
 */
import { constants } from 'node:os';
import { loadFfi } from '../native/ffi.ts';
import type { AddressOf } from './message-headers.ts';

export interface SystemCalls {
  readonly addressOf: AddressOf;
  /** How many were received, without waiting for any; or a negative errno. */
  receive(fd: number, headers: Uint8Array, count: number): number;
  /** How many were sent, without waiting for room; or a negative errno, of the first. */
  send(fd: number, headers: Uint8Array, count: number): number;
}

/** Where the C libraries of Linux keep `errno` of the calling thread. */
const ERRNO_LOCATION = '__errno_location';

const MSG_DONTWAIT = 0x40;

let loaded: { readonly calls: SystemCalls | undefined } | undefined;

/** Undefined where they cannot be called. */
export function systemCalls(): SystemCalls | undefined {
  loaded ??= { calls: load() };
  return loaded.calls;
}

function load(): SystemCalls | undefined {
  const is64Bit = process.arch === 'x64' || process.arch === 'arm64';
  if (process.platform !== 'linux' || !is64Bit) return undefined;
  try {
    return open();
  } catch {
    return undefined;
  }
}

function open(): SystemCalls {
  const ffi = loadFfi();
  const { functions } = ffi.dlopen(null, {
    recvmmsg: { return: 'int32', arguments: ['int32', 'buffer', 'uint32', 'int32', 'pointer'] },
    sendmmsg: { return: 'int32', arguments: ['int32', 'buffer', 'uint32', 'int32'] },
    [ERRNO_LOCATION]: { return: 'pointer', arguments: [] },
  });
  const { recvmmsg, sendmmsg, [ERRNO_LOCATION]: errnoLocation } = functions;
  const errnoAt = errnoLocation();
  const outcome = (result: number): number => (result >= 0 ? result : -ffi.getInt32(errnoAt));
  return {
    addressOf: (buffer) => ffi.getRawPointer(buffer),
    receive: (fd, headers, count) => outcome(recvmmsg(fd, headers, count, MSG_DONTWAIT, null)),
    send: (fd, headers, count) => outcome(sendmmsg(fd, headers, count, MSG_DONTWAIT)),
  };
}

/** Nothing there, or no room. */
export const AGAIN = -constants.errno.EAGAIN;
