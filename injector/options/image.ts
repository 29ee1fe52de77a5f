import { excerpt } from './excerpt.ts';
import { misread, read, type Reading } from './reading.ts';

const NO_IMAGE = 'is no image: write one such as registry.example/cortexflow/sidecar:0.1.0';

const HOST =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[a-fA-F0-9:]+\])(?::\d{1,5})?$/u;
const PATH_COMPONENT = /^[a-z0-9]+(?:(?:[.]|_{1,2}|-+)[a-z0-9]+)*$/u;
const TAG = /^\w[\w.-]{0,127}$/u;
const DIGEST = /^[a-zA-Z][a-zA-Z0-9]*(?:[-_+.][a-zA-Z][a-zA-Z0-9]*)*:[a-fA-F0-9]{32,}$/u;

/** `[host[:port]/]path[:tag][@digest]`, as in the grammar of github.com/distribution/reference. */
export function readImage(text: string): Reading<string> {
  const [named = '', digest, ...rest] = text.split('@');
  const { name, tag } = splitTag(named);
  const what =
    rest.length > 0 || named.length > 255 || text.length > 512
      ? NO_IMAGE
      : (wrongDigest(digest) ?? wrongTag(tag) ?? wrongName(name));
  return what === undefined ? read(text) : misread(what);
}

function wrongDigest(digest: string | undefined): string | undefined {
  return digest === undefined || DIGEST.test(digest)
    ? undefined
    : `has the digest ${excerpt(digest)}: write sha256: and 64 hexadecimal digits`;
}

function wrongTag(tag: string | undefined): string | undefined {
  return tag === undefined || TAG.test(tag)
    ? undefined
    : `has the tag ${excerpt(tag)}: use up to 128 letters, digits, dots, dashes and underscores`;
}

function wrongName(name: string): string | undefined {
  const wrong = pathOf(name).find((component) => !PATH_COMPONENT.test(component));
  if (wrong === undefined) return undefined;
  return PATH_COMPONENT.test(wrong.toLowerCase())
    ? `has capital letters in ${excerpt(wrong)}: write ${wrong.toLowerCase()}`
    : NO_IMAGE;
}

/** The last colon begins the tag, unless a slash follows: then it began the host's port. */
function splitTag(named: string): { name: string; tag: string | undefined } {
  const colon = named.lastIndexOf(':');
  return colon > named.lastIndexOf('/')
    ? { name: named.slice(0, colon), tag: named.slice(colon + 1) }
    : { name: named, tag: undefined };
}

/** Without the host. What comes first is one where it could be nothing else: it has a dot, a port or capitals. */
function pathOf(name: string): string[] {
  const [first = '', ...rest] = name.split('/');
  const isHost = rest.length > 0 && HOST.test(first) && (/[.:A-Z]/u.test(first) || first === 'localhost');
  return isHost ? rest : [first, ...rest];
}
