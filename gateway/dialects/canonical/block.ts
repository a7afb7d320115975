/**
 * The answer of an assistant as a sequence of blocks, which is how the Messages and the Responses API see it. A canonical
 * message is the same without the order between text, reasoning and calls.
 */

import { parseJson } from './json.ts';

export type BlockKind = 'thinking' | 'redacted' | 'text' | 'refusal' | 'tool';

/** One finished block. */
export type Block =
  /** Reasoning. The signature is the provider's proof of it, empty where there is none. */
  | { readonly is: 'thinking'; readonly text: string; readonly signature: string }
  /** Reasoning that only the provider can read. */
  | { readonly is: 'redacted'; readonly data: string }
  | {
      readonly is: 'text';
      readonly text: string;
      readonly logprobs: readonly unknown[];
      readonly annotations: readonly unknown[];
    }
  | { readonly is: 'refusal'; readonly text: string }
  | { readonly is: 'tool'; readonly id: string; readonly name: string; readonly arguments: string };

/** Whether a token limit ended the answer within this block: in its last one, or in a call whose arguments stop short. */
export const isCut = (block: Block, last: boolean): boolean =>
  last || (block.is === 'tool' && block.arguments !== '' && parseJson(block.arguments) === undefined);

/** What happens to blocks while they arrive. Only one block is open at a time. */
export type BlockEvent =
  /** `block` has everything but the text that follows as pieces. */
  | { readonly is: 'start'; readonly block: Block }
  /** More text, reasoning, refusal or arguments of the open block. */
  | { readonly is: 'piece'; readonly kind: BlockKind; readonly text: string; readonly logprobs: readonly unknown[] }
  /** The open block is finished; `block` is all of it. */
  | { readonly is: 'stop'; readonly block: Block };
