/** OpenAI's tokenizers. Each is some megabytes of data, so only those that a configuration needs are loaded, at its start. */
import type { Deployment } from '../domain/deployment.ts';

export type EncodingName = 'o200k_base' | 'cl100k_base';

/** Counts the tokens of a text. Its time grows with the square of a text without spaces: give it short ones. */
export type Tokenizer = (text: string) => number;

export type Tokenizers = Readonly<Partial<Record<EncodingName, Tokenizer>>>;

/** A client's text may look like a token with a meaning; it has none here. */
const asText = { disallowedSpecial: new Set<string>() };

export async function loadTokenizers(names: ReadonlySet<EncodingName>): Promise<Tokenizers> {
  const loaded: Partial<Record<EncodingName, Tokenizer>> = {};
  for (const name of names) {
    const { countTokens, setMergeCacheSize } = await (name === 'o200k_base'
      ? import('gpt-tokenizer/encoding/o200k_base')
      : import('gpt-tokenizer/encoding/cl100k_base'));
    // Its memory of rare words would keep alive the prompts that they were cut from.
    setMergeCacheSize(0);
    loaded[name] = (text) => countTokens(text, asText);
    // The first count builds its tables.
    loaded[name]('a');
  }
  return loaded;
}

/** Models before GPT-4o. Those of other vendors have tokenizers of their own, most of which make some more tokens. */
const older = /^(ft:)?(gpt-4(?![o.\d])|gpt-3\.?5|text-embedding)/;

export const encodingOf = (model: string): EncodingName => (older.test(model) ? 'cl100k_base' : 'o200k_base');

/** Those that count for deployments whose context window is known. */
export const encodingsOf = (groups: ReadonlyMap<string, readonly Deployment[]>): ReadonlySet<EncodingName> =>
  new Set(
    [...groups.values()]
      .flat()
      .flatMap(({ maxInputTokens, listedAs, model }) =>
        maxInputTokens === undefined ? [] : [encodingOf(listedAs?.model ?? model)],
      ),
  );
