/** The two ends of a connection, as `node:net` writes their addresses; undefined once it is closed. */
export interface Ends {
  readonly remoteAddress?: string | undefined;
  readonly localAddress?: string | undefined;
}

/** Whether somebody on this machine, or in this pod, made the connection: from loopback, or from the address it came to. */
export function isFromHere({ remoteAddress, localAddress }: Ends): boolean {
  if (remoteAddress === undefined) return false;
  return /^(?:(?:::ffff:)?127\.|::1$)/u.test(remoteAddress) || remoteAddress === localAddress;
}
