/** Requests that not every deployment can serve, because only a provider that speaks the client's own API understands them. */
import type { Deployment } from '../domain/deployment.ts';
import { Refusal, UpstreamError } from '../domain/errors.ts';
import type { ModelRequest } from '../domain/request.ts';

/** No deployment of the group speaks the client's API, and the request cannot be translated; a fallback group may serve it. */
export class NotTranslatable extends UpstreamError {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super({ kind: 'bad-request', status: refusal.status, provider: 'gateway', message: refusal.message });
    this.name = 'NotTranslatable';
    this.refusal = refusal;
  }
}

/** For `Wanted`: what refers to something that one deployment keeps goes to that deployment. */
export function acceptedFrom({ spoken }: ModelRequest): { accepts?: (deployment: Deployment) => boolean } {
  const onlyAt = spoken?.onlyAt;
  return onlyAt === undefined ? {} : { accepts: ({ id }) => id === onlyAt };
}

export const continuationRefusal = ({ spoken }: ModelRequest): Refusal | undefined =>
  spoken?.onlyAt === undefined
    ? undefined
    : new Refusal({
        status: 400,
        type: 'invalid_request_error',
        param: 'previous_response_id',
        message:
          'previous_response_id names an answer of a deployment that this model group does not have (any more); send the whole conversation as input',
      });
