import { isIP } from 'node:net';
import * as v from 'valibot';
import { type Address, parseAddress } from '../../process/environment.ts';
import { received, text } from './fields.ts';

/** Where to listen on this machine. `examples` are said to whoever wrote something else. */
export function listenAddress(
  input: string,
  examples: string,
): { readonly address: Address } | { readonly mistake: string } {
  const address = parseAddress(input);
  if (address === undefined) {
    return { mistake: `must be the local address to listen on, such as ${examples}` };
  }
  const host = address.host === 'localhost' ? '127.0.0.1' : address.host;
  if (isIP(host) === 0) return { mistake: 'must begin with an IP address of this machine' };
  return { address: { host, port: address.port } };
}

/** Such an address as a field: `127.0.0.1:5054`, `[::1]:5054`. */
export function listenField(examples: string) {
  return v.pipe(
    text,
    v.rawTransform<string, Address>(({ dataset, addIssue, NEVER }) => {
      const read = listenAddress(dataset.value, examples);
      if ('address' in read) return read.address;
      addIssue({ message: `${read.mistake}, and is ${received(dataset.value)}` });
      return NEVER;
    }),
  );
}
