import { isIP, isIPv4 } from 'node:net';
import { hasHostBits, parseCidr } from '../../wire/cidr.ts';
import { excerpt, listItems } from './excerpt.ts';
import { misread, read, readEach, type Reading } from './reading.ts';

const ADVICE = 'use networks such as 10.0.0.0/8 or fd00::/8, with commas between';

/** `10.0.0.0/8,fd00::/8`: networks; an address stands for itself alone. */
export function readCidrs(value: string): Reading<string[]> {
  return readEach(listItems(value), readCidr);
}

function readCidr(item: string): Reading<string> {
  const { address = '', prefix } = /^(?<address>[^/%]+)(?:\/(?<prefix>\d{1,3}))?$/u.exec(item)?.groups ?? {};
  if (isIP(address) === 0) return misread(`${excerpt(item)} is no network: ${ADVICE}`);
  const width = isIPv4(address) ? 32 : 128;
  const bits = Number(prefix ?? width);
  if (bits > width) return misread(`${item} has a prefix of more than ${width} bits: ${ADVICE}`);
  const block = parseCidr(item);
  if (block === undefined) return misread(`${excerpt(item)} is no network: ${ADVICE}`);
  return hasHostBits(item, block)
    ? misread(`${item} has bits set beyond its prefix: write ${block.address}/${bits}`)
    : read(`${address}/${bits}`);
}
