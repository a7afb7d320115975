/** How Redis and its Sentinels start: which server leads is what the Sentinels say, and only at the very first start redis-0. */

import { ports } from '../../lib/platform/names.ts';

/** Sets `leader` to the host that the Sentinels agree on; empty when none of them knows one. */
const askSentinels = `leader=
for number in 0 1 2; do
  leader=$(timeout 2 redis-cli -h "redis-sentinel-$number.redis-sentinel" -p ${ports.sentinel} -a "$REDIS_PASSWORD" --no-auth-warning --raw \\
    sentinel get-master-addr-by-name mymaster 2>/dev/null | head -n 1) || leader=
  [ -n "$leader" ] && break
done
`;

/** A server that comes back follows whoever leads now, even if it led before. */
export const redisScript = `set -eu
self="$POD_NAME.redis"
${askSentinels}
follow=
if [ -z "$leader" ]; then leader=redis-0.redis; fi
if [ "$leader" != "$self" ]; then follow="--replicaof $leader ${ports.valkey}"; fi
# shellcheck disable=SC2086
exec redis-server --port ${ports.valkey} --dir /data --appendonly yes --maxmemory 1536mb --maxmemory-policy allkeys-lru \\
  --requirepass "$REDIS_PASSWORD" --masterauth "$REDIS_PASSWORD" \\
  --replica-announce-ip "$self" $follow
`;

/** Its file is its memory, on a volume: written once, kept by the Sentinel itself afterwards. */
export const sentinelScript = `set -eu
if [ ! -s /data/sentinel.conf ]; then
${askSentinels}
  if [ -z "$leader" ]; then leader=redis-0.redis; fi
  cat > /data/sentinel.conf.new <<CONFIGURATION
port ${ports.sentinel}
dir /tmp
requirepass $REDIS_PASSWORD
sentinel sentinel-pass $REDIS_PASSWORD
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
sentinel announce-ip $POD_NAME.redis-sentinel
sentinel monitor mymaster $leader ${ports.valkey} 2
sentinel auth-pass mymaster $REDIS_PASSWORD
sentinel down-after-milliseconds mymaster 5000
sentinel parallel-syncs mymaster 1
sentinel failover-timeout mymaster 10000
CONFIGURATION
  mv /data/sentinel.conf.new /data/sentinel.conf
fi
exec redis-sentinel /data/sentinel.conf
`;
