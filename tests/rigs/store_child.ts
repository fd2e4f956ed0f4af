/**
 * A program that uses a store and says what it does, line by line, so that it
 * can be killed at any moment. Arguments: folder, scenario.
 *
 * Lines: `{"what": "will" | "did", "entry": …}`, and `{"what": "end"}`.
 *
 * @module
 */

import type { FileEntry } from "@kedge/schema/change";
import { Problem } from "@kedge/schema";
import { encodeFileId, encodeFileName } from "@kedge/schema/file-id";
import type { LogRecordWithContent } from "../../node-agent/ports.ts";
import {
  factsOf,
  newEntry,
  someBytes,
  TestStore,
} from "../../node-agent/files/store_fixture.ts";
import {
  foreignFiles,
  inPlaceFiles,
  takeIn,
  writeInPlaceFiles,
} from "./foreign_files.ts";

/** What the child says about one change. */
export interface Line {
  readonly what: "will" | "did" | "refused" | "state" | "alarm" | "end";
  readonly entry?: FileEntry;
  readonly slug?: string;
  /** Length of the record of the disk when this was said. */
  readonly at?: number;
}

const [dir = "", scenario = "", record] = Deno.args;

/** Say a line. */
export function say(line: Line): void {
  const at = record === undefined ? undefined : Deno.statSync(record).size;
  const text = JSON.stringify({ ...line, at }) + "\n";
  const bytes = new TextEncoder().encode(text);
  for (let done = 0; done < bytes.length;) {
    done += Deno.stdout.writeSync(bytes.subarray(done));
  }
}

/** Every kind of change that a client makes, durable and not. */
async function uploads(store: TestStore): Promise<void> {
  await store.upload(someBytes(4000, 1));
  const small = await store.upload(someBytes(5000, 2), { durable: false });
  await store.upload(new Uint8Array(0));
  await store.upload(someBytes(150_000, 3));
  await store.upload(someBytes(150_001, 4), { durable: false });
  await store.upload(someBytes(150_002, 5), { inRecord: true });
  await store.upload(someBytes(150_003, 6), {
    ...{ durable: false, inRecord: true },
  });
  await store.delete(small);
}

/** Equal files, small and large; faults begin when they are to be linked. */
async function duplicates(store: TestStore): Promise<void> {
  const first = await store.upload(someBytes(4000, 1));
  await store.upload(someBytes(150_000, 2));
  await store.store.settle(0);
  await store.upload(someBytes(150_000, 2));
  await arm();
  await store.upload(someBytes(4000, 1));
  await store.store.settle(0);
  await store.delete(first);
}

/** What a store of "pack" and "compact" is opened with. */
export const PACKING = { smallFileMax: 8192, segmentBytes: 8_000 };

/** Small files that are packed; one is deleted afterwards, one before. */
async function pack(store: TestStore): Promise<void> {
  const first = await store.upload(someBytes(4000, 1));
  await store.upload(someBytes(3000, 2), { durable: false });
  await arm();
  await store.store.settle(0);
  await store.delete(first);
  const second = await store.upload(someBytes(5000, 3));
  await store.upload(someBytes(2000, 4));
  await store.delete(second);
  await store.store.settle(0);
}

/** Most of two segments is deleted, and the rest moves. */
async function compact(store: TestStore): Promise<void> {
  const files: FileEntry[] = [];
  for (let seed = 1; seed <= 7; seed++) {
    files.push(await store.upload(someBytes(2500 + seed, seed)));
    if (seed % 4 === 0) await store.store.settle(0);
  }
  await store.store.settle(0);
  await arm();
  for (const file of files.slice(0, 3)) await store.delete(file);
  await store.store.settle(0);
}

/** Files that lie where they belong are taken in, and one from elsewhere. */
async function links(store: TestStore): Promise<void> {
  const files = await foreignFiles(dir, FOREIGN_SIZES);
  const last = files.at(-1);
  if (last !== undefined) {
    const path = `${dir}/elsewhere`;
    await Deno.rename(last.path, path);
    files[files.length - 1] = { ...last, path };
  }
  await arm();
  for (const file of files) await takeIn(store, file);
  await store.store.settle(0);
}

/** Sizes of the files that "links" finds; the last one lies elsewhere. */
const FOREIGN_SIZES = [4000, 150_000, 150_001];

/** A path of FastDFS is taken over with all its files. */
async function inPlace(store: TestStore): Promise<void> {
  await store.store.linker.takeOver(0);
  for (const [at, file] of inPlaceFiles(dir).entries()) {
    await takeIn(store, file);
    if (at % 4 === 3) await store.store.settle(0);
  }
  await store.store.settle(0);
  await store.store.linker.allTaken(0);
}

/** Small files of clients and of a peer that are not flushed one by one. */
async function quick(store: TestStore): Promise<void> {
  const { apply, entryOf } = peerOf(store, false);
  const fromPeer = async (...all: Uint8Array[]) => {
    await apply(all.map((bytes) => ({
      change: { entry: entryOf(bytes), body: { kind: "whole" } },
      content: { kind: "inline", bytes },
    })));
  };
  const own = { durable: false };
  await store.upload(someBytes(700, 1), own);
  const second = await store.upload(someBytes(60_000, 2), own);
  await fromPeer(someBytes(900, 3), someBytes(100_000, 9));
  await store.store.log.flush();
  await store.upload(someBytes(200_000, 4), { ...own, inRecord: true });
  await fromPeer(someBytes(1100, 5), someBytes(30_000, 6));
  await store.delete(second);
  await fromPeer(someBytes(1200, 7));
  await store.upload(someBytes(1300, 8), own);
}

/** From here on the fault shim counts. */
export async function arm(): Promise<void> {
  await Deno.stat(dir);
  await Deno.open(`${dir}/arm`).then((file) => file.close());
}

/** Changes of appenders. */
async function changes(store: TestStore): Promise<void> {
  let file = await store.upload(someBytes(3000, 1), { appender: true });
  file = await store.write(file, 3000, someBytes(2000, 2));
  file = await store.write(file, 5000, someBytes(90_000, 3));
  file = await store.write(file, 10, someBytes(100, 4));
  file = await store.write(file, 95_000, someBytes(10, 5), false);
  file = await store.truncate(file, 4000);
  file = await store.write(file, 4000, someBytes(64, 6));
  await store.delete(file);
}

/** Applies what a peer sends. */
export function peerOf(store: TestStore, durable: boolean) {
  const log = store.store.log;
  let sequence = log.positions()[0]?.sequence ?? 0;
  const entryOf = (bytes: Uint8Array) => {
    const facts = factsOf(bytes);
    const name = encodeFileName({
      ...facts,
      origin: 2,
      createdS: 1_800_000_000,
      appender: true,
      random: sequence,
      digits: 0,
      extension: "",
    });
    const place = { group: "group1", pathIndex: 0, high: 1, low: 2 };
    return newEntry(encodeFileId(place, name), facts);
  };
  const apply = async (records: Omit<LogRecordWithContent, "sequence">[]) => {
    for (const { change } of records) {
      say({ what: "will", entry: change.entry });
    }
    const numbered = records.map((record) => ({
      ...record,
      sequence: ++sequence,
    }));
    await log.apply(2, 1, numbered, durable);
    for (const { change } of records) say({ what: "did", entry: change.entry });
  };
  return { apply, entryOf };
}

/** The log of node 2, as it comes from there. */
async function applied(store: TestStore): Promise<void> {
  const { apply, entryOf } = peerOf(store, true);
  const whole = { kind: "whole" } as const;
  const first = entryOf(someBytes(3000, 1));
  const bytes = someBytes(3000, 1);
  await apply([
    {
      change: { entry: first, body: whole },
      content: { kind: "inline", bytes },
    },
  ]);
  const second = entryOf(someBytes(200_000, 2));
  const staged = await store.stage(someBytes(200_000, 2));
  await apply([
    {
      change: { entry: second, body: whole },
      content: { kind: "staged", staged },
    },
  ]);
  const longer = new Uint8Array([...bytes, ...someBytes(500, 3)]);
  const { crc32, sizeBytes } = factsOf(longer);
  const third = { ...first, crc32, sizeBytes, version: 2, sha256: null };
  await apply([{
    change: {
      entry: third,
      body: {
        kind: "range",
        offset: 3000,
        lengthBytes: 500,
        baseEpoch: 1,
        baseVersion: 1,
      },
    },
    content: { kind: "inline", bytes: someBytes(500, 3) },
  }, {
    change: {
      entry: { ...second, state: "tombstone", version: 2 },
      body: { kind: "none" },
    },
    content: { kind: "none" },
  }]);
}

/** Everything at once, durable, with settling and checkpoints in between. */
async function power(store: TestStore): Promise<void> {
  const client = async (number: number) => {
    for (let round = 0; round < 6; round++) {
      const seed = number * 100 + round;
      const small = await store.upload(someBytes(3000 + seed, seed));
      const inRecord = number % 2 === 0;
      await store.upload(someBytes(70_000 + seed, seed + 1), { inRecord });
      // Equal bytes: they become links while others settle.
      await store.upload(someBytes(4500, round % 2));
      if (round % 2 === 0) await store.delete(small);
      await store.upload(someBytes(500, seed + 2), { durable: false });
    }
    let file = await store.upload(someBytes(2000, number), { appender: true });
    file = await store.write(file, 2000, someBytes(5000, number + 1));
    file = await store.write(file, 7000, someBytes(80_000, number + 2));
    file = await store.write(file, 100, someBytes(300, number + 3));
    await store.truncate(file, 40_000);
  };
  const settling = (async () => {
    for (let round = 0; round < 8; round++) {
      await new Promise((resolve) => setTimeout(resolve, 40));
      await store.store.settle(20);
    }
  })();
  await Promise.all([1, 2, 3, 4, 5, 6].map(client).concat(settling));
}

/** So many files that they are flushed with their whole file system. */
async function many(store: TestStore): Promise<void> {
  for (let round = 0; round < 3; round++) {
    for (let number = 0; number < 40; number++) {
      const seed = 100 * round + number;
      await store.upload(someBytes(4000 + seed, seed));
    }
    await store.store.settle(0);
  }
  await store.upload(someBytes(5000, 1));
}

/** Many files that are settled; ends with the state of the store. */
async function manyOnly(store: TestStore): Promise<void> {
  await many(store).catch(() => {});
  await tell(store);
}

/** Uploads that go on after a refusal; ends with the state of the store. */
async function stubborn(store: TestStore): Promise<void> {
  const sizes = [4000, 150_000, 4001, 150_001];
  for (const [index, size] of sizes.entries()) {
    await tryUpload(store, someBytes(size, index + 1));
  }
  await store.store.settle(0);
  await tell(store);
}

/** Uploads whose bytes lie in a journal, until one is refused. */
async function journals(store: TestStore): Promise<void> {
  for (const seed of [1, 2, 3]) {
    await tryUpload(store, someBytes(150_000, seed), { inRecord: true });
  }
  await tell(store);
}

/** Uploads that are flushed together, after they were stored one by one. */
async function journalsLater(store: TestStore): Promise<void> {
  const how = { inRecord: true, durable: false };
  for (const seed of [1, 2]) {
    await tryUpload(store, someBytes(15_000, seed), how);
    await store.store.log.settled();
  }
  await store.store.log.flush();
  await tell(store);
}

/** Small files; faults begin when they are to be packed. */
async function segments(store: TestStore): Promise<void> {
  await store.upload(someBytes(4000, 1));
  await store.upload(someBytes(3000, 2), { durable: false });
  await arm();
  await store.store.settle(0);
  await tryUpload(store, someBytes(2000, 3));
  await store.store.settle(0);
  await tell(store);
}

/** Upload; a refusal is said. */
export async function tryUpload(
  store: TestStore,
  bytes: Uint8Array<ArrayBuffer>,
  how: { readonly inRecord?: boolean; readonly durable?: boolean } = {},
): Promise<void> {
  try {
    await store.upload(bytes, how);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    say({ what: "refused", slug: error.slug });
  }
}

/** Read everything; tell what has become of the disks. */
export async function tell(store: TestStore): Promise<void> {
  for (const { id } of store.store.files.list({ limit: 100 })) {
    const entry = store.store.files.lookup(id);
    if (entry !== undefined) await store.read(entry);
  }
  for (const { state } of store.store.files.storePaths()) {
    say({ what: "state", slug: state });
  }
  for (const alarm of store.store.files.alarms()) {
    say({ what: "alarm", slug: alarm });
  }
}

/** What is done, by the name of the scenario. */
const STORIES: Readonly<Record<string, (store: TestStore) => Promise<void>>> = {
  ...{ uploads, duplicates, links, "in-place": inPlace, pack, compact },
  ...{ changes, power, many: manyOnly, stubborn, journals, segments, quick },
  ...{ "journals-later": journalsLater, applied },
};

/** Scenarios in which faults begin later. */
const PACKED = ["pack", "compact", "segments"];
const LATE = new Set(["duplicates", "links", ...PACKED]);

if (import.meta.main) {
  if (scenario === "in-place") {
    await writeInPlaceFiles(dir);
    say({ what: "state", slug: "begin" });
  }
  const store = await TestStore.open(dir, {
    settleDelayMs: 1e9,
    checkDuplicates: scenario === "duplicates" || scenario === "power",
    ...(PACKED.includes(scenario) ? PACKING : {}),
    ...(scenario === "power"
      ? { checkpointBytes: 600_000, smallFileMax: 4_000, segmentBytes: 40_000 }
      : {}),
  });
  store.announce = (what, entry) => say({ what, entry });
  if (!LATE.has(scenario)) await arm();
  try {
    await STORIES[scenario]?.(store);
    await store.store.settle(0);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    say({ what: "refused", slug: error.slug });
  }
  say({ what: "end" });
  Deno.exit(0);
}
