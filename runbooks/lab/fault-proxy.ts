/**
 * A TCP proxy that fails as networks and servers do, and can be told so while it runs. Clients are given its address
 * instead of the target's.
 *
 *     const proxy = await startFaultProxy({ host: '127.0.0.1', port: redis.port });
 *     await proxy.set({ freeze: 'both' });   // the server hangs, its socket stays open
 *     await proxy.heal();
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** What can be wrong. A fault counts for open connections and for new ones, unless it says otherwise. */
export interface Faults {
  /** Each piece arrives so much later, in each direction; order is kept. */
  readonly latencyMs: number;
  /** Up to so much more, drawn anew for each piece. */
  readonly jitterMs: number;
  /** Of each direction of each connection. */
  readonly bytesPerSecond: number;
  /** Bytes of this direction (`up` = to the target) are kept and not passed on; so is the end of the connection. */
  readonly freeze: 'none' | 'up' | 'down' | 'both';
  /**
   * New connections: to the target; accepted and left alone (half open), and reset when this fault ends; refused by the
   * operating system.
   */
  readonly accept: 'forward' | 'silent' | 'refuse';
  /** The connection is reset once so many bytes of it have reached the client. */
  readonly cutAfterBytes: number;
}

export interface FaultProxyCounts {
  /** Accepted so far; refused ones are never seen. */
  readonly connections: number;
  readonly open: number;
  /** Bytes passed on to the target, and to clients. */
  readonly bytesUp: number;
  readonly bytesDown: number;
}

export interface FaultProxy {
  readonly host: string;
  readonly port: number;
  /** `host:port`. */
  readonly address: string;
  /** Adds to the faults that stand. Resolves once new connections meet them. */
  set(faults: Partial<Faults>): Promise<void>;
  /** No fault any more; what was kept is passed on. */
  heal(): Promise<void>;
  /** Resets every open connection on both sides (RST); new ones are not touched. */
  cut(): void;
  counts(): FaultProxyCounts;
  /** New connections go elsewhere from now on, as after a change of DNS; open ones stay where they are. */
  retarget(target: { readonly port: number; readonly host?: string }): void;
  /** Ends all connections; safe to call twice. */
  close(): Promise<void>;
}

const sound: Faults = {
  latencyMs: 0,
  jitterMs: 0,
  bytesPerSecond: Number.POSITIVE_INFINITY,
  freeze: 'none',
  accept: 'forward',
  cutAfterBytes: Number.POSITIVE_INFINITY,
};
const host = '127.0.0.1';
/** Beyond it the sender is held back, as by a full socket. */
const keptBytesLimit = 256 * 1024;
const slicesPerSecond = 50;

export interface FaultProxyTarget {
  readonly port: number;
  readonly host?: string;
  /** 0 = any free one. */
  readonly listenPort?: number;
  /** An address of this machine; loopback if not given. */
  readonly listenHost?: string;
}

/** The caller closes it. */
export async function startFaultProxy(target: FaultProxyTarget): Promise<FaultProxy> {
  const proxy = new Proxy(target.host ?? host, target.port, target.listenHost ?? host);
  await proxy.listen(target.listenPort ?? 0);
  return proxy;
}

class Proxy implements FaultProxy {
  readonly host: string;
  #targetHost: string;
  #targetPort: number;
  readonly #connections = new Set<Connection>();
  #server: Server | undefined;
  #port = 0;
  #accepted = 0;
  #bytesUp = 0;
  #bytesDown = 0;
  #closed = false;
  /** Read by every connection at every piece, so that a change counts at once. */
  faults: Faults = sound;

  constructor(targetHost: string, targetPort: number, listenHost: string) {
    this.host = listenHost;
    this.#targetHost = targetHost;
    this.#targetPort = targetPort;
  }

  get port(): number {
    return this.#port;
  }
  get address(): string {
    return `${this.host}:${this.#port}`;
  }

  async listen(port: number): Promise<void> {
    const server = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
    server.listen(port, this.host);
    await once(server, 'listening');
    const address = server.address();
    if (typeof address === 'object' && address !== null) this.#port = address.port;
    this.#server = server;
  }

  async set(faults: Partial<Faults>): Promise<void> {
    const wasSilent = this.faults.accept === 'silent';
    this.faults = { ...this.faults, ...faults };
    // What was left alone is known to nobody behind the proxy: as soon as anything gets through, that is the answer.
    if (wasSilent && this.faults.accept !== 'silent') {
      for (const connection of this.#connections) if (connection.isLeftAlone) connection.reset();
    }
    for (const connection of this.#connections) connection.wake();
    if (this.#closed) return;
    if (this.faults.accept === 'refuse') this.#stopListening();
    else if (this.#server === undefined) await this.listen(this.#port);
  }

  heal(): Promise<void> {
    return this.set(sound);
  }

  cut(): void {
    for (const connection of this.#connections) connection.reset();
  }

  retarget(target: { readonly port: number; readonly host?: string }): void {
    this.#targetHost = target.host ?? host;
    this.#targetPort = target.port;
  }

  counts(): FaultProxyCounts {
    return {
      connections: this.#accepted,
      open: this.#connections.size,
      bytesUp: this.#bytesUp,
      bytesDown: this.#bytesDown,
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stopListening();
    this.cut();
  }

  /** The operating system refuses from here on; open connections stay. */
  #stopListening(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  #accept(client: Socket): void {
    this.#accepted++;
    const target =
      this.faults.accept === 'silent'
        ? undefined
        : connect({ host: this.#targetHost, port: this.#targetPort, allowHalfOpen: true, noDelay: true });
    client.setNoDelay(true);
    const connection = new Connection(client, target, {
      faults: () => this.faults,
      onUp: (bytes) => {
        this.#bytesUp += bytes;
      },
      onDown: (bytes) => {
        this.#bytesDown += bytes;
      },
      onClosed: () => this.#connections.delete(connection),
    });
    this.#connections.add(connection);
  }
}

interface ConnectionOptions {
  readonly faults: () => Faults;
  readonly onUp: (bytes: number) => void;
  readonly onDown: (bytes: number) => void;
  readonly onClosed: () => void;
}

class Connection {
  readonly #client: Socket;
  readonly #target: Socket | undefined;
  readonly #flows: readonly Flow[];

  constructor(client: Socket, target: Socket | undefined, options: ConnectionOptions) {
    this.#client = client;
    this.#target = target;
    if (target === undefined) {
      this.#flows = [];
      // Read and thrown away, so that its end is noticed.
      client.resume();
      client.on('error', () => this.reset());
      client.once('end', () => client.end());
    } else {
      const onReset = (): void => this.reset();
      this.#flows = [
        new Flow({ from: client, to: target, direction: 'up', ...options, onPassed: options.onUp, onReset }),
        new Flow({ from: target, to: client, direction: 'down', ...options, onPassed: options.onDown, onReset }),
      ];
    }
    for (const socket of [client, target]) {
      socket?.once('close', () => {
        if (client.destroyed && target?.destroyed !== false) options.onClosed();
      });
    }
  }

  get isLeftAlone(): boolean {
    return this.#target === undefined;
  }

  wake(): void {
    for (const flow of this.#flows) flow.wake();
  }

  reset(): void {
    for (const flow of this.#flows) flow.stop();
    for (const socket of [this.#client, this.#target]) {
      if (socket === undefined || socket.destroyed) continue;
      // A reset is refused while an end is on its way (libuv: EINVAL), and Node then keeps the handle for ever: the
      // process never comes to its end.
      if (socket.writableEnded && !socket.writableFinished) socket.destroy();
      else socket.resetAndDestroy();
    }
  }
}

interface FlowOptions {
  readonly from: Socket;
  readonly to: Socket;
  readonly direction: 'up' | 'down';
  readonly faults: () => Faults;
  readonly onPassed: (bytes: number) => void;
  readonly onReset: () => void;
}

/** One direction of a connection: pieces wait here until they are due, and are passed on in order. */
class Flow {
  readonly #options: FlowOptions;
  readonly #waiting: { readonly what: Buffer | 'end' | 'reset'; readonly dueAtMs: number }[] = [];
  #keptBytes = 0;
  #passedBytes = 0;
  #running = false;
  #stopped = false;
  #wake: (() => void) | undefined;

  constructor(options: FlowOptions) {
    this.#options = options;
    const { from } = options;
    from.on('data', (bytes: Buffer) => {
      this.#keptBytes += bytes.length;
      if (this.#keptBytes > keptBytesLimit) from.pause();
      this.#push(bytes);
    });
    from.once('end', () => this.#push('end'));
    // In its turn, and not while frozen: a network that passes nothing on passes no reset on.
    from.on('error', () => this.#push('reset'));
  }

  /** The faults have changed. */
  wake(): void {
    this.#wake?.();
  }

  stop(): void {
    this.#stopped = true;
    this.#waiting.length = 0;
    this.wake();
  }

  #push(what: Buffer | 'end' | 'reset'): void {
    if (this.#stopped) return;
    const { latencyMs, jitterMs } = this.#options.faults();
    this.#waiting.push({ what, dueAtMs: performance.now() + latencyMs + Math.random() * jitterMs });
    if (!this.#running) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let next = this.#waiting[0]; next !== undefined && !this.#stopped; next = this.#waiting[0]) {
      const waitMs = next.dueAtMs - performance.now();
      if (this.#isFrozen()) await this.#untilChanged();
      else if (waitMs >= 1) await sleep(waitMs, undefined, { ref: false });
      else {
        this.#waiting.shift();
        await this.#pass(next.what);
      }
    }
    this.#running = false;
  }

  async #pass(what: Buffer | 'end' | 'reset'): Promise<void> {
    const { from, to, faults, direction } = this.#options;
    if (what === 'reset') return this.#options.onReset();
    if (what === 'end') return void to.end();
    for (let at = 0; at < what.length && !this.#stopped; ) {
      while (this.#isFrozen() && !this.#stopped) await this.#untilChanged();
      const { bytesPerSecond, cutAfterBytes } = faults();
      const left = direction === 'down' ? cutAfterBytes - this.#passedBytes : Number.POSITIVE_INFINITY;
      const piece = what.subarray(at, at + Math.floor(Math.max(0, Math.min(left, slice(bytesPerSecond), what.length))));
      at += piece.length;
      await written(to, piece);
      this.#keptBytes -= piece.length;
      this.#passedBytes += piece.length;
      this.#options.onPassed(piece.length);
      if (piece.length >= left) return this.#options.onReset();
      if (Number.isFinite(bytesPerSecond))
        await sleep((piece.length / bytesPerSecond) * 1000, undefined, { ref: false });
    }
    if (this.#keptBytes <= keptBytesLimit) from.resume();
  }

  #isFrozen(): boolean {
    const { freeze } = this.#options.faults();
    return freeze === 'both' || freeze === this.#options.direction;
  }

  #untilChanged(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

const slice = (bytesPerSecond: number): number => Math.max(1, bytesPerSecond / slicesPerSecond);

/** Resolves when the operating system has the bytes, or when the socket is gone: its own handlers tell of that. */
function written(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) resolve();
    else socket.write(bytes, () => resolve());
  });
}
