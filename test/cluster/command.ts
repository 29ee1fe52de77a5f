import { execFile } from 'node:child_process';

export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** No image takes that long to build, also where npm and Debian are slow. */
const WITHIN_MS = 1_800_000;

/** Runs a command to its end; any exit code resolves. Rejects when it cannot be started, or has not ended in time. */
export function run(
  command: readonly string[],
  stdin = '',
  { withinMs = WITHIN_MS }: { readonly withinMs?: number } = {},
): Promise<Output> {
  const { promise, resolve, reject } = Promise.withResolvers<Output>();
  const [file, ...args] = command;
  const options = { maxBuffer: 64 << 20, timeout: withinMs, killSignal: 'SIGKILL' } as const;
  const child = execFile(file!, args, options, (error, stdout, stderr) => {
    if (error?.killed && error.signal === 'SIGKILL') {
      const wrote = `${stderr}${stdout}`.trim().slice(-1000) || 'nothing';
      return reject(
        new Error(`${command.join(' ')} did not end within ${withinMs / 1000} s; it wrote ${wrote}`),
      );
    }
    if (error && typeof error.code !== 'number' && error.signal === null) return reject(error);
    // A shell's number for what a signal ended.
    const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 128;
    resolve({ code, stdout, stderr });
  });
  // What ends without reading its input is judged by how it ended.
  child.stdin!.on('error', () => {});
  child.stdin!.end(stdin);
  return promise;
}

/** As run(), but anything but success rejects with what the command complained of. Resolves with its output. */
export async function mustRun(
  command: readonly string[],
  stdin = '',
  limits: { readonly withinMs?: number } = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(command, stdin, limits);
  if (code === 0) return stdout;
  throw new Error(`${command.join(' ')} failed (${code}): ${stderr.trim() || stdout.trim()}`);
}
