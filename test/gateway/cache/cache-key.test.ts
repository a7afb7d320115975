import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cacheKey, canonical } from '../../../gateway/cache/cache-key.ts';
import type { CacheScope } from '../../../gateway/domain/cache-settings.ts';
import type { Caller, JsonObject, ModelRequest, SpokenRequest } from '../../../gateway/domain/request.ts';
import { exampleCaller, exampleRequest } from '../examples.ts';

const body: JsonObject = { model: 'chat', messages: [{ role: 'user', content: 'Hi' }], temperature: 0 };
interface Case {
  readonly body?: JsonObject;
  readonly request?: Partial<ModelRequest>;
  readonly caller?: Partial<Caller>;
  readonly group?: string;
  readonly scope?: CacheScope;
  readonly namespace?: string;
}
const keyOf = ({ body: other = body, request, caller, group = 'chat', scope = 'team', namespace = '' }: Case = {}) =>
  cacheKey(exampleRequest(other, request), { ...exampleCaller, ...caller }, group, scope, namespace);

const spoken = (headers: Record<string, string>): SpokenRequest => ({
  api: 'messages',
  headers,
  toChat: () => exampleRequest(body),
  again: () => exampleRequest(body),
});

describe('the key of an answer', () => {
  it.each<[string, Case]>([
    ['the order of members', { body: { temperature: 0, messages: [{ content: 'Hi', role: 'user' }], model: 'chat' } }],
    ['an alias of the model', { body: { ...body, model: 'alias' }, request: { model: 'alias' } }],
    ['metadata', { body: { ...body, metadata: { trace: '1' }, litellm_metadata: {} } }],
    ['what steers the gateway', { body: { ...body, num_retries: 1, timeout: 3, cache: { ttl: 5 }, fallbacks: ['x'] } }],
    ['ids', { request: { id: 'other', callId: 'other' } }],
  ])('does not depend on %s', (_, other) => {
    expect(keyOf(other)).toBe(keyOf());
  });

  it.each<[string, Case]>([
    ['a parameter', { body: { ...body, temperature: 1 } }],
    ['a parameter nobody knows', { body: { ...body, top_k: 5 } }],
    ['the end user', { body: { ...body, user: 'somebody' } }],
    ['the order of messages', { body: { ...body, messages: [{}, { role: 'user', content: 'Hi' }] } }],
    ['streaming', { body: { ...body, stream: true } }],
    ['the operation', { request: { operation: 'embeddings' } }],
    ['the group', { group: 'other' }],
    ['the customer, however named', { request: { endUser: 'c' } }],
    ['tags', { request: { tags: ['a'] } }],
    ['the key', { caller: { keyHash: 'b'.repeat(64) } }],
    ['the team', { caller: { teamId: 't' } }],
    ['a team named as a key', { caller: { teamId: exampleCaller.keyHash } }],
    ['the namespace', { namespace: 'n' }],
    ['the scope', { scope: 'global' }],
    ['the client’s API', { request: { spoken: spoken({}) } }],
    ['a dialect whose members are treated differently', { request: { translated: true } }],
  ])('depends on %s', (_, other) => {
    expect(keyOf(other)).not.toBe(keyOf());
  });

  it('of another API depends on the headers and the metadata that its provider sees', () => {
    const of = (headers: Record<string, string>, user: string) =>
      keyOf({ request: { spoken: spoken(headers) }, body: { ...body, metadata: { user_id: user } } });
    expect(of({}, 'a')).toBe(of({}, 'a'));
    expect(of({ 'anthropic-beta': 'x' }, 'a')).not.toBe(of({}, 'a'));
    expect(of({}, 'b')).not.toBe(of({}, 'a'));
  });

  it('is shared by the keys of a team, by nobody when the scope is the key, by all when it is global', () => {
    const [a, b] = [
      { keyHash: 'a'.repeat(64), teamId: 't' },
      { keyHash: 'b'.repeat(64), teamId: 't' },
    ];
    expect(keyOf({ caller: a })).toBe(keyOf({ caller: b }));
    expect(keyOf({ caller: a, scope: 'key' })).not.toBe(keyOf({ caller: b, scope: 'key' }));
    expect(keyOf({ caller: a, scope: 'global' })).toBe(
      keyOf({ caller: { keyHash: 'c', teamId: 'u' }, scope: 'global' }),
    );
  });

  it('of a pattern depends on the model that was asked for', () => {
    const of = (model: string) => keyOf({ request: { model }, group: 'openai/*' });
    expect(of('openai/a')).not.toBe(of('openai/b'));
  });

  it('of an upload depends on its fields and content and not on its boundary', () => {
    const form = (boundary: string, text: string, file: string) => {
      const part = (head: string, content: string) =>
        `--${boundary}\r\nContent-Disposition: form-data; ${head}\r\n\r\n${content}\r\n`;
      const bytes = `${part('name="language"', text)}${part('name="file"; filename="a.wav"', file)}--${boundary}--\r\n`;
      return keyOf({
        request: { bytes: Buffer.from(bytes), contentType: `multipart/form-data; boundary=${boundary}` },
      });
    };
    expect(form('x', 'de', 'sound')).toBe(form('y', 'de', 'sound'));
    expect(form('x', 'de', 'sound')).not.toBe(form('x', 'en', 'sound'));
    expect(form('x', 'de', 'sound')).not.toBe(form('x', 'de', 'other'));
  });

  it('tells any two bodies apart that mean different things, and none that mean the same', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (one, two) => {
        const meaning = (value: unknown): unknown => JSON.parse(canonical(value));
        expect(meaning(one)).toEqual(JSON.parse(JSON.stringify(one)));
        if (canonical(one) === canonical(two)) expect(meaning(one)).toEqual(meaning(two));
      }),
    );
  });
});
