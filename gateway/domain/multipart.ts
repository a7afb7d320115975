/** Reads the fields of a multipart form from its bytes, so that one can be replaced and the rest sent on untouched. */

export interface FormField {
  /** Undefined for files, whose content is nobody's business here. */
  readonly text: string | undefined;
  readonly start: number;
  readonly end: number;
}

const headerEnd = Buffer.from('\r\n\r\n');
/** Longer texts than this are not fields but content. */
const longestText = 64 * 1024;

/** @returns fields by name (the last of a name counts), or undefined when the bytes are not the form they claim to be. */
export function readForm(bytes: Buffer, contentType: string): ReadonlyMap<string, FormField> | undefined {
  const boundary = /^multipart\/form-data\s*;.*\bboundary=(?:"([^"]+)"|([^\s;]+))/i.exec(contentType);
  const name = boundary?.[1] ?? boundary?.[2];
  if (name === undefined) return undefined;
  const delimiter = Buffer.from(`--${name}`);
  const nextDelimiter = Buffer.from(`\r\n--${name}`);
  const fields = new Map<string, FormField>();
  if (bytes.indexOf(delimiter) !== 0) return undefined;
  let at = delimiter.length;
  for (;;) {
    // `--` behind a delimiter ends the form; a line break begins the next part.
    if (bytes.toString('latin1', at, at + 2) === '--') return fields;
    if (bytes.toString('latin1', at, at + 2) !== '\r\n') return undefined;
    const headers = bytes.indexOf(headerEnd, at);
    const end = headers === -1 ? -1 : bytes.indexOf(nextDelimiter, headers + 2);
    if (end === -1) return undefined;
    const start = headers + headerEnd.length;
    const head = bytes.toString('utf8', at + 2, headers);
    const field = /;\s*name="([^"]*)"/i.exec(head)?.[1];
    const isFile = /;\s*filename\*?=/i.test(head);
    if (field !== undefined) {
      fields.set(field, {
        text: isFile || end - start > longestText ? undefined : bytes.toString('utf8', start, end),
        start,
        end,
      });
    }
    at = end + nextDelimiter.length;
  }
}
