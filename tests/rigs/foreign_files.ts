/**
 * Files that another store made and that are to be taken in where they lie.
 *
 * @module
 */

import { encodeFileId, encodeFileName } from "@kedge/schema/file-id";
import { INLINE_BODY_BYTES_MAX } from "@kedge/schema";
import {
  factsOf,
  newEntry,
  someBytes,
  type TestStore,
} from "../../node-agent/files/store_fixture.ts";

/** One of them. */
export interface ForeignFile {
  readonly id: string;
  readonly path: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const PLACE = { group: "group1", pathIndex: 0, high: 0, low: 0 };

/** Small ones, which travel in records, and large ones, which are linked. */
const IN_PLACE_SIZES = [
  ...[4000, 150_000, 9, 0, 70_001, 64_000, 66_000, 5001],
  ...[150_002, 200_000, 77, 65_537, 3000, 90_000, 90_001, 12],
];

/** Names and contents, by size; nothing is written. */
function foreignFilesOf(dir: string, sizes: readonly number[]): ForeignFile[] {
  return sizes.map((size) => {
    const bytes = someBytes(size, size);
    const name = encodeFileName({
      ...factsOf(bytes),
      origin: "10.0.0.1",
      createdS: 1_795_300_000,
      appender: false,
      random: size,
      digits: size,
      extension: "",
    });
    const id = encodeFileId(PLACE, name);
    return { id, path: `${dir}/p0/data/00/00/${name}`, bytes };
  });
}

/** Write files of these sizes. */
export async function foreignFiles(
  dir: string,
  sizes: readonly number[],
): Promise<ForeignFile[]> {
  await Deno.mkdir(`${dir}/p0/data/00/00`, { recursive: true });
  const files = foreignFilesOf(dir, sizes);
  for (const { path, bytes } of files) await Deno.writeFile(path, bytes);
  return files;
}

/** The files of a storage that is taken over. */
export function inPlaceFiles(dir: string): ForeignFile[] {
  return foreignFilesOf(dir, IN_PLACE_SIZES);
}

/** Write them, durably: FastDFS did so long ago. */
export async function writeInPlaceFiles(dir: string): Promise<void> {
  await foreignFiles(dir, IN_PLACE_SIZES);
  await Deno.writeTextFile(`${dir}/p0/data/.data_init_flag`, "");
  await new Deno.Command("sync", { args: ["-f", dir] }).output();
}

/** As an import does it: linked when large, in the record when small. */
export async function takeIn(
  store: TestStore,
  { id, path, bytes }: ForeignFile,
): Promise<void> {
  const staged = bytes.length > INLINE_BODY_BYTES_MAX
    ? await store.store.linker.link(path, 0)
    : await store.stage(bytes);
  const entry = newEntry(id, staged);
  const body = { kind: "whole" } as const;
  await store.log({ entry, body }, { kind: "staged", staged });
}
