/**
 * Stores that pack small files, and their segments, for tests.
 *
 * @module
 */

import type { FileEntry } from "@kedge/schema/change";
import { scanSegment } from "./segments.ts";
import { diskPath, TestStore } from "./store_fixture.ts";
import type { StoreOptions } from "./store.ts";

const PACKING = { smallFileMax: 8192, settleDelayMs: 1e9 };

/** Work with a store that packs files up to 8 KiB. */
export async function withStore<Result>(
  dir: string,
  more: Partial<StoreOptions>,
  act: (store: TestStore) => Promise<Result>,
): Promise<Result> {
  const store = await TestStore.open(dir, { ...PACKING, ...more });
  try {
    return await act(store);
  } finally {
    await store.close();
  }
}

/** Paths of the segments of its first store path. */
export function segments(dir: string): string[] {
  try {
    return [...Deno.readDirSync(`${dir}/p0/data/.segments`)]
      .map(({ name }) => `${dir}/p0/data/.segments/${name}`).sort();
  } catch {
    return [];
  }
}

/** Whether a file lies on its own. */
export function hasOwnFile(dir: string, { id }: FileEntry): boolean {
  try {
    return Deno.statSync(diskPath(dir, id)).isFile;
  } catch {
    return false;
  }
}

/** Records of all segments: IDs of those that are live, and dead. */
export function records(dir: string) {
  const all = segments(dir).flatMap((path) => [...scanSegment(path)]);
  return {
    live: all.filter(({ isLive }) => isLive).map(({ id }) => id),
    dead: all.filter(({ isLive }) => !isLive).map(({ id }) => id),
  };
}

/** Change one byte of the body of a record. */
export function damageRecord(dir: string, { id }: FileEntry): void {
  for (const path of segments(dir)) {
    const found = [...scanSegment(path)].find((one) => one.id === id);
    if (found === undefined) continue;
    const bytes = Deno.readFileSync(path);
    const at = found.offset + found.lengthBytes - 20;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    Deno.writeFileSync(path, bytes);
  }
}

/** Give a damaged file its bytes again, as a peer does. */
export async function repair(
  store: TestStore,
  entry: FileEntry,
  bytes: Uint8Array,
): Promise<void> {
  const content = { kind: "inline", bytes: bytes.slice() } as const;
  await store.store.log.adopt([{ entry, content }], true);
}
