/** What of a client's request goes to the target of a pass-through path, and what of the answer comes back. Pure. */
import type { IncomingHttpHeaders } from 'node:http';
import { Refusal } from '../domain/errors.ts';
import type { PassThroughEndpoint } from '../domain/pass-through.ts';

/** Of one connection, and not of the message. https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1 */
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

/** About the body and the form of the answer: without them a target could not read the one or choose the other. */
const always: ReadonlySet<string> = new Set([
  'accept',
  'accept-encoding',
  'accept-language',
  'content-encoding',
  'content-length',
  'content-type',
]);

/** Who the client is to this gateway, and how it came here. */
const private_ = /^(host|expect|forwarded|x-forwarded-.*|x-real-ip|x-litellm-.*)$/;

/** Carry a credential. */
export const credentialHeaders: readonly string[] = [
  'authorization',
  'api-key',
  'x-api-key',
  'x-goog-api-key',
  'ocp-apim-subscription-key',
];

/** LiteLLM's prefix for headers that a client wants forwarded under the rest of their name. */
const passPrefix = 'x-pass-';

/**
 * @param keys of this gateway that the client sent: no header that holds one goes on.
 * @returns headers by lower-case names.
 */
export function headersForTarget(
  incoming: IncomingHttpHeaders,
  endpoint: PassThroughEndpoint,
  keys: readonly string[],
): Record<string, string | string[]> {
  const ofConnection = new Set(listOf(incoming.connection));
  const chosen: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(incoming)) {
    if (value === undefined || hopByHop.has(name) || ofConnection.has(name) || private_.test(name)) continue;
    if (keys.some((key) => String(value).includes(key))) continue;
    if (name.startsWith(passPrefix)) {
      const inner = name.slice(passPrefix.length);
      if (inner !== '' && !hopByHop.has(inner) && !private_.test(inner) && inner !== 'content-length') {
        chosen[inner] = value;
      }
    } else if (always.has(name) || (endpoint.forwardHeaders && !isReplaced(name, endpoint))) {
      chosen[name] ??= value;
    }
  }
  return { ...chosen, ...endpoint.headers };
}

/** A provider's route has the credential of the gateway; what a client sends as one, or as its session, is not for it. */
const isReplaced = (name: string, { providerRoute }: PassThroughEndpoint): boolean =>
  providerRoute !== undefined && (credentialHeaders.includes(name) || name === 'cookie');

/** What the target says of its connection, and to the browser of a client that is on another site, stays here. */
export function headersForClient(incoming: IncomingHttpHeaders): Record<string, string | string[]> {
  const ofConnection = new Set(listOf(incoming.connection));
  return Object.fromEntries(
    Object.entries(incoming).flatMap(([name, value]) =>
      value === undefined || hopByHop.has(name) || ofConnection.has(name) || name === 'set-cookie' || name === 'alt-svc'
        ? []
        : [[name, value]],
    ),
  );
}

/**
 * Path and query at the target.
 * @param url of the request, as it came.
 * @throws Refusal 400 for a path that would leave the target's.
 */
export function pathAtTarget(url: string, endpoint: PassThroughEndpoint, keys: readonly string[]): string {
  const [path, query] = splitOnce(url, '?');
  const rest = path.slice(endpoint.path.length).replace(/^\/$/, '');
  if (leaves(rest)) {
    throw new Refusal({
      status: 400,
      type: 'invalid_request_error',
      message: 'The path may not hold the steps . and ..',
    });
  }
  const stated = [...new URLSearchParams(query)];
  const parameters = new URLSearchParams(stated.filter(([, value]) => !keys.includes(value)));
  for (const [name, value] of Object.entries(endpoint.query)) {
    if (!parameters.has(name)) parameters.set(name, value);
  }
  // As it came, unless something had to change: there is more than one way to write a query.
  const asked = parameters.size === stated.length ? query : parameters.toString();
  const target = endpoint.providerRoute === undefined ? endpoint.basePath + rest : joined(endpoint.basePath, rest);
  return `${target === '' ? '/' : target}${asked === '' ? '' : `?${asked}`}`;
}

/** Clients may or may not repeat the version that the address names: `/v1` and `/v1/files` are `/v1/files`. */
function joined(base: string, rest: string): string {
  const steps = base.split('/').filter((step) => step !== '');
  const overlap = steps.findIndex((_, index) => `${rest}/`.startsWith(`/${steps.slice(index).join('/')}/`));
  return (
    (overlap === -1
      ? base
      : steps
          .slice(0, overlap)
          .map((step) => `/${step}`)
          .join('')) + rest
  );
}

/** Also when the steps are written with escapes, which a server may undo once or twice. */
function leaves(rest: string): boolean {
  let plain = rest;
  for (let round = 0; round < 3; round++) {
    if (plain.split(/[/\\]/).some((step) => step === '.' || step === '..')) return true;
    plain = plain.replaceAll(/%(2e|2f|5c|25)/gi, (escape) => decodeURIComponent(escape));
  }
  return false;
}

const listOf = (header: string | undefined): string[] =>
  header?.split(',').map((name) => name.trim().toLowerCase()) ?? [];

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
