/** Node's own handles, by the name of what makes them. No public API: whoever uses one says what he relies upon. */
export function binding(name: string): unknown {
  const { binding: load } = process as unknown as { binding?: (this: void, name: string) => unknown };
  if (load === undefined)
    throw new Error(`Node ${process.version} has no process.binding: run with Node 26.`);
  return load(name);
}
