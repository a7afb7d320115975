/**
 * Images and documents. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ImageBlock.html and
 * https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html
 */
import type { FilePart, ImagePart } from '../chat/prompt.ts';
import { inexpressible } from '../chat/refuse.ts';
import type { ContentBlock, MediaSource } from './wire.ts';

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

const endings: Readonly<Record<string, string>> = { jpg: 'jpeg', htm: 'html', markdown: 'md' };
const allImages: ReadonlySet<string> = new Set(Object.values(imageFormats));
const allDocuments: ReadonlySet<string> = new Set(Object.values(documentFormats));

/** Makes the blocks of one conversation: names of documents must not repeat. */
export class MediaBlocks {
  readonly #names = new Set<string>();

  block(part: ImagePart | FilePart): ContentBlock {
    const format = formatOf(part);
    const source = toSource(part);
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

function formatOf(part: ImagePart | FilePart): string {
  const { source } = part;
  if (source.is === 'data') {
    const format = imageFormats[source.mediaType] ?? documentFormats[source.mediaType];
    if (format !== undefined) return format;
    throw inexpressible(part.at, 'bedrock', `it has no input of type ${source.mediaType}`);
  }
  const ending = (source.is === 'url' ? /\.([a-z]+)$/i.exec(source.url)?.[1]?.toLowerCase() : undefined) ?? '';
  const format = endings[ending] ?? ending;
  if (allImages.has(format) || allDocuments.has(format)) return format;
  return part.is === 'image' ? 'png' : 'pdf';
}

function toSource(part: ImagePart | FilePart): MediaSource {
  const { source } = part;
  if (source.is === 'data') return { bytes: source.base64 };
  if (source.is === 'url' && source.url.startsWith('s3://')) return { s3Location: { uri: source.url } };
  throw inexpressible(part.at, 'bedrock', 'it loads nothing from the web; send a data URL, or an s3:// address');
}
