/** How long the certificate that a region shows its clients is good. */
import { connect } from 'node:tls';
import type { ReadyCheck } from './ready.ts';

const patienceMs = 10_000;
/** AWS renews 60 days before the end; half of that gone, somebody must look. */
const fewestDays = 30;
const dayMs = 86_400_000;

/** @returns nothing where no TLS is spoken. */
export async function certificateCheck(address: string, signal: AbortSignal): Promise<readonly ReadyCheck[]> {
  const url = new URL(address);
  if (url.protocol !== 'https:') return [];
  try {
    return [certificateVerdict(await validUntil(url, signal), Date.now())];
  } catch (error) {
    signal.throwIfAborted();
    const note = error instanceof Error ? error.message : String(error);
    return [{ check: 'certificate', is: 'failed', note }];
  }
}

/** Pure. Both in milliseconds. */
export function certificateVerdict(validUntilMs: number, nowMs: number): ReadyCheck {
  const days = Math.floor((validUntilMs - nowMs) / dayMs);
  return { check: 'certificate', is: days >= fewestDays ? 'ok' : 'failed', note: `good for ${days} days` };
}

/** Rejects when it is not trusted, or made out to another name. */
function validUntil(url: URL, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    const stop = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
    const socket = connect({ host: url.hostname, port: Number(url.port || '443'), servername: url.hostname });
    const end = (): void => void socket.destroy(new Error('no certificate was shown in time'));
    stop.addEventListener('abort', end, { once: true });
    socket.once('close', () => stop.removeEventListener('abort', end));
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      resolve(new Date(socket.getPeerCertificate().valid_to).getTime());
      socket.destroy();
    });
  });
}
