import { describe, expect, it } from 'vitest';
import { parseRedisNodes, parseRedisUrl, type RedisSettings } from '../../../gateway/domain/redis-settings.ts';
import { faultsOf, load, withOne } from './load-example.ts';

const redisOf = (rest: string, environment: Record<string, string> = {}): RedisSettings | undefined =>
  load(withOne(rest), { environment }).config.redis;

const single = (host: string, port = 6379) => ({ is: 'single', node: { host, port } });
const everywhere = `
router_settings: {redis_host: router}
general_settings: {redis_host: general}
litellm_settings: {cache_params: {host: cache}}
cache_params: {host: top}
`;
const without = (...blocks: readonly string[]): string =>
  everywhere
    .split('\n')
    .filter((line) => !blocks.some((block) => line.startsWith(block)))
    .join('\n');

describe('which Redis is used', () => {
  it.each<[string, string, Record<string, string>, unknown]>([
    ['nothing names one', '', {}, undefined],
    ['REDIS_URL before everything', everywhere, { REDIS_URL: 'redis://env:1', REDIS_HOST: 'weak' }, single('env', 1)],
    [
      'REDIS_CLUSTER_NODES before everything',
      everywhere,
      { REDIS_CLUSTER_NODES: '[{"host": "a", "port": "7001"}]' },
      { is: 'cluster', nodes: [{ host: 'a', port: 7001 }] },
    ],
    ['router_settings before the other blocks', everywhere, { REDIS_HOST: 'weak' }, single('router')],
    ['then general_settings', without('router'), {}, single('general')],
    ['then litellm_settings.cache_params', without('router', 'general'), {}, single('cache')],
    ['then cache_params at the top', without('router', 'general', 'litellm'), {}, single('top')],
    ['then REDIS_HOST', '', { REDIS_HOST: 'weak', REDIS_PORT: '7' }, single('weak', 7)],
    ['a blank variable names nothing', '', { REDIS_HOST: '', REDIS_URL: '' }, undefined],
    [
      'Cluster nodes of the file, not the variable that they were made of',
      'litellm_settings: {cache_params: {type: redis, redis_startup_nodes: [{host: os.environ/REDIS_HOST, port: 7000}]}}',
      { REDIS_HOST: 'h' },
      { is: 'cluster', nodes: [{ host: 'h', port: 7000 }] },
    ],
    [
      'Sentinels of the cache',
      'litellm_settings: {cache_params: {service_name: mymaster, sentinel_nodes: [[localhost, 26379]], sentinel_password: s}}',
      {},
      { is: 'sentinel', name: 'mymaster', sentinels: [{ host: 'localhost', port: 26_379 }], password: 's' },
    ],
    [
      'Sentinels of the environment',
      '',
      { REDIS_SENTINEL_NODES: '[["a", 1], ["b", 2]]', REDIS_SERVICE_NAME: 'm' },
      {
        is: 'sentinel',
        name: 'm',
        sentinels: [
          { host: 'a', port: 1 },
          { host: 'b', port: 2 },
        ],
      },
    ],
    ['environment_variables of the file', 'environment_variables: {REDIS_HOST: fromfile}', {}, single('fromfile')],
  ])('%s', (_, rest, environment, target) => {
    expect(redisOf(rest, environment)?.target).toEqual(target);
  });

  it.each<[string, string, Record<string, string>, Partial<RedisSettings>]>([
    [
      'login, database and TLS come with the server',
      'router_settings: {redis_host: h, redis_port: "7", redis_username: u, redis_password: "p@/ s", redis_db: 3, redis_ssl: true}',
      { REDIS_PASSWORD: 'other' },
      { username: 'u', password: 'p@/ s', database: 3, tls: { verify: true, checkHost: true } },
    ],
    [
      'what it leaves out is taken from the environment',
      'router_settings: {redis_host: h}',
      { REDIS_PASSWORD: 'p', REDIS_USERNAME: 'u', REDIS_DB: '2' },
      { username: 'u', password: 'p', database: 2 },
    ],
    [
      'a URL says it all',
      '',
      { REDIS_URL: 'rediss://user:p%40ss@h:1/4' },
      { username: 'user', password: 'p@ss', database: 4, tls: { verify: true, checkHost: true } },
    ],
    [
      'certificates',
      'cache_params: {host: h, ssl: true, ssl_ca_certs: ca.pem, ssl_certfile: c.pem, ssl_keyfile: k.pem, ssl_cert_reqs: none, ssl_check_hostname: false}',
      {},
      {
        tls: {
          verify: false,
          checkHost: false,
          authorityFile: 'ca.pem',
          certificateFile: 'c.pem',
          keyFile: 'k.pem',
        },
      },
    ],
    ['no TLS where the file says so', 'cache_params: {host: h, ssl: false}', { REDIS_SSL: 'true' }, { database: 0 }],
  ])('%s', (_, rest, environment, expected) => {
    const { target: __, ...others } = redisOf(rest, environment) ?? {};
    expect(others).toEqual({ database: 0, ...expected });
  });

  it.each([
    ['general_settings: {redis_host: h, redis_use_sentinel: true}', {}, 'general_settings', /not their set/],
    ['cache_params: {service_name: m}', {}, 'cache_params', /no Sentinel/],
    ['router_settings: {redis_url: "http://secret"}', {}, 'router_settings', /must start with redis:/],
    ['cache_params: {redis_startup_nodes: [x], db: 1}', {}, 'cache_params.redis_startup_nodes', /such as/],
    ['cache_params: {redis_startup_nodes: [{host: h}], db: 1}', {}, 'cache_params', /only the database 0/],
    ['', { REDIS_CLUSTER_NODES: '[' }, 'environment', /REDIS_CLUSTER_NODES must be/],
    ['', { REDIS_DB: 'x' }, 'environment', /REDIS_DB must be a number/],
  ])('%s %o is a fault of its own place', (rest, environment, path, message) => {
    const faults = faultsOf(withOne(rest), { environment });
    expect(faults).toEqual([expect.objectContaining({ path, message: expect.stringMatching(message) })]);
    expect(JSON.stringify(faults)).not.toContain('secret');
  });
});

describe('addresses', () => {
  it.each([
    ['redis://h', 'h', 6379],
    ['rediss://[::1]:7', '::1', 7],
  ])('%s', (url, host, port) => {
    expect(parseRedisUrl(url)?.target).toEqual(single(host, port));
  });
  it.each(['', 'h:1', 'http://h', 'redis://', 'redis://h/x', 'redis://:%@h'])('%j is none', (url) => {
    expect(parseRedisUrl(url)).toBeUndefined();
  });
  it.each([['', 'a:b', [], [{}], [['', 1]], [['a', 70_000]], '{}', 5, null, undefined]])('%j are no nodes', (value) => {
    expect(parseRedisNodes(value)).toBeUndefined();
  });
  it('are taken as host:port,host:port, too', () => {
    expect(parseRedisNodes('a:1, b')).toEqual([
      { host: 'a', port: 1 },
      { host: 'b', port: 6379 },
    ]);
  });
});
