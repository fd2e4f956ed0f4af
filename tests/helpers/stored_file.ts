/**
 * A node with one file, for tests of downloads.
 *
 * @module
 */

import { FakeDoor } from "./fake_door.ts";

/** What the file holds, unless it is said. */
export const TEXT = "0123456789abcdefghij";
/** What does not travel in a record. */
export const LARGE: Uint8Array<ArrayBuffer> = new Uint8Array(300_000)
  .map((_, at) => at % 251);

/** Upload a file to a node of its own. */
export async function stored(
  name = "a.txt",
  body: string | Uint8Array<ArrayBuffer> = TEXT,
) {
  const door = new FakeDoor();
  const { id } = await door.upload(body, `/v1/files/${name}`);
  return { door, id, path: `/${id}` };
}
