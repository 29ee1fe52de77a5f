import { fromBinary } from '@bufbuild/protobuf';
import { BadRequestSchema } from '../../gen/google/rpc/error_details_pb.ts';
import type { Status } from '../../gen/google/rpc/status_pb.ts';
import { excerpt } from './excerpt.ts';
import type { Content } from './target.ts';

/** Among so many names of a response those are searched that a message mentions. */
const SEARCHED_NAMES = 1024;

/**
 * Which resources of a response a client rejected, and why, in its own words. A client that says it in a
 * `google.rpc.BadRequest` is taken at its word: the others it accepted. Else it is those that the message
 * names, else all.
 */
export function rejectedResources(error: Status, content: Content): Map<string, string> {
  const names = new Set(content.upserts.map(({ name }) => name));
  const violations = violationsIn(error).filter(({ field }) => names.has(field));
  if (violations.length > 0) {
    return new Map(violations.map(({ field, description }) => [field, excerpt(description)]));
  }
  const reason = excerpt(error.message);
  const searched = content.upserts.slice(0, SEARCHED_NAMES).map(({ name }) => name);
  const mentioned = searched.filter((name) => mentions(reason, name));
  return new Map((mentioned.length > 0 ? mentioned : [...names]).map((name) => [name, reason]));
}

function violationsIn(error: Status): { readonly field: string; readonly description: string }[] {
  return error.details.flatMap((detail) => {
    if (!detail.typeUrl.endsWith(`/${BadRequestSchema.typeName}`)) return [];
    try {
      return fromBinary(BadRequestSchema, detail.value).fieldViolations;
    } catch {
      // The message is still there to go by.
      return [];
    }
  });
}

/** As a word of its own: `a/b` is not mentioned by a message about `a/b-2`. */
function mentions(message: string, name: string): boolean {
  for (let at = message.indexOf(name); at >= 0; at = message.indexOf(name, at + 1)) {
    const isPart = isNameCharacter(message[at - 1]) || isNameCharacter(message[at + name.length]);
    if (!isPart) return true;
  }
  return false;
}

function isNameCharacter(character: string | undefined): boolean {
  return character !== undefined && /[\w/-]/u.test(character);
}
