import { execFile } from 'node:child_process';

export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end; any exit code resolves. Rejects when it cannot be started. */
export function run(command: readonly string[], stdin = ''): Promise<Output> {
  const { promise, resolve, reject } = Promise.withResolvers<Output>();
  const [file, ...args] = command;
  const child = execFile(file!, args, { maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
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
export async function mustRun(command: readonly string[], stdin = ''): Promise<string> {
  const { code, stdout, stderr } = await run(command, stdin);
  if (code === 0) return stdout;
  throw new Error(`${command.join(' ')} failed (${code}): ${stderr.trim() || stdout.trim()}`);
}
