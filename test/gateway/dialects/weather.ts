/** One answer with everything in it: reasoning with a signature, text, two calls that arrive interleaved. */
import type { Answer } from './canonical-answers.ts';

export const weatherAnswer: Answer = {
  reasoning: ['Two cities, ', 'two calls.'],
  signature: 'c2ln',
  text: ['Let me', ' look.'],
  calls: [
    { id: 'call_0', name: 'get_weather', pieces: ['{"city":', '"Oslo"}'] },
    { id: 'call_1', name: 'get_weather', pieces: ['{"city":"Ber', 'gen"}'] },
  ],
  order: [0, 1, 0, 1],
  finishReason: 'tool_calls',
  usage: {
    prompt_tokens: 30,
    completion_tokens: 40,
    total_tokens: 70,
    prompt_tokens_details: { cached_tokens: 10 },
    completion_tokens_details: { reasoning_tokens: 8 },
  },
  blockSizes: [1, 3],
};
