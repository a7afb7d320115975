/** Where Redis is and how to speak to it: one server, a set with Sentinels, or a Cluster. */

export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

export type RedisTarget =
  | { readonly is: 'single'; readonly node: RedisNode }
  | {
      readonly is: 'sentinel';
      /** What the Sentinels call the set. */
      readonly name: string;
      readonly sentinels: readonly RedisNode[];
      readonly username?: string;
      readonly password?: string;
    }
  | { readonly is: 'cluster'; readonly nodes: readonly RedisNode[] };

export interface RedisTls {
  /** PEM files. Without an authority those of the system count. */
  readonly authorityFile?: string;
  readonly certificateFile?: string;
  readonly keyFile?: string;
  /** False = any certificate is taken (`ssl_cert_reqs: none`). */
  readonly verify: boolean;
  /** False = a certificate may be another host's (`ssl_check_hostname: false`). */
  readonly checkHost: boolean;
}

export interface RedisSettings {
  readonly target: RedisTarget;
  readonly username?: string;
  readonly password?: string;
  /** Number of the logical database; a Cluster has only 0. */
  readonly database: number;
  readonly tls?: RedisTls;
}

/** For messages; never a password. */
export function describeRedis({ target }: RedisSettings): string {
  const list = (nodes: readonly RedisNode[]): string => nodes.map(({ host, port }) => `${host}:${port}`).join(', ');
  switch (target.is) {
    case 'single':
      return list([target.node]);
    case 'sentinel':
      return `${target.name} (Sentinels ${list(target.sentinels)})`;
    case 'cluster':
      return `Cluster ${list(target.nodes)}`;
  }
}

const defaultPort = 6379;

/**
 * `redis://user:password@host:port/database`, or `rediss://` for TLS.
 * @returns undefined when it is none.
 */
export function parseRedisUrl(text: string): RedisSettings | undefined {
  if (!/^rediss?:\/\//.test(text) || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  const [username, password] = [decoded(url.username), decoded(url.password)];
  const database = Number(url.pathname.slice(1));
  if (username === undefined || password === undefined) return undefined;
  if (url.hostname === '' || !Number.isInteger(database)) return undefined;
  // IPv6 addresses come in brackets.
  const node = { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(url.port || defaultPort) };
  return {
    target: { is: 'single', node },
    database,
    ...(username === '' ? {} : { username }),
    ...(password === '' ? {} : { password }),
    ...(url.protocol === 'rediss:' ? { tls: { verify: true, checkHost: true } } : {}),
  };
}

/** Undefined for a percent sign that stands for nothing. */
function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}

/**
 * Nodes as LiteLLM and people write them: `[{host, port}]`, `[[host, port]]`, either as JSON text, or `host:port,host:port`.
 * @returns undefined when it is none of these, or empty.
 */
export function parseRedisNodes(value: unknown): readonly RedisNode[] | undefined {
  const list = typeof value === 'string' ? fromText(value) : value;
  if (!Array.isArray(list) || list.length === 0) return undefined;
  const nodes = list.map(toNode);
  return nodes.every((node) => node !== undefined) ? nodes : undefined;
}

function fromText(text: string): unknown {
  if (!text.trim().startsWith('[')) return text.split(',').map((part) => part.trim().split(':'));
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function toNode(item: unknown): RedisNode | undefined {
  const pair: unknown[] = Array.isArray(item) ? item : [memberOf(item, 'host'), memberOf(item, 'port')];
  const [host, given = defaultPort] = pair;
  const port = Number(given);
  const isNode = typeof host === 'string' && host !== '' && Number.isInteger(port) && port >= 1 && port <= 65_535;
  return isNode ? { host, port } : undefined;
}

const memberOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
