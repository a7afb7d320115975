/** moto goes on to name the source of a database that was promoted; RDS does not. In between, that is mended. */
import { createServer } from 'node:http';
import { freePort } from '../../../runbooks/lab/free-port.ts';

export interface MendedMoto {
  readonly url: string;
  /** Requests that are answered with `Throttling` before the next one passes. */
  throttle(times: number): void;
  close(): void;
}

export async function mendMoto(moto: string): Promise<MendedMoto> {
  const promoted = new Set<string>();
  let throttled = 0;
  const server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(Buffer.from(chunk));
      const body = Buffer.concat(chunks);
      const form = new URLSearchParams(body.toString());
      if (form.has('Action') && throttled > 0) {
        throttled--;
        response.writeHead(400, { 'content-type': 'text/xml' });
        response.end(
          '<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error><RequestId>r</RequestId></ErrorResponse>',
        );
        return;
      }
      const headers = Object.entries(request.headers).flatMap(([name, value]): [string, string][] =>
        typeof value === 'string' && !['host', 'connection', 'content-length', 'expect'].includes(name)
          ? [[name, value]]
          : [],
      );
      const method = request.method ?? 'GET';
      const answer = await fetch(new URL(request.url ?? '/', moto), {
        method,
        headers,
        ...(method === 'GET' || method === 'HEAD' ? {} : { body }),
      });
      const id = form.get('DBInstanceIdentifier');
      if (form.get('Action') === 'PromoteReadReplica' && answer.ok && id !== null) promoted.add(id);
      let text = await answer.text();
      for (const one of promoted) {
        text = text.replaceAll(/<DBInstance>[\s\S]*?<\/DBInstance>/g, (instance) =>
          instance.includes(`<DBInstanceIdentifier>${one}</DBInstanceIdentifier>`)
            ? instance.replace(
                /<ReadReplicaSourceDBInstanceIdentifier>[\s\S]*?<\/ReadReplicaSourceDBInstanceIdentifier>/,
                '',
              )
            : instance,
        );
      }
      const passed = [...answer.headers].filter(
        ([name]) => !/^(content-length|connection|content-encoding)$/.test(name),
      );
      response.writeHead(answer.status, Object.fromEntries(passed));
      response.end(text);
    })().catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${port}`,
    throttle: (times) => {
      throttled = times;
    },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
