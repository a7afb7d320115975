/** A gateway whose PostgreSQL, Redis and S3 stand behind proxies, to be taken away and given back together. */
import { type FaultProxy, startFaultProxy } from '../../runbooks/lab/fault-proxy.ts';
import { type ObjectStore, storeObject } from '../../runbooks/lab/object-store.ts';
import { type GatewayOptions, hello, type TestGateway } from './gateway.ts';

export interface StoresBehindProxies {
  readonly options: GatewayOptions;
  /** Puts a configuration into S3: one model group of this name. */
  put(modelGroup: string): void;
  /** `refuse` = nobody listens; `silent` = nobody answers, which costs more. */
  away(how: 'silent' | 'refuse'): Promise<void>;
  heal(): Promise<void>;
  close(): Promise<void>;
}

/** @param upstream origin of the provider. */
export async function behindProxies(
  real: { readonly databaseUrl: string; readonly redisUrl: string; readonly store: ObjectStore },
  upstream: string,
  dataDirectory: string,
): Promise<StoresBehindProxies> {
  const proxyOf = (url: URL): Promise<FaultProxy> => startFaultProxy({ port: Number(url.port), host: url.hostname });
  const databaseUrl = new URL(real.databaseUrl);
  const postgres = await proxyOf(databaseUrl);
  const redis = await proxyOf(new URL(real.redisUrl));
  const s3 = await proxyOf(new URL(real.store.url));
  const proxies = [postgres, redis, s3];
  databaseUrl.host = postgres.address;
  return {
    options: {
      // What is in S3 counts; this one could not even be read.
      config: 'model_list: [',
      databaseUrl: databaseUrl.href,
      dataDirectory,
      environment: {
        CONFIG_S3_BUCKET: 'configs',
        CONFIG_S3_KEY: 'live.yaml',
        CONFIG_S3_ENDPOINT_URL: `http://${s3.address}`,
        AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE',
        AWS_SECRET_ACCESS_KEY: 'not-a-secret',
        LLMROUTER_HA_LEASE_SECONDS: '2',
        LLMROUTER_HA_RENEW_INTERVAL_SECONDS: '0.5',
      },
    },
    put: (modelGroup) =>
      void storeObject(
        real.store.objects,
        'configs/live.yaml',
        Buffer.from(`
model_list:
  - model_name: ${modelGroup}
    litellm_params: {model: openai/m, api_base: "${upstream}/v1", api_key: sk-u}
general_settings: {redis_host: 127.0.0.1, redis_port: ${redis.port}}`),
      ),
    away: async (accept) => {
      for (const proxy of proxies) {
        await proxy.set({ accept });
        proxy.cut();
      }
    },
    heal: async () => {
      for (const proxy of proxies) await proxy.heal();
    },
    close: async () => void (await Promise.all(proxies.map((proxy) => proxy.close()))),
  };
}

/** @returns the status of a completion. */
export async function completionStatus(gateway: TestGateway, model: string, key: string): Promise<number> {
  const response = await gateway.post('/v1/chat/completions', { ...hello, model }, { authorization: `Bearer ${key}` });
  await response.arrayBuffer();
  return response.status;
}
