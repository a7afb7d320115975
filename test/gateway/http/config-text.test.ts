/** What administrators see of a configuration's text. */
import { array, assert, constantFrom, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { diffLines } from '../../../gateway/http/line-diff.ts';
import { masked } from '../../../gateway/http/mask-config.ts';

describe('a text that is shown', () => {
  it.each([
    ['    api_key: sk-abc', '    api_key: ***'],
    [
      '    litellm_params: {model: openai/m, api_key: sk-abc, rpm: 5}',
      '    litellm_params: {model: openai/m, api_key: ***, rpm: 5}',
    ],
    ['  master_key: "sk-1234567890"', '  master_key: "***"'],
    ['  database_url: postgresql://u:p@h/d', '  database_url: ***'],
    ['-  redis_password: hunter2', '-  redis_password: ***'],
    ['    api_key: os.environ/OPENAI_API_KEY', '    api_key: os.environ/OPENAI_API_KEY'],
    ['    input_cost_per_token: 0.1', '    input_cost_per_token: 0.1'],
    ['  num_retries: 3', '  num_retries: 3'],
  ])('%s', (line, shown) => {
    expect(masked(line)).toBe(shown);
  });
});

describe('the difference of two texts', () => {
  it('shows what changed with a little around it', () => {
    const before = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].join('\n');
    expect(diffLines(before, before.replace('f', 'F'))).toEqual(
      ['...', ' c', ' d', ' e', '-f', '+F', ' g', ' h'].slice(1),
    );
  });

  it('of equal texts is nothing', () => {
    expect(diffLines('a\nb', 'a\nb')).toEqual([]);
  });

  it('makes the one from the other', () => {
    // So short that a difference shows all of it.
    const text = array(constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 4 }).map((lines) => lines.join('\n'));
    assert(
      property(text, text, (before, after) => {
        const lines = diffLines(before, after);
        const without = (mark: string) =>
          lines
            .filter((line) => !line.startsWith(mark))
            .map((line) => line.slice(1))
            .join('\n');
        return before === after ? lines.length === 0 : without('+') === before && without('-') === after;
      }),
    );
  });
});
