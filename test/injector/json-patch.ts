/** As much of RFC 6902 as is needed to apply `add` and `remove`, written from the RFC and not from the code under test. */
export interface PatchOperation {
  readonly op: string;
  readonly path: string;
  readonly value?: unknown;
}

/** A copy of the document with the operations applied one after another. Throws as an API server would refuse. */
export function applyPatch<T>(document: T, operations: readonly PatchOperation[]): T {
  const copy = structuredClone(document);
  for (const operation of operations) perform(copy, operation);
  return copy;
}

function perform(document: unknown, { op, path, value }: PatchOperation): void {
  if (op !== 'add' && op !== 'remove') throw new Error(`${op} is not supported`);
  const steps = path.split('/').slice(1).map(unescaped);
  const last = steps.pop() ?? '';
  const parent = steps.reduce(child, document);
  if (op === 'remove') remove(parent, last);
  else if (Array.isArray(parent)) {
    const index = last === '-' ? parent.length : Number(last);
    if (!/^(?:-|0|[1-9]\d*)$/u.test(last) || index > parent.length)
      throw new Error(`${path} is beyond the list`);
    parent.splice(index, 0, structuredClone(value));
  } else if (typeof parent === 'object' && parent !== null) {
    (parent as Record<string, unknown>)[last] = structuredClone(value);
  } else {
    throw new Error(`${path} is in nothing`);
  }
}

function remove(parent: unknown, step: string): void {
  child(parent, step);
  if (Array.isArray(parent)) parent.splice(Number(step), 1);
  else delete (parent as Record<string, unknown>)[step];
}

function child(parent: unknown, step: string): unknown {
  if (typeof parent !== 'object' || parent === null || !Object.hasOwn(parent, step)) {
    throw new Error(`there is no ${step}`);
  }
  return (parent as Record<string, unknown>)[step];
}

function unescaped(step: string): string {
  return step.replaceAll('~1', '/').replaceAll('~0', '~');
}
