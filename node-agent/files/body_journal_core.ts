/**
 * How an action names bytes that lie in a journal of its store path.
 *
 * The token is `bodies-FILE.LENGTH.CRC32`; where the bytes begin is the offset
 * of the action. The checksum tells the bytes from others that were written over
 * them: a place is used again once its action was forgotten.
 *
 * @module
 */

/** First part of the name of a journal. */
const PREFIX = "bodies-";
const TOKEN = /^(bodies-(\d{1,9}))\.(\d{1,10})\.(\d{1,10})$/;

/** What a token says. */
export interface JournalToken {
  /** Name of the file below the staging folder. */
  readonly name: string;
  readonly file: number;
  readonly lengthBytes: number;
  readonly crc32: number;
}

/** The name of a journal below the staging folder. */
export function journalName(file: number): string {
  return `${PREFIX}${file}`;
}

/** Whether a file below the staging folder is one. */
export function isJournal(name: string): boolean {
  return name.startsWith(PREFIX);
}

/** The token of bytes in a journal. */
export function journalToken(
  file: number,
  lengthBytes: number,
  crc32: number,
): string {
  return `${journalName(file)}.${lengthBytes}.${crc32}`;
}

/** Read a token; `undefined` when it is of something else. */
export function parseJournalToken(token: string): JournalToken | undefined {
  if (!token.startsWith(PREFIX)) return undefined;
  const [, name, file, lengthBytes, crc32] = TOKEN.exec(token) ?? [];
  if (name === undefined) return undefined;
  return {
    name,
    file: Number(file),
    lengthBytes: Number(lengthBytes),
    crc32: Number(crc32),
  };
}
