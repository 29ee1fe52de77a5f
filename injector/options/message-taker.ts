import { PORTS } from '../../wire/pod.ts';
import { misread, read, type Reading } from './reading.ts';

/** What may stand in the path of an address as it is (RFC 3986), and its query. */
const PORT_AND_PATH = /^(?<port>\d{1,5})(?<path>\/[\w\-.~%!$&'()*+,;=:@/?]*)?$/u;

/** `7000` or `7000/messages`: the address at which the workload takes messages by HTTP, on loopback. */
export function readMessageTaker(value: string): Reading<string> {
  const { port = '', path = '/' } = PORT_AND_PATH.exec(value)?.groups ?? {};
  const number = Number(port);
  if (port === '' || number < 1 || number > 65_535) {
    return misread('use a port of the pod, with the path where there is one, such as 7000 or 7000/messages');
  }
  if (number >= PORTS.first && number <= PORTS.last) {
    return misread(
      `port ${number} is the proxy's own, like all from ${PORTS.first} to ${PORTS.last}: use one that the ` +
        'application listens on',
    );
  }
  return read(`http://127.0.0.1:${number}${path}`);
}
