import { describe, expect, it } from 'vitest';
import type { UpstreamErrorKind } from '../../../gateway/domain/errors.ts';
import type { RecoverySettings } from '../../../gateway/domain/recovery.ts';
import type { Move, Standing } from '../../../gateway/pipeline/next-move.ts';
import { statusOfKind } from '../examples.ts';
import { failures, fallbackTo, giveUp, move, standing, toBackup, tried } from './standing.ts';

describe('which group is the fallback', () => {
  const exhausted = (kind: UpstreamErrorKind, over: Partial<Standing> = {}) =>
    standing(kind, { failures: failures(kind, 3), deployments: tried, ...over });

  it.each<[string, Standing, Partial<RecoverySettings>, Move]>([
    ['the first of its list', exhausted('timeout'), { fallbacks: new Map([['chat', ['a', 'b']]]) }, fallbackTo('a')],
    [
      'the next one after that failed too',
      exhausted('timeout', { groups: ['chat', 'a'] }),
      { fallbacks: new Map([['chat', ['a', 'b']]]) },
      fallbackTo('b'),
    ],
    ['nobody without a list', exhausted('timeout'), { fallbacks: new Map([['other', ['a']]]) }, giveUp],
    [
      'never the group itself',
      exhausted('timeout'),
      { fallbacks: new Map([['chat', ['chat', 'a']]]) },
      fallbackTo('a'),
    ],
    [
      'default_fallbacks without an entry of its own',
      exhausted('timeout'),
      { defaultFallbacks: ['d'] },
      fallbackTo('d'),
    ],
    [
      'its own entry rather than default_fallbacks',
      exhausted('timeout'),
      { fallbacks: new Map([['chat', ['a']]]), defaultFallbacks: ['d'] },
      fallbackTo('a'),
    ],
    [
      'the entry under the name without its provider',
      exhausted('timeout', { groups: ['openai/gpt-4o'] }),
      { fallbacks: new Map([['gpt-4o', ['a']]]) },
      fallbackTo('a'),
    ],
    [
      'the exact entry rather than the one without the provider',
      exhausted('timeout', { groups: ['openai/gpt-4o'] }),
      {
        fallbacks: new Map([
          ['gpt-4o', ['a']],
          ['openai/gpt-4o', ['b']],
        ]),
      },
      fallbackTo('b'),
    ],
    [
      'the failed fallback’s own list first: a chain',
      exhausted('timeout', { groups: ['chat', 'a'] }),
      {
        fallbacks: new Map([
          ['chat', ['a', 'b']],
          ['a', ['c']],
        ]),
      },
      fallbackTo('c'),
    ],
    [
      'then the rest of the first list',
      exhausted('timeout', { groups: ['chat', 'a', 'c'] }),
      {
        fallbacks: new Map([
          ['chat', ['a', 'b']],
          ['a', ['c']],
        ]),
      },
      fallbackTo('b'),
    ],
    [
      'for a prompt that is too long, context_window_fallbacks',
      exhausted('context-window'),
      { fallbacks: toBackup, contextWindowFallbacks: new Map([['chat', ['long']]]) },
      fallbackTo('long'),
    ],
    [
      'nobody when context_window_fallbacks exist without an entry: the general list would fail the same way',
      exhausted('context-window'),
      { fallbacks: toBackup, defaultFallbacks: ['d'], contextWindowFallbacks: new Map([['other', ['long']]]) },
      giveUp,
    ],
    [
      'the general list when there are no context_window_fallbacks at all',
      exhausted('context-window'),
      { fallbacks: toBackup },
      fallbackTo('backup'),
    ],
    [
      'for a refused prompt, content_policy_fallbacks',
      exhausted('content-policy'),
      { fallbacks: toBackup, contentPolicyFallbacks: new Map([['chat', ['lenient']]]) },
      fallbackTo('lenient'),
    ],
    [
      'nobody when content_policy_fallbacks exist without an entry',
      exhausted('content-policy'),
      { fallbacks: toBackup, contentPolicyFallbacks: new Map([['other', ['lenient']]]) },
      giveUp,
    ],
    [
      'the special lists say nothing about other kinds',
      exhausted('timeout'),
      { fallbacks: toBackup, contextWindowFallbacks: new Map([['chat', ['long']]]) },
      fallbackTo('backup'),
    ],
    [
      'nobody beyond max_fallbacks',
      exhausted('timeout', { groups: ['chat', 'a'] }),
      { fallbacks: new Map([['chat', ['a', 'b']]]), maxFallbacks: 1 },
      giveUp,
    ],
    ['nobody with max_fallbacks 0', exhausted('timeout'), { fallbacks: toBackup, maxFallbacks: 0 }, giveUp],
    [
      'nobody with disable_fallbacks',
      exhausted('timeout', { overrides: { disableFallbacks: true, fallbacks: [{ model: 'mine' }] } }),
      { fallbacks: toBackup },
      giveUp,
    ],
    [
      'those of the request instead of the configured ones',
      exhausted('timeout', { overrides: { disableFallbacks: false, fallbacks: [{ model: 'mine' }] } }),
      { fallbacks: toBackup },
      fallbackTo('mine'),
    ],
    [
      'those of the request also for prompts that are too long',
      exhausted('context-window', { overrides: { disableFallbacks: false, fallbacks: [{ model: 'mine' }] } }),
      { contextWindowFallbacks: new Map([['chat', ['long']]]) },
      fallbackTo('mine'),
    ],
    [
      'nobody when the request’s own list is empty',
      exhausted('timeout', { overrides: { disableFallbacks: false, fallbacks: [] } }),
      { fallbacks: toBackup },
      giveUp,
    ],
  ])('%s', (_rule, at, settings, expected) => {
    expect(move(at, settings)).toEqual(expected);
  });

  it('a prompt that is too long goes to its list at once, with retries left', () => {
    const settings = { contextWindowFallbacks: new Map([['chat', ['long']]]), retriesByKind: { 'context-window': 3 } };
    expect(move(standing('context-window'), settings)).toEqual(fallbackTo('long'));
  });

  it.each(Object.keys(statusOfKind).filter((kind): kind is UpstreamErrorKind => kind in statusOfKind))(
    'a failure of the kind %s that retries did not mend goes to the fallback (aisix#46: 429 did not)',
    (kind) => {
      expect(move(exhausted(kind), { fallbacks: toBackup })).toEqual(fallbackTo('backup'));
    },
  );

  it('one that changes the request may lead where the request has been, each once', () => {
    const shorter = { model: 'chat', members: { messages: [] } };
    const overrides = { disableFallbacks: false, fallbacks: [{ model: 'chat' }, shorter, { model: 'b' }] };
    expect(move(exhausted('timeout', { overrides }))).toEqual({ kind: 'fallback', to: shorter });
    expect(move(exhausted('timeout', { overrides, taken: new Set([shorter]) }))).toEqual(fallbackTo('b'));
  });

  it('a bad request of the client goes to the fallbacks without a retry', () => {
    expect(move(standing('bad-request'), { fallbacks: toBackup })).toEqual(fallbackTo('backup'));
  });
});
