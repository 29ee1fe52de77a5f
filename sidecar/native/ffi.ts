/** The one way to native code. Only files of this room and those that say so in their first lines use it. */
import { createRequire } from 'node:module';
import type * as Ffi from 'node:ffi';

/**
 * Without the warning that it is experimental: that is known, Node's version is pinned, and logs stay whole. Throws
 * where this Node has no `node:ffi`, or does not permit it.
 */
export function loadFfi(): typeof Ffi {
  const emitWarning = Object.getOwnPropertyDescriptor(process, 'emitWarning') ?? {};
  process.emitWarning = () => {};
  try {
    return createRequire(import.meta.url)('node:ffi') as typeof Ffi;
  } finally {
    Object.defineProperty(process, 'emitWarning', emitWarning);
  }
}
