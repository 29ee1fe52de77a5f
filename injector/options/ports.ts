import { excerpt, listItems } from './excerpt.ts';
import { misread, read, readEach, type Reading } from './reading.ts';

const ADVICE = 'use numbers from 1 to 65535 and ranges such as 8000-8010, with commas between';

/** `22,8000-8010`: ports and ranges of them, each as it stands. */
export function readPorts(value: string): Reading<string[]> {
  return readEach(listItems(value), readPortOrRange);
}

function readPortOrRange(item: string): Reading<string> {
  const { from = '', to } = /^(?<from>\d{1,5})(?:\s*-\s*(?<to>\d{1,5}))?$/u.exec(item)?.groups ?? {};
  if (!isPort(from) || (to !== undefined && !isPort(to))) {
    return misread(`${excerpt(item)} is no port: ${ADVICE}`);
  }
  if (to === undefined) return read(String(Number(from)));
  if (Number(from) > Number(to)) {
    return misread(`the range ${item} ends before it begins: write ${to}-${from}`);
  }
  return read(`${Number(from)}-${Number(to)}`);
}

function isPort(text: string): boolean {
  return Number(text) >= 1 && Number(text) <= 65_535;
}
