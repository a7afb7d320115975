/** The headers of a request that the pipeline reads. */
import type { IncomingMessage } from 'node:http';
import type { RequestHeaders } from '../pipeline/read-request.ts';

export const requestHeaders = ({ headers }: IncomingMessage): RequestHeaders => ({
  callId: single(headers['x-litellm-call-id']),
  timeout: single(headers['x-litellm-timeout']),
  numRetries: single(headers['x-litellm-num-retries']),
  tags: single(headers['x-litellm-tags']),
  streamTimeout: single(headers['x-litellm-stream-timeout']),
  spendMetadata: single(headers['x-litellm-spend-logs-metadata']),
  customerId: single(headers['x-litellm-customer-id']),
  endUserId: single(headers['x-litellm-end-user-id']),
  redaction: single(headers['x-litellm-enable-message-redaction']),
  contentType: headers['content-type'],
  cacheControl: headers['cache-control'],
});

const single = (value: string | string[] | undefined): string | undefined => (Array.isArray(value) ? value[0] : value);
