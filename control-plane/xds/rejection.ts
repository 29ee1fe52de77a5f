import { fromBinary } from '@bufbuild/protobuf';
import { BadRequestSchema } from '../../gen/google/rpc/error_details_pb.ts';
import type { Status } from '../../gen/google/rpc/status_pb.ts';
import { excerpt } from './excerpt.ts';
import type { Content } from './target.ts';

/** Among so many names of a response those are searched that a message mentions. */
const SEARCHED_NAMES = 1024;

/** What a client says of a response that it rejected. */
export interface Refusal {
  /**
   * `exactly`: these resources were rejected, and the others of the response were taken. `in text`: the message
   * mentions these, and the others may or may not have been taken. `none`: it names no resource, so all may be bad.
   */
  readonly naming: 'exactly' | 'in text' | 'none';
  /** By resource, the client's own words; for `none`, of all resources in the response. */
  readonly reasons: ReadonlyMap<string, string>;
}

/**
 * Reads which resources of a response a client rejected. Only a `google.rpc.BadRequest` all of whose fields are names
 * in the response is exact: a message for people may name only the first bad resource of many.
 */
export function refusalOf(error: Status, content: Content): Refusal {
  const names = new Set(content.upserts.map(({ name }) => name));
  const violations = violationsIn(error);
  const known = violations.filter(({ field }) => names.has(field));
  if (known.length > 0) {
    const naming = known.length === violations.length ? 'exactly' : 'in text';
    return { naming, reasons: new Map(known.map(({ field, description }) => [field, excerpt(description)])) };
  }
  const reason = excerpt(error.message);
  const searched = content.upserts.slice(0, SEARCHED_NAMES).map(({ name }) => name);
  const mentioned = searched.filter((name) => mentions(reason, name));
  const naming = mentioned.length > 0 ? 'in text' : 'none';
  return {
    naming,
    reasons: new Map((naming === 'none' ? [...names] : mentioned).map((name) => [name, reason])),
  };
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
