/** What goes to the target of a pass-through path, decided without a network. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PassThroughEndpoint } from '../../../gateway/domain/pass-through.ts';
import { headersForClient, headersForTarget, pathAtTarget } from '../../../gateway/pipeline/pass-through.ts';

const endpoint = (over: Partial<PassThroughEndpoint> = {}): PassThroughEndpoint => ({
  path: '/mine',
  includeSubpath: true,
  methods: ['GET'],
  origin: 'https://target.example',
  basePath: '/base',
  query: {},
  headers: {},
  forwardHeaders: true,
  needsKey: true,
  timeoutSeconds: 10,
  ...over,
});

describe('the path at the target', () => {
  it.each([
    ['/mine', '/base'],
    ['/mine/', '/base'],
    ['/mine/a/b', '/base/a/b'],
    ['/mine/a%20b%2Fc?x=%C3%A9&x=2', '/base/a%20b%2Fc?x=%C3%A9&x=2'],
    ['/mine?a=KEY&b=1', '/base?b=1'],
    ['/mine?a=KEY', '/base'],
  ])('of %s is %s', (url, path) => {
    expect(pathAtTarget(url, endpoint(), ['KEY'])).toBe(path);
  });

  it.each([
    ['/v1', '/v1/files', '/v1/files'],
    ['/v1', '/files', '/v1/files'],
    ['/openai/v1', '/v1/files', '/openai/v1/files'],
    ['', '/v1beta/models/gemini:generateContent', '/v1beta/models/gemini:generateContent'],
    ['/v1', '/v1beta/x', '/v1/v1beta/x'],
    ['/v1', '', '/v1'],
  ])('of a provider at %j names its version once: %j is %s', (basePath, rest, path) => {
    const route = endpoint({ path: '/openai', basePath, providerRoute: { provider: 'openai' } });
    expect(pathAtTarget(`/openai${rest}`, route, [])).toBe(path);
  });

  it('never leaves the base, however it is escaped', () => {
    const step = fc.constantFrom('..', '%2e%2e', '.%2E', '%252e%252e', 'a', '%2f', '%5c', '\\', '/', '%252f');
    fc.assert(
      fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
        let path: string;
        try {
          path = pathAtTarget(`/mine/${steps.join('')}`, endpoint(), []);
        } catch {
          return;
        }
        let plain = path;
        for (let round = 0; round < 3; round++) {
          expect(new URL(plain.replaceAll('\\', '/'), 'https://target.example').pathname).toMatch(/^\/base/);
          plain = plain.replaceAll(/%(2e|2f|5c|25)/gi, (escape) => decodeURIComponent(escape));
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('headers', () => {
  it('that the connection names are of the connection, both ways', () => {
    const headers = { connection: 'close, X-Hop', 'x-hop': '1', 'keep-alive': 'x', 'x-own': '2' };
    expect(headersForTarget(headers, endpoint(), [])).toEqual({ 'x-own': '2' });
    expect(headersForClient({ ...headers, 'set-cookie': ['a=b'] })).toEqual({ 'x-own': '2' });
  });

  it('with a key in them never go on, whatever their name and whatever stands around it', () => {
    const key = 'sk-the-key-of-the-gateway';
    fc.assert(
      fc.property(
        fc.dictionary(fc.stringMatching(/^(x-pass-)?[a-z]{1,12}$/), fc.tuple(fc.string(), fc.boolean(), fc.string())),
        fc.boolean(),
        (headers, forwardHeaders) => {
          const incoming = Object.fromEntries(
            Object.entries(headers).map(([name, [before, held, after]]) => [name, before + (held ? key : '') + after]),
          );
          const sent = headersForTarget(incoming, endpoint({ forwardHeaders }), [key]);
          expect(JSON.stringify(sent)).not.toContain(key);
        },
      ),
    );
  });

  it('of the endpoint win over those of the client, by any way', () => {
    const fixed = endpoint({ headers: { authorization: 'Bearer ours' } });
    const theirs = { authorization: 'Bearer theirs', 'x-pass-authorization': 'Bearer theirs' };
    expect(headersForTarget(theirs, fixed, [])).toEqual({ authorization: 'Bearer ours' });
  });
});
