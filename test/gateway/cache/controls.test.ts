import { describe, expect, it } from 'vitest';
import { readControls } from '../../../gateway/cache/controls.ts';
import type { CacheSettings } from '../../../gateway/domain/cache-settings.ts';
import { exampleRequest } from '../examples.ts';
import { cacheSettings } from './cache-settings.ts';

const read = (cache: unknown, header?: string, settings: Partial<CacheSettings> = {}, allowed?: readonly string[]) =>
  readControls(
    exampleRequest(
      { model: 'chat', messages: [], ...(cache === undefined ? {} : { cache }) },
      header === undefined ? {} : { cacheControl: header },
    ),
    allowed === undefined ? {} : { allowedCacheControls: allowed },
    cacheSettings(settings),
  );

describe('cache controls of a request', () => {
  it.each<[string, unknown, string | undefined, object | undefined]>([
    ['nothing said', undefined, undefined, { read: true, store: true, ttlSeconds: 100, coalesce: true, namespace: '' }],
    ['null', null, undefined, { read: true, store: true }],
    ['ttl', { ttl: 5 }, undefined, { ttlSeconds: 5 }],
    ['ttl as text', { ttl: '5' }, undefined, { ttlSeconds: 5 }],
    ['ttl 0 keeps nothing', { ttl: 0 }, undefined, { read: true, store: false }],
    ['s-maxage', { 's-maxage': 7 }, undefined, { maxAgeSeconds: 7 }],
    ['s-max-age', { 's-max-age': 7 }, undefined, { maxAgeSeconds: 7 }],
    [
      'no-cache skips the read, and is not shared',
      { 'no-cache': true },
      undefined,
      { read: false, store: true, coalesce: false },
    ],
    ['no-store keeps nothing', { 'no-store': true }, undefined, { read: true, store: false, coalesce: false }],
    ['both: nothing to do', { 'no-cache': true, 'no-store': true }, undefined, undefined],
    ['no-coalesce', { 'no-coalesce': true }, undefined, { read: true, store: true, coalesce: false }],
    ['namespace', { namespace: 'n' }, undefined, { namespace: 'n' }],
    ['header no-cache', undefined, 'no-cache', { read: false, store: true }],
    ['header no-store', undefined, 'max-age=0, NO-STORE', { store: false }],
    ['header s-maxage before max-age', undefined, 'max-age=9, s-maxage=3', { maxAgeSeconds: 3 }],
    ['header of no concern', undefined, 'private, must-revalidate, max-age=x', { read: true, store: true }],
    ['the body before the header', { 's-maxage': 1 }, 's-maxage=3', { maxAgeSeconds: 1 }],
  ])('%s', (_, cache, header, expected) => {
    const controls = read(cache, header);
    if (expected === undefined) expect(controls).toBeUndefined();
    else expect(controls).toMatchObject(expected);
  });

  it('default_off: only requests that ask for it', () => {
    expect(read(undefined, undefined, { byDefault: false })).toBeUndefined();
    expect(read({ 'use-cache': true }, undefined, { byDefault: false })).toMatchObject({ read: true });
  });

  it('an operation that is not cached has nothing to do with it, whatever it says', () => {
    expect(read({ ttl: 'nonsense' }, undefined, { operations: new Set() })).toBeUndefined();
  });

  it.each([
    [true, 'cache must be an object'],
    [[], 'cache must be an object'],
    [{ ttl: -1 }, 'cache.ttl must be'],
    [{ 's-maxage': 'soon' }, 'cache.s-maxage must be'],
    [{ 'no-cache': 'yes' }, 'cache.no-cache must be true or false'],
    [{ namespace: 5 }, 'cache.namespace must be'],
  ])('%j is refused with the name of the field', (cache, message) => {
    expect(() => read(cache)).toThrow(message);
  });

  it('a key with a list of allowed controls may use those and no others', () => {
    expect(read({ ttl: 5 }, undefined, {}, ['ttl'])).toMatchObject({ ttlSeconds: 5 });
    expect(() => read({ 'no-cache': true }, undefined, {}, ['ttl'])).toThrow('may not use cache.no-cache');
    expect(read({ 'no-cache': true }, undefined, {}, [])).toMatchObject({ read: false });
  });
});
