/**
 * Images and documents. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ImageBlock.html and
 * https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html
 */
import type { FilePart, ImagePart, MediaSource } from '../chat/prompt.ts';
import { inexpressible } from '../chat/refuse.ts';
import type { ContentBlock } from './wire.ts';

const imageFormats: Readonly<Record<string, string>> = {
  'image/png': 'png',
  'image/jpeg': 'jpeg',
  'image/jpg': 'jpeg',
  'image/gif': 'gif',
  'image/webp': 'webp',
};

const documentFormats: Readonly<Record<string, string>> = {
  'application/pdf': 'pdf',
  'text/csv': 'csv',
  'application/msword': 'doc',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document': 'docx',
  'application/vnd.ms-excel': 'xls',
  'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet': 'xlsx',
  'text/html': 'html',
  'text/plain': 'txt',
  'text/markdown': 'md',
};

const allImages: ReadonlySet<string> = new Set(Object.values(imageFormats));

type MediaData = Extract<MediaSource, { is: 'data' }>;

/** Makes the blocks of one conversation: names of documents must not repeat. */
export class MediaBlocks {
  readonly #names = new Set<string>();

  block(part: ImagePart | FilePart): ContentBlock {
    const { mediaType, base64 } = dataOf(part);
    const format = formatOf(part, mediaType);
    const source = { bytes: base64 };
    if (allImages.has(format)) return { image: { format, source } };
    return { document: { format, name: this.#name(part), source } };
  }

  /** Letters, digits, single spaces, hyphens, and brackets; other characters are refused there. */
  #name(part: ImagePart | FilePart): string {
    const stated = part.is === 'file' ? (part.fileName ?? '') : '';
    const base =
      stated
        .replace(/\.[^.]*$/, '')
        .replace(/[^a-zA-Z0-9\s\-()[\]]+/g, '-')
        .replace(/\s+/g, ' ')
        .trim()
        .slice(0, 180) || 'document';
    let name = base;
    for (let copy = 2; this.#names.has(name); copy++) name = `${base} ${copy}`;
    this.#names.add(name);
    return name;
  }
}

/** By the stated type: only data has one. */
function formatOf(part: ImagePart | FilePart, mediaType: string): string {
  const format = imageFormats[mediaType] ?? documentFormats[mediaType];
  if (format !== undefined) return format;
  throw inexpressible(part.at, 'bedrock', `it has no input of type ${mediaType}`);
}

/**
 * Nothing is fetched for a client: from the web the gateway would have to do it, and could be led to addresses inside of its
 * network; from S3 Bedrock would do it with the gateway's own rights, so a client could read what is not its own.
 */
function dataOf({ source, at }: ImagePart | FilePart): MediaData {
  if (source.is === 'data') return source;
  throw inexpressible(at, 'bedrock', 'nothing is loaded from addresses; send a data URL, data:image/png;base64,...');
}
