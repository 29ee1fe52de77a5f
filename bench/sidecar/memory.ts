/**
 * What a process takes for itself, from the text of /proc/PID/smaps: all of its pages, in proportion where
 * they are shared, but for clean pages of files (programs and libraries), which every process that runs the
 * same files on this machine shares.
 */
export function privateBytes(smaps: string): number {
  let total = 0;
  let isFile = false;
  for (const line of smaps.split('\n')) {
    const mapping = /^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ (\d+)/.exec(line);
    if (mapping) isFile = mapping[1] !== '0';
    const [, name, kilobytes] = /^(\w+): +(\d+) kB$/.exec(line) ?? [];
    const counts = isFile ? name === 'Private_Dirty' : name === 'Pss';
    if (counts) total += Number(kilobytes) * 1024;
  }
  return total;
}
