/** A Redis Cluster on loopback: three primaries with a replica each, which replace a dead primary within about three seconds. */
import { freePort } from './free-port.ts';
import { type RedisServer, startRedis } from './redis.ts';
import { findRedis } from './redis-binaries.ts';
import { ask, end, login, type RedisAddress, type RedisSetOptions, untilEach } from './redis-sentinel.ts';
import { runCommand } from './run-command.ts';

export interface RedisCluster {
  /** Any of them tells a client about all others. */
  readonly nodes: readonly RedisAddress[];
  /** As started: the first three began as primaries. */
  readonly servers: readonly RedisServer[];
  stop(): Promise<void>;
}

const host = '127.0.0.1';
const size = 6;

/** @throws LauncherError; nothing is left running. */
export async function startRedisCluster(options: RedisSetOptions = {}): Promise<RedisCluster> {
  const { password, signal } = options;
  const deadline = Date.now() + (options.startTimeoutSeconds ?? 30) * 1000;
  const binaries = await findRedis({ signal });
  const servers: RedisServer[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => end(server)));
  };
  const start = async (): Promise<void> => {
    const args = [
      '--cluster-enabled',
      'yes',
      '--cluster-node-timeout',
      '1000',
      '--repl-diskless-sync-delay',
      '0',
      // The usual one is 10,000 above the port, which may be beyond the last.
      '--cluster-port',
      String(await freePort()),
      ...(password === undefined ? [] : ['--masterauth', password]),
    ];
    servers.push(
      await startRedis({ port: await freePort(), args, binaries, ...(password === undefined ? {} : { password }) }),
    );
  };
  try {
    for (let index = 0; index < size; index++) await start();
    const addresses = servers.map(({ port }) => `${host}:${port}`);
    const create = binaries.command('redis-cli', [
      ...login(password),
      '--cluster',
      'create',
      ...addresses,
      '--cluster-replicas',
      '1',
      '--cluster-yes',
    ]);
    await runCommand(create, { timeoutSeconds: 30, signal });
    await untilEach(servers, deadline, signal, async ({ port }) => {
      const state = await ask(binaries, port, password, 'CLUSTER', 'INFO');
      const replication = await ask(binaries, port, password, 'INFO', 'replication');
      const linked = /master_link_status:up|connected_slaves:1/.test(replication);
      return state.includes('cluster_state:ok') && state.includes(`cluster_known_nodes:${size}`) && linked;
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { nodes: servers.map(({ port }) => ({ host, port })), servers, stop };
}
