/**
 * What a container finds in a variable, argument or command: `$(NAME)` replaced where NAME is set, `$$` by `$`, all else
 * as it stands. Written from the kubelet's rules (k8s.io/kubernetes/third_party/forked/golang/expansion).
 */
export function expand(value: string, variables: Readonly<Record<string, string>>): string {
  return value.replace(/\$(?:\$|\((?<name>[^)]*)\))/gu, (reference, name: string | undefined) =>
    name === undefined ? '$' : (variables[name] ?? reference),
  );
}
