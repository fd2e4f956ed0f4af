/**
 * Many small files in the store of one node, in processes that do nothing else:
 * one fills it, another one opens it again.
 *
 * ```sh
 * deno run -A tests/bench/small_files_store.ts fill DIR COUNT SMALL_FILE_MAX
 * deno run -A tests/bench/small_files_store.ts reopen DIR COUNT SMALL_FILE_MAX
 * ```
 *
 * Both print their figures as one line of JSON. Every answer is durable (level C
 * without the network and HTTP). Caches are warm.
 *
 * @module
 */

import { cpuUsage } from "node:process";
import type { FileEntry } from "@kedge/schema/change";
import {
  newEntry,
  someBytes,
  storeOptions,
} from "../../node-agent/files/store_fixture.ts";
import { openStore, type Store } from "../../node-agent/files/store.ts";
import { peakRssBytesOf, usageOf } from "../helpers/proc.ts";
import { diskUse, MIB } from "./disk_use.ts";

/** Length of every file, in bytes. */
export const FILE_BYTES = 4096;
/** Changes under way at any moment. */
export const AT_ONCE = 64;
/** Reads that are measured, at most. */
const READS_MAX = 20_000;
/** Files compiled on before anything counts. */
const WARM_UP_COUNT = 2_000;
/** Entries of one page of a listing. */
const PAGE_COUNT = 1_000;

/** What both processes found for one way to keep files. */
export type StoreFigures =
  & Awaited<ReturnType<typeof fill>>
  & Awaited<ReturnType<typeof reopen>>;

/** Upload, and wait until all of it lies where it stays. */
async function fill(dir: string, count: number, smallFileMax: number) {
  const store = await openStore(storeOptions(dir, { smallFileMax }));
  const upload = await timed(() => uploadAll(store, count));
  const settle = await timed(() => store.settle(0));
  await store.close({ clean: true });
  const disk = await diskUse(`${dir}/p0`);
  const database = await diskUse(`${dir}/data`);
  return {
    uploadsPerS: count / upload.s,
    /** With the settling. */
    uploadCpuUs: 1e6 * (upload.cpuS + settle.cpuS) / count,
    /** Until all of them lie where they stay, after the last answer. */
    settleS: settle.s,
    storeMib: disk.bytes / MIB,
    storeNames: disk.names,
    databaseMib: database.bytes / MIB,
    /** Largest memory of the process that fills it. */
    fillPeakMib: peakRssBytesOf(Deno.pid) / MIB,
  };
}

/** Start again, read, scrub, delete three of four. */
async function reopen(dir: string, count: number, smallFileMax: number) {
  const beforeBytes = usageOf(Deno.pid).rssBytes;
  const opened = await timed(async () => {
    const store = await openStore(storeOptions(dir, { smallFileMax }));
    await store.log.digests();
    return store;
  });
  const store = opened.value;
  const startedBytes = usageOf(Deno.pid).rssBytes - beforeBytes;
  const entries = listAll(store);
  if (entries.length !== count) throw new Error(`${entries.length} files`);
  const reads = Math.min(count, READS_MAX);
  await readSome(store, entries, Math.min(reads, WARM_UP_COUNT));
  const read = await timed(() => readSome(store, entries, reads));
  const scrub = await timed(() => scrubAll(store));
  const most = entries.filter((_, index) => index % 4 !== 0);
  const deletion = await timed(() => deleteAll(store, most));
  const giveBack = await timed(() => store.settle(0));
  if (store.files.fileCount() !== count - most.length) {
    throw new Error("not all of them were deleted");
  }
  const rest = await diskUse(`${dir}/p0`);
  await store.close({ clean: true });
  return {
    restartMs: 1000 * opened.s,
    /** Memory that the open store took, its digests counted. */
    startedMib: startedBytes / MIB,
    readsPerS: reads / read.s,
    readCpuUs: 1e6 * read.cpuS / reads,
    scrubS: scrub.s,
    scrubCpuS: scrub.cpuS,
    deletesPerS: most.length / deletion.s,
    deleteCpuUs: 1e6 * (deletion.cpuS + giveBack.cpuS) / most.length,
    /** Of three of four, until their space is free again. */
    deleteS: deletion.s + giveBack.s,
    /** What the rest takes then. */
    quarterMib: rest.bytes / MIB,
    /** Largest memory of this process, with the listing of the bench. */
    peakMib: peakRssBytesOf(Deno.pid) / MIB,
  };
}

async function uploadAll(store: Store, count: number): Promise<void> {
  const body = someBytes(FILE_BYTES);
  const view = new DataView(body.buffer);
  let next = 0;
  let sequence = store.log.head();
  await atOnce(async () => {
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
    }
  });
}

function listAll(store: Store): FileEntry[] {
  const entries: FileEntry[] = [];
  for (;;) {
    const after = entries.at(-1)?.id;
    const page = store.files.list({
      limit: PAGE_COUNT,
      ...(after === undefined ? {} : { after }),
    });
    entries.push(...page);
    if (page.length < PAGE_COUNT) return entries;
  }
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

async function scrubAll(store: Store): Promise<void> {
  const repair = () => Promise.resolve(false);
  const found = await store.scrubber({ bytesPerS: 0, repair })
    .run(new AbortController().signal);
  if (found?.damaged !== 0) throw new Error("the scrub found damage");
}

async function deleteAll(
  store: Store,
  entries: readonly FileEntry[],
): Promise<void> {
  let next = 0;
  let sequence = store.log.head();
  await atOnce(async () => {
    for (let entry = entries[next++]; entry; entry = entries[next++]) {
      const buried = { ...entry, state: "tombstone", version: 2 } as const;
      const change = { entry: buried, body: { kind: "none" } } as const;
      const content = { kind: "none" } as const;
      await store.log
        .append({ sequence: ++sequence, change, content }, true);
    }
  });
}

async function atOnce(act: () => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: AT_ONCE }, act));
}

/** What something gave, and what it took of this process's time. */
async function timed<T>(act: () => T | Promise<T>) {
  const used = cpuUsage();
  const startMs = performance.now();
  const value = await act();
  const s = (performance.now() - startMs) / 1000;
  const { user, system } = cpuUsage(used);
  return { value, s, cpuS: (user + system) / 1e6 };
}

/** The compilers see a way before anything counts. */
async function warmUp(smallFileMax: number): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-small-" });
  try {
    await fill(dir, WARM_UP_COUNT, smallFileMax);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

if (import.meta.main) {
  const [verb, dir = "", count, smallFileMax] = Deno.args;
  const max = Number(smallFileMax);
  if (verb === "fill") await warmUp(max);
  const found = await (verb === "fill" ? fill : reopen)(
    dir,
    Number(count),
    max,
  );
  const line = `${JSON.stringify(found)}\n`;
  await Deno.stdout.write(new TextEncoder().encode(line));
}
