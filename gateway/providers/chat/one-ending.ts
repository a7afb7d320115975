/** Keeps the promise of a `StreamDecoder` for every provider: exactly one ending, and nothing after it. */
import type { StreamDecoder, StreamPart } from '../adapter.ts';

export function oneEnding(decoder: StreamDecoder): StreamDecoder {
  let over = false;
  const upToEnding = (read: () => readonly StreamPart[]): readonly StreamPart[] => {
    if (over) return [];
    const parts = read();
    const ending = parts.findIndex((part) => part.is === 'end' || part.is === 'error');
    if (ending === -1) return parts;
    over = true;
    return parts.slice(0, ending + 1);
  };
  return {
    push: (bytes) => upToEnding(() => decoder.push(bytes)),
    end: () => upToEnding(() => decoder.end()),
  };
}
