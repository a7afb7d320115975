/** What an upstream sends to show that it is there: comments of any provider, Anthropic's pings. Asked about every chunk. */

const colon = 0x3a;
/** Of `event: ping`. */
const [letterE, letterP] = [0x65, 0x70];
const pingAt = 'event: '.length;

/** @param block whole events. */
export function isKeepAlive(block: Buffer): boolean {
  if (block[0] === colon) return !block.includes('\ndata:');
  return (
    block[0] === letterE &&
    block[pingAt] === letterP &&
    /^(event: ping\r?\n(data:.*\r?\n)?\r?\n)+$/.test(block.toString())
  );
}
