import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { inputs } from './inputs.ts';

/**
 * Writes golden.json: what kubectl's own reader makes of each input. Needs Go; run it after a change of inputs.ts or
 * of the Kubernetes version in go.mod: `node test/kubectl-reader/generate.ts`.
 */
const directory = fileURLToPath(new URL('./', import.meta.url));
const files = inputs();
const input = JSON.stringify(Array.from(files.values(), (bytes) => bytes.toString('base64')));
const output = execFileSync('go', ['run', '.'], { cwd: directory, input, maxBuffer: 1 << 28 });
const results = JSON.parse(output.toString()) as unknown[];
const lines = Array.from(
  files.keys(),
  (name, index) => `${JSON.stringify(name)}: ${JSON.stringify(results[index])}`,
);
writeFileSync(`${directory}golden.json`, `{\n${lines.join(',\n')}\n}\n`);
