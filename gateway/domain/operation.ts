/** What a client can ask a model for. One table: routes, checks and upstream paths follow from it. */

export interface OperationSpec {
  /** Behind `/v1`, and without it; also the path upstream, behind the provider's base. */
  readonly path: string;
  /** Members that a body must have besides the model; each with the forms it may take. */
  readonly required: Readonly<Record<string, readonly ('text' | 'list')[]>>;
  /** Model group when the body names none (OpenAI makes it optional here); undefined = it must. */
  readonly defaultModel?: string;
  /** Form of the request. */
  readonly takes: 'json' | 'multipart';
  /** Form of the answer: a JSON object with usage, or whatever the provider sends (audio, plain text). */
  readonly answers: 'json' | 'anything';
  readonly streams: boolean;
}

export const operations = {
  chat: { path: '/chat/completions', required: {}, takes: 'json', answers: 'json', streams: true },
  embeddings: {
    path: '/embeddings',
    required: { input: ['text', 'list'] },
    takes: 'json',
    answers: 'json',
    streams: false,
  },
  moderations: {
    path: '/moderations',
    required: { input: ['text', 'list'] },
    defaultModel: 'omni-moderation-latest',
    takes: 'json',
    answers: 'json',
    streams: false,
  },
  images: {
    path: '/images/generations',
    required: { prompt: ['text'] },
    takes: 'json',
    answers: 'json',
    streams: false,
  },
  rerank: {
    path: '/rerank',
    required: { query: ['text'], documents: ['list'] },
    takes: 'json',
    answers: 'json',
    streams: false,
  },
  speech: { path: '/audio/speech', required: { input: ['text'] }, takes: 'json', answers: 'anything', streams: false },
  transcriptions: {
    path: '/audio/transcriptions',
    required: { file: ['text'] },
    takes: 'multipart',
    answers: 'anything',
    streams: false,
  },
} as const satisfies Readonly<Record<string, OperationSpec>>;

export type Operation = keyof typeof operations;

export const operationNames = Object.keys(operations).filter((name): name is Operation => name in operations);

export const specOf = (operation: Operation): OperationSpec => operations[operation];
