import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { eventually } from "../../tests/helpers/eventually.ts";
import { KIB } from "@kedge/schema";
import { quickEntriesOf, writeQuickEntry } from "./quick_log_core.ts";
import {
  diskPath,
  foreignRecord,
  someBytes,
  storeOptions,
  TestStore,
  withDir,
} from "./store_fixture.ts";
import { canFlushWhole } from "./whole_flush.ts";

const HOW = { durable: false, inRecord: true };
const EARLY_BYTES = 20 * KIB;
/** No write takes long, however busy the machine is. */
const STILL = {
  clock: { monotonicMs: () => 0, wallMs: () => Date.now() },
};

/** A test in a folder of its own, where files can be written at once. */
function test(name: string, fn: (dir: string) => Promise<void>): void {
  const ignore = !canFlushWhole(Deno.env.get("TMPDIR") ?? "/tmp");
  Deno.test({ name, ignore, fn: () => withDir(fn) });
}

test("an answered body lies in its file alone, and survives the process", async (dir) => {
  const first = await TestStore.open(dir, STILL);
  const bytes = someBytes(200 * KIB, 4);
  const entry = await first.upload(bytes, HOW);
  const small = await first.upload(someBytes(70), HOW);
  await first.store.close({ clean: false });
  const left = Deno.readFileSync(`${dir}/data/quick.log`);
  const [own, next] = [...quickEntriesOf(left)];
  assert(own !== undefined && own.body.length === 0);
  assert(next !== undefined && next.token === "");
  const staged = `${dir}/p0/data/.tmp/${own.token}`;
  assert.deepEqual(Deno.readFileSync(staged), bytes);
  const second = await TestStore.open(dir);
  assert.deepEqual(await second.read(entry), bytes);
  assert.deepEqual(await second.read(small), someBytes(70));
  assert.throws(() => Deno.statSync(staged), Deno.errors.NotFound);
  await second.close();
});

test("a file that a loss of power took is not stored, nor what follows it", async (dir) => {
  const first = await TestStore.open(dir, STILL);
  const before = await first.upload(someBytes(70, 1), HOW);
  const lost = await first.upload(someBytes(EARLY_BYTES, 2), HOW);
  const after = await first.upload(someBytes(70, 3), HOW);
  await first.store.close({ clean: false });
  const left = Deno.readFileSync(`${dir}/data/quick.log`);
  const token = [...quickEntriesOf(left)][1]?.token;
  assert(token !== undefined && token !== "");
  Deno.truncateSync(`${dir}/p0/data/.tmp/${token}`, 4096);
  const second = await TestStore.open(dir);
  const { files } = second.store;
  assert(files.lookup(before.id) !== undefined);
  assert.equal(files.lookup(lost.id), undefined);
  assert.equal(files.lookup(after.id), undefined);
  assert.deepEqual([...Deno.readDirSync(`${dir}/p0/data/.tmp`)], []);
  await second.close();
});

test("a record waits for a disk that is not mounted at the start", async (dir) => {
  const first = await TestStore.open(dir, STILL);
  const bytes = someBytes(EARLY_BYTES, 5);
  const entry = await first.upload(bytes, HOW);
  await first.store.close({ clean: false });
  await Deno.rename(`${dir}/p0`, `${dir}/away`);
  const storePaths = [`${dir}/p0`];
  const second = await TestStore.open(dir, { storePaths });
  assert(second.store.files.lookup(entry.id) !== undefined);
  await second.close();
  await Deno.rename(`${dir}/away`, `${dir}/p0`);
  const third = await TestStore.open(dir, storeOptions(dir));
  assert.deepEqual(await third.read(entry), bytes);
  await third.close();
});

for (const other of ["another disk", "a disk that fails"]) {
  test(`a record waits for its disk when ${other} is there at the start`, async (dir) => {
    const first = await TestStore.open(dir, STILL);
    const bytes = someBytes(EARLY_BYTES, 5);
    const entry = await first.upload(bytes, HOW);
    const next = await first.upload(someBytes(70), HOW);
    await first.store.close({ clean: false });
    await Deno.rename(`${dir}/p0`, `${dir}/away`);
    const marker = `${dir}/p0/data/.kedge-path`;
    await Deno.mkdir(`${dir}/p0/data`, { recursive: true });
    const stranger = JSON.stringify({ store: "other", index: 0 });
    if (other === "another disk") Deno.writeTextFileSync(marker, stranger);
    else Deno.mkdirSync(marker); // it cannot be read
    const second = await TestStore.open(dir);
    const { files } = second.store;
    assert(files.lookup(entry.id) !== undefined);
    assert(files.lookup(next.id) !== undefined);
    await second.close();
    await Deno.remove(`${dir}/p0`, { recursive: true });
    await Deno.rename(`${dir}/away`, `${dir}/p0`);
    const third = await TestStore.open(dir);
    assert.deepEqual(await third.read(entry), bytes);
    await third.close();
  });
}

test("a file that the disk does not give is damaged, and nothing else", async (dir) => {
  const first = await TestStore.open(dir, STILL);
  const bad = await first.upload(someBytes(EARLY_BYTES, 1), HOW);
  const next = await first.upload(someBytes(EARLY_BYTES, 2), HOW);
  await first.store.close({ clean: false });
  const left = Deno.readFileSync(`${dir}/data/quick.log`);
  const [{ token } = { token: "" }] = quickEntriesOf(left);
  const staged = `${dir}/p0/data/.tmp/${token}`;
  Deno.removeSync(staged);
  Deno.mkdirSync(staged); // reads fail, and not for want of a name
  const second = await TestStore.open(dir);
  const damaged = await second.store.log.damaged(10);
  assert.deepEqual(damaged.map(({ id }) => id), [bad.id]);
  assert.deepEqual(await second.read(next), someBytes(EARLY_BYTES, 2));
  await second.close();
});

test("records of peers are taken the same way", async (dir) => {
  const first = await TestStore.open(dir, STILL);
  const records = [1, 2, 3].map((sequence) => ({
    sequence,
    ...foreignRecord(sequence, sequence * 16 * KIB - 20),
  }));
  await first.store.log.apply(2, 5, records, false);
  await first.store.close({ clean: false });
  const left = Deno.readFileSync(`${dir}/data/quick.log`);
  const tokens = [...quickEntriesOf(left)].map(({ token }) => token !== "");
  assert.deepEqual(tokens, [false, true, true]);
  const second = await TestStore.open(dir);
  for (const { change: { entry }, content } of records) {
    assert(content.kind === "inline");
    assert.deepEqual(await second.read(entry), content.bytes);
  }
  await second.close();
});

/** Limits as they are in use, but for the rush. */
const USUAL = {
  ...STILL,
  early: { sizeBytesMin: 64 * KIB, togetherBytesMin: 16 * KIB, rushCount: 1 },
};

/** For each entry of the quick log, whether it names a file. */
function areTokens(dir: string): boolean[] {
  const left = Deno.readFileSync(`${dir}/data/quick.log`);
  return [...quickEntriesOf(left)].map(({ token }) => token !== "");
}

function foreignRecords(count: number, from = 1) {
  return Array.from({ length: count }, (_, n) => ({
    sequence: from + n,
    ...foreignRecord(from + n, 20 * KIB),
  }));
}

test("shorter bodies are taken so when many of a peer come", async (dir) => {
  const { store } = await TestStore.open(dir, USUAL);
  await store.log.apply(2, 5, foreignRecords(3), false);
  await store.log.apply(2, 5, foreignRecords(4, 4), false);
  await store.close({ clean: false });
  assert.deepEqual(areTokens(dir), [
    ...[false, false, false],
    ...[true, true, true, true],
  ]);
});

test("shorter bodies of clients go the longer way", async (dir) => {
  const store = await TestStore.open(dir, USUAL);
  for (let n = 0; n < 5; n++) {
    await store.upload(someBytes(EARLY_BYTES, n), HOW);
  }
  await store.store.close({ clean: false });
  assert.deepEqual(areTokens(dir), Array(5).fill(false));
});

/** Let each look at the clock take 2 ms; apply these records meanwhile. */
async function applySlowly(
  { store }: TestStore,
  records: ReturnType<typeof foreignRecords>,
): Promise<void> {
  const { now } = performance;
  let looks = 0;
  performance.now = () => now.call(performance) + 2 * looks++;
  try {
    await store.log.apply(2, 5, records, false);
  } finally {
    performance.now = now;
  }
}

test("files of one call are written for a moment only", async (dir) => {
  const store = await TestStore.open(dir, USUAL);
  await applySlowly(store, foreignRecords(20));
  await store.store.close({ clean: false });
  const tokens = areTokens(dir);
  assert.equal(tokens.length, 20);
  assert(tokens[0]);
  assert(!tokens.at(-1));
});

test("others get their turn while a peer sends much", async (dir) => {
  const store = await TestStore.open(dir, USUAL);
  let turns = 0;
  const timer = setTimeout(() => turns++, 0);
  await applySlowly(store, foreignRecords(20));
  clearTimeout(timer);
  const taken = areTokens(dir).length;
  await store.close();
  assert.equal(turns, 1);
  assert.equal(taken, 20, "they were not taken at once");
});

test("what the quick log does not take is not written and removed again", async (dir) => {
  const { openSync } = Deno;
  let written = 0;
  Deno.openSync = (path, how) => {
    if (String(path).includes("early-")) written++;
    return openSync(path, how);
  };
  try {
    const store = await TestStore.open(dir, STILL);
    // Those behind it wait for its flush.
    const uploads = [store.upload(someBytes(500, 99))];
    for (let n = 0; n < 9; n++) {
      uploads.push(store.upload(someBytes(EARLY_BYTES, n), HOW));
    }
    await Promise.all(uploads);
    assert.equal(written, 0);
    await store.upload(someBytes(EARLY_BYTES, 9), HOW);
    assert.equal(written, 1);
    await store.close();
  } finally {
    Deno.openSync = openSync;
  }
});

test("a name in the quick log is of a staging file, or is nothing", async (dir) => {
  const first = await TestStore.open(dir, STILL);
  const bytes = someBytes(EARLY_BYTES, 1);
  const { id } = await first.upload(bytes, HOW);
  await first.close(false);
  const path = `${dir}/data/quick.log`;
  const [found] = [...quickEntriesOf(Deno.readFileSync(path))];
  assert(found !== undefined);
  Deno.writeFileSync(`${dir}/other`, bytes);
  const log = new Uint8Array(5000);
  writeQuickEntry(log, { ...found, token: "../../../other" }, 5n);
  Deno.writeFileSync(path, log);
  const second = await TestStore.open(dir);
  assert.equal(second.store.files.lookup(id), undefined);
  assert.deepEqual(Deno.readFileSync(`${dir}/other`), bytes);
  await second.close();
});

Deno.test("a scrub that meets a file before it has its name marks nothing", async () => {
  const { open } = Deno;
  try {
    await withDir(async (dir) => {
      const store = await TestStore.open(dir);
      const entry = await store.upload(someBytes(EARLY_BYTES, 1), HOW);
      await store.store.log.settled();
      const path = diskPath(dir, entry.id);
      let met = 0;
      Deno.open = (name, how) =>
        name === path && met++ === 0
          ? Promise.reject(new Deno.errors.NotFound("it has no name yet"))
          : open(name, how);
      const repaired: string[] = [];
      const scrubber = store.store.scrubber({
        bytesPerS: 0,
        repair: (id) => Promise.resolve(repaired.push(id) < 0),
      });
      await scrubber.run(new AbortController().signal);
      assert(met > 0);
      assert.deepEqual(repaired, []);
      assert.equal((await store.read(entry)).length, EARLY_BYTES);
      await store.close();
    });
  } finally {
    Deno.open = open;
  }
});

/** What the database has of files that are not settled. */
function unsettled(dir: string): { kinds: unknown[]; flushed: number } {
  const database = new DatabaseSync(`${dir}/data/kedge.db`);
  const rows = database.prepare("SELECT kind FROM unsettled").all();
  const row = database
    .prepare("SELECT value FROM state WHERE key = 'flushed'").get();
  database.close();
  return { kinds: rows.map(({ kind }) => kind), flushed: Number(row?.value) };
}

test("what was flushed once is not taken for unflushed by later starts", async (dir) => {
  const first = await TestStore.open(dir, STILL);
  for (const seed of [1, 2, 3]) {
    await first.upload(someBytes(EARLY_BYTES, seed), HOW);
  }
  await first.store.log.flush();
  await first.close();
  const database = new DatabaseSync(`${dir}/data/kedge.db`);
  database.exec("UPDATE paths SET fenced = 'it failed'");
  database.close();
  for (const clean of [true, false, false]) {
    const again = await TestStore.open(dir);
    await again.close(clean);
  }
  // Its disk is fenced: what is not flushed there goes into the database.
  assert.deepEqual(unsettled(dir).kinds, ["rename", "rename", "rename"]);
  assert(unsettled(dir).flushed >= 3);
});

test("what a killed run had not flushed is flushed by the next one", async (dir) => {
  const first = await TestStore.open(dir, STILL);
  await first.upload(someBytes(EARLY_BYTES, 1), HOW);
  await first.store.log.flush();
  const { flushed } = unsettled(dir);
  await first.upload(someBytes(EARLY_BYTES, 2), HOW);
  await first.store.close({ clean: false }); // in the quick log alone
  const second = await TestStore.open(dir);
  await eventually(() => unsettled(dir).flushed > flushed, {
    what: "the flush of the second file",
  });
  await second.close();
});
