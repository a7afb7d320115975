/** An adapter that leaves out what the request or its deployment wants left out, see `dropped-params.ts`. */
import type { Deployment } from '../domain/deployment.ts';
import type { ModelRequest } from '../domain/request.ts';
import type { NativeAdapter, ProviderAdapter } from './adapter.ts';
import type { AdapterOptions } from './chat/refuse.ts';
import { dropsInexpressible, withoutDropped } from './dropped-params.ts';

export function dropping(make: (options: AdapterOptions) => ProviderAdapter, options: AdapterOptions): ProviderAdapter {
  const strict = make({ ...options, dropParams: false });
  const lenient = make({ ...options, dropParams: true });
  const adapterFor = (request: ModelRequest, deployment: Deployment): ProviderAdapter =>
    dropsInexpressible(request, deployment, options) ? lenient : strict;
  return {
    ...strict,
    toUpstream: (request, deployment) =>
      adapterFor(request, deployment).toUpstream(withoutDropped(request, deployment), deployment),
    ...(strict.inBatches && {
      inBatches: (request: ModelRequest, deployment: Deployment) =>
        adapterFor(request, deployment).inBatches?.(withoutDropped(request, deployment), deployment),
    }),
    ...(strict.native && {
      native: Object.fromEntries(Object.entries(strict.native).map(([api, endpoint]) => [api, droppingToo(endpoint)])),
    }),
  };
}

/** The provider's own API expresses everything; what the list names is left out there as well. */
const droppingToo = (endpoint: NativeAdapter): NativeAdapter => ({
  ...endpoint,
  toUpstream: (request, deployment) => endpoint.toUpstream(withoutDropped(request, deployment), deployment),
});
