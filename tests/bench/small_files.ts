/**
 * Many small files, packed and as files of their own.
 *
 * ```sh
 * deno task bench:files --small-files 1000000   # 4 KiB each; prints only
 * ```
 *
 * Measures the store of one node, durable before every answer (level C without
 * the network and HTTP), in a process that does nothing else. Caches are warm.
 *
 * @module
 */

import { join } from "node:path";
import type { FileEntry } from "@kedge/schema/change";
import {
  newEntry,
  someBytes,
  storeOptions,
} from "../../node-agent/files/store_fixture.ts";
import { openStore, type Store } from "../../node-agent/files/store.ts";
import { say } from "../helpers/say.ts";

const FILE_BYTES = 4096;
const AT_ONCE = 64;
/** Reads that are measured, at most. */
const READS_MAX = 20_000;
const WARM_UP_COUNT = 2_000;
const MIB = 1 << 20;

/** What was found for one way to keep files. */
interface SmallFileFigures {
  readonly uploadsPerS: number;
  /** Until all of them lie where they stay, after the last answer. */
  readonly settleS: number;
  readonly storeMib: number;
  readonly storeNames: number;
  readonly databaseMib: number;
  readonly restartMs: number;
  readonly readsPerS: number;
  readonly scrubS: number;
  readonly deletesPerS: number;
  /** Of three of four, until their space is free again. */
  readonly deleteS: number;
  /** What the rest takes then. */
  readonly quarterMib: number;
}

/** Measure both ways, and print a table. */
export async function measureSmallFiles(count: number): Promise<string> {
  // The compilers see both ways before anything counts.
  for (const max of [0, FILE_BYTES]) await measureOne(WARM_UP_COUNT, max);
  const plain = await measureOne(count, 0);
  say(JSON.stringify(plain));
  const packed = await measureOne(count, FILE_BYTES);
  say(JSON.stringify(packed));
  const names = Object.keys(plain) as (keyof SmallFileFigures)[];
  const rows = names.map((name) => {
    const ratio = packed[name] / plain[name];
    return `| ${name} | ${show(plain[name])} | ${show(packed[name])} | ${
      show(ratio)
    } |`;
  });
  return [
    `${count} files of 4 KiB, ${AT_ONCE} uploads at once`,
    "",
    "| | files | packed | packed / files |",
    "| --- | ---: | ---: | ---: |",
    ...rows,
    "",
  ].join("\n");
}

async function measureOne(
  count: number,
  smallFileMax: number,
): Promise<SmallFileFigures> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-small-" });
  const options = storeOptions(dir, { smallFileMax });
  try {
    let store = await openStore(options);
    const entries: FileEntry[] = [];
    const uploadS = await timed(() => uploadAll(store, count, entries));
    const settleS = await timed(() => store.settle(0));
    await store.close({ clean: true });
    const restartMs = 1000 * await timed(async () => {
      store = await openStore(options);
      await store.log.digests();
    });
    const disk = await diskUse(`${dir}/p0`);
    const database = await diskUse(`${dir}/data`);
    const reads = Math.min(count, READS_MAX);
    const readS = await timed(() => readSome(store, entries, reads));
    const scrubS = await timed(async () => {
      const repair = () => Promise.resolve(false);
      const found = await store.scrubber({ bytesPerS: 0, repair })
        .run(new AbortController().signal);
      if (found?.damaged !== 0) throw new Error("the scrub found damage");
    });
    const most = entries.filter((_, index) => index % 4 !== 0);
    const deleteS = await timed(() => deleteAll(store, count, most));
    const giveBackS = await timed(() => store.settle(0));
    const rest = await diskUse(`${dir}/p0`);
    await store.close({ clean: true });
    return {
      uploadsPerS: count / uploadS,
      settleS,
      storeMib: disk.bytes / MIB,
      storeNames: disk.names,
      databaseMib: database.bytes / MIB,
      restartMs,
      readsPerS: reads / readS,
      scrubS,
      deletesPerS: most.length / deleteS,
      deleteS: deleteS + giveBackS,
      quarterMib: rest.bytes / MIB,
    };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function uploadAll(
  store: Store,
  count: number,
  entries: FileEntry[],
): Promise<void> {
  const body = someBytes(FILE_BYTES);
  const view = new DataView(body.buffer);
  let next = 0;
  let sequence = 0;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (next < count) {
      view.setUint32(0, next++);
      const bytes = body.slice();
      const staged = await store.files
        .stage({ body: bytes, sizeBytesMax: MIB, durable: true });
      const id = store.files
        .newId({ staged, extension: "bin", appender: false });
      const entry = newEntry(id, staged);
      const change = { entry, body: { kind: "whole" } } as const;
      const content = { kind: "staged", staged } as const;
      await store.log
        .append({ sequence: ++sequence, change, content }, true);
      entries.push(entry);
    }
  }));
}

async function readSome(
  store: Store,
  entries: readonly FileEntry[],
  count: number,
): Promise<void> {
  for (let read = 0; read < count; read++) {
    const entry = entries[read * 7919 % entries.length];
    if (entry === undefined) return;
    const body = await store.files.read(entry);
    if (!(body instanceof Uint8Array)) throw new Error("a stream came");
  }
}

async function deleteAll(
  store: Store,
  uploaded: number,
  entries: readonly FileEntry[],
): Promise<void> {
  let next = 0;
  let sequence = 0;
  if (store.log.head() !== 0) throw new Error("the run is not a new one");
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (next < entries.length) {
      const entry = entries[next++];
      if (entry === undefined) return;
      const buried = { ...entry, state: "tombstone", version: 2 } as const;
      const change = { entry: buried, body: { kind: "none" } } as const;
      const content = { kind: "none" } as const;
      await store.log
        .append({ sequence: ++sequence, change, content }, true);
    }
  }));
  if (store.files.fileCount() !== uploaded - entries.length) {
    throw new Error("not all of them were deleted");
  }
}

/** Space that a folder takes, with the blocks that files do not fill. */
async function diskUse(
  folder: string,
): Promise<{ bytes: number; names: number }> {
  let bytes = 0;
  let names = 0;
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    const info = await Deno.lstat(path);
    bytes += (info.blocks ?? 0) * 512;
    names++;
    if (!isDirectory) continue;
    const below = await diskUse(path);
    bytes += below.bytes;
    names += below.names;
  }
  return { bytes, names };
}

async function timed(act: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await act();
  return (performance.now() - startMs) / 1000;
}

function show(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
