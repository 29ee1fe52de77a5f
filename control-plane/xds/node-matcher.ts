import type { NodeMatcher } from '../../gen/envoy/type/matcher/v3/node_pb.ts';
import type { StringMatcher } from '../../gen/envoy/type/matcher/v3/string_pb.ts';

/** Does any matcher take this node? Without matchers, every node is taken. */
export function matchesNode(matchers: readonly NodeMatcher[], nodeId: string): boolean {
  return matchers.length === 0 || matchers.some(({ nodeId: matcher }) => matchesText(matcher, nodeId));
}

function matchesText(matcher: StringMatcher | undefined, text: string): boolean {
  if (matcher?.matchPattern.value === undefined) return true;
  const fold = (value: string): string => (matcher.ignoreCase ? value.toLowerCase() : value);
  const pattern = fold(matcher.matchPattern.value);
  const subject = fold(text);
  switch (matcher.matchPattern.case) {
    case 'exact':
      return subject === pattern;
    case 'prefix':
      return subject.startsWith(pattern);
    case 'suffix':
      return subject.endsWith(pattern);
    default:
      return subject.includes(pattern);
  }
}
