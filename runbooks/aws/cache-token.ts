/** Whether a cache takes a token: asked as its clients ask, with AUTH, since ElastiCache does not tell. */
import { connect as connectPlainly } from 'node:net';
import { connect as connectSecurely } from 'node:tls';

const patienceMs = 5_000;

/** @param url redis:// or rediss://, as it is reached from here. @throws when it does not answer, or not in time. */
export function takesToken(url: string, token: string, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const { protocol, hostname: host, port } = new URL(url);
    const place = { host, port: Number(port || '6379') };
    const socket = protocol === 'rediss:' ? connectSecurely({ ...place, servername: host }) : connectPlainly(place);
    const stop = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
    const end = (): void => void socket.destroy(new Error(`the cache at ${host} does not answer`));
    stop.addEventListener('abort', end, { once: true });
    if (stop.aborted) end();
    let answer = '';
    socket.once('error', reject);
    socket.once('close', () => {
      stop.removeEventListener('abort', end);
      // After an answer, or an error, this changes nothing.
      reject(new Error(`the cache at ${host} hangs up before it has answered`));
    });
    socket.on('data', (piece: Buffer) => {
      answer += piece.toString();
      if (!answer.includes('\r\n')) return;
      socket.destroy();
      if (answer.startsWith('+OK')) resolve(true);
      else if (/^-(WRONGPASS|ERR invalid password|NOAUTH)/.test(answer)) resolve(false);
      else reject(new Error(`the cache at ${host} answers ${answer.split('\r\n')[0]?.slice(0, 80)}`));
    });
    socket.write(`*2\r\n$4\r\nAUTH\r\n$${Buffer.byteLength(token)}\r\n${token}\r\n`);
  });
}
