import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import {
  diskPath,
  newEntry,
  someBytes,
  storeOptions,
  TestStore,
} from "../../node-agent/files/store_fixture.ts";
import { eventually } from "../helpers/eventually.ts";
import { checkLog, say } from "./store_runs.ts";
import { inTemp, smallDisk } from "./store_disks.ts";

const LIMIT = { records: 1000, bytes: 1e9 };

Deno.test("S36 a full store path: 507, nothing visible, deletes and reads work", () =>
  inTemp(async (dir) => {
    await using disk = await smallDisk(`${dir}/p0`, "8m");
    if (disk === undefined) return say("SKIPPED S36: cannot mount tmpfs\n");
    const store = await TestStore.open(dir);
    const { files, log } = store.store;
    const kept = await store.upload(someBytes(3 << 20, 1));
    const insufficient = { slug: "insufficient-storage" };
    // The length is known: refused before a byte is written.
    await assert.rejects(store.upload(someBytes(9 << 20)), insufficient);
    // It is not: ENOSPC in the middle.
    const chunk = someBytes(1 << 20, 2);
    let left = 12;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (left-- > 0) controller.enqueue(chunk.slice());
        else controller.close();
      },
    });
    await assert.rejects(
      files.stage({ body, sizeBytesMax: 1e9 }),
      insufficient,
    );
    assert.deepEqual([...Deno.readDirSync(`${dir}/p0/data/.tmp`)], []);
    assert.equal(files.fileCount(), 1);
    assert.deepEqual(await store.read(kept), someBytes(3 << 20, 1));
    // A small body fits the database: it is kept there until there is room.
    const filler = `${dir}/p0/filler`;
    const file = await Deno.open(filler, { write: true, create: true });
    try {
      for (;;) await file.write(new Uint8Array(4096));
    } catch {
      file.close();
    }
    const small = await store.stage(someBytes(5000, 3)).catch((error) => error);
    assert.equal(small.slug, "insufficient-storage");
    await store.delete(kept);
    await Deno.remove(filler);
    assert.equal(log.head(), 2);
    // How much room there is was looked at a moment ago, and is again soon.
    await eventually(() => store.upload(someBytes(3 << 20, 1)), {
      what: "room on the store path",
    });
    await checkLog(store);
    await store.close();
  }));

Deno.test("S45 S46 a changed, short or missing file is never served", () =>
  inTemp(async (dir) => {
    const store = await TestStore.open(dir);
    for (const size of [5000, 70_000, 3_000_000]) {
      for (const fault of ["flip", "truncate", "remove"]) {
        const bytes = someBytes(size, 1);
        const entry = await store.upload(bytes);
        const path = diskPath(dir, entry.id);
        // Until then the copy in the database is good for a small file.
        await store.store.settle(0);
        if (size === 3_000_000) await store.read(entry); // known as checked
        if (fault === "flip") {
          const file = await Deno.open(path, { write: true });
          await file.seek(size - 1, Deno.SeekMode.Start);
          await file.write(new Uint8Array([(bytes[size - 1] ?? 0) ^ 1]));
          file.close();
        } else if (fault === "truncate") await Deno.truncate(path, size - 1);
        else await Deno.remove(path);
        await assert.rejects(store.read(entry), /damaged|wrong/);
        await store.store.log.flush();
        const [bad] = await store.store.log.damaged(10);
        assert.equal(bad?.id, entry.id, `${fault} ${size}`);
        assert.deepEqual(store.store.files.lookup(entry.id), entry);
        const content = { kind: "inline", bytes } as const;
        assert.deepEqual(
          await store.store.log.adopt([{ entry, content }], true),
          ["applied"],
        );
        assert.deepEqual(await store.read(entry), bytes);
        assert.deepEqual(await store.store.log.damaged(10), []);
      }
    }
    await store.close();
  }));

Deno.test("S47 a store path that is not mounted, or another's, is refused", () =>
  inTemp(async (dir) => {
    const two = { storePaths: [`${dir}/p0`, `${dir}/p1`] };
    let store = await TestStore.open(dir, two);
    const entries = [];
    for (let index = 0; index < 4; index++) {
      entries.push(await store.upload(someBytes(5000, index)));
    }
    await store.store.settle(0);
    await store.close();
    const states = () =>
      store.store.files.storePaths().map(({ state }) => state);

    await Deno.rename(`${dir}/p1`, `${dir}/gone`); // not mounted
    store = await TestStore.open(dir, two);
    assert.deepEqual(states(), ["writable", "missing"]);
    assert.match(store.store.files.alarms().join(), /marker/);
    for (const entry of entries) {
      if (entry.id.includes("/M00/")) {
        assert.deepEqual((await store.read(entry)).length, 5000);
      } else {
        await assert.rejects(store.read(entry), { slug: "damaged" });
        assert.deepEqual(store.store.files.lookup(entry.id), entry);
      }
    }
    assert.deepEqual(await store.store.log.damaged(10), []);
    await store.upload(someBytes(10)); // goes to the other one
    await store.close();
    await assert.rejects(Deno.stat(`${dir}/p1/data/.kedge-path`));

    await Deno.rename(`${dir}/p0`, `${dir}/p1`); // swapped
    await Deno.rename(`${dir}/gone`, `${dir}/p0`);
    store = await TestStore.open(dir, two);
    assert.deepEqual(states(), ["missing", "missing"]);
    await assert.rejects(store.upload(someBytes(10)), { slug: "read-only" });
    await store.close();

    await Deno.rename(`${dir}/p0`, `${dir}/gone`); // and back
    await Deno.rename(`${dir}/p1`, `${dir}/p0`);
    await Deno.rename(`${dir}/gone`, `${dir}/p1`);
    store = await TestStore.open(dir, two);
    assert.deepEqual(states(), ["writable", "writable"]);
    for (const entry of entries) assert(await store.read(entry));
    await store.close();

    // A lost database does not take over disks full of files.
    await Deno.remove(`${dir}/data`, { recursive: true });
    store = await TestStore.open(dir, two);
    assert.deepEqual(states(), ["missing", "missing"]);
    await store.close();
  }));

Deno.test("S47 a disk that goes while the agent runs is not made anew", () =>
  inTemp(async (dir) => {
    const store = await TestStore.open(dir);
    const { files, log } = store.store;
    const large = await store.upload(someBytes(100_000, 1));
    const small = await store.upload(someBytes(1000, 2), { appender: true });
    await store.store.settle(0);
    const staged = await store.stage(someBytes(500, 3));
    const id = files.newId({ staged, extension: "", appender: false });
    await Deno.rename(`${dir}/p0`, `${dir}/gone`); // unmounted
    // A small body is safe in the database, whatever becomes of the disk.
    const entry = newEntry(id, staged);
    await log.append({
      sequence: log.head() + 1,
      change: { entry, body: { kind: "whole" } },
      content: { kind: "staged", staged },
    }, true);
    assert.deepEqual(await store.read(entry), someBytes(500, 3));
    await assert.rejects(store.read(large), { slug: "damaged" });
    await assert.rejects(store.upload(someBytes(9)), { slug: "read-only" });
    assert.deepEqual(await log.damaged(10), []);
    await assert.rejects(Deno.stat(`${dir}/p0`));
    await store.close();

    await Deno.rename(`${dir}/gone`, `${dir}/p0`);
    const again = await TestStore.open(dir);
    await again.store.openPath(0);
    await again.store.settle(0);
    for (
      const [one, bytes] of [
        [large, someBytes(100_000, 1)],
        [small, someBytes(1000, 2)],
        [entry, someBytes(500, 3)],
      ] as const
    ) assert.deepEqual(await again.read(one), bytes);
    assert.equal((await Deno.stat(diskPath(dir, id))).size, 500);
    await again.close();
  }));

Deno.test("a missing file that is appended to is damaged, not the disk", () =>
  inTemp(async (dir) => {
    const store = await TestStore.open(dir);
    const file = await store.upload(someBytes(1000), { appender: true });
    await store.store.settle(0);
    await Deno.remove(diskPath(dir, file.id));
    const longer = await store.write(file, 1000, someBytes(10));
    assert.equal(store.store.files.storePaths()[0]?.state, "writable");
    await assert.rejects(store.read(longer), { slug: "damaged" });
    const [bad] = await store.store.log.damaged(10);
    assert.equal(bad?.id, file.id);
    await store.close();
  }));

Deno.test("S48 a log cut at any byte keeps a valid prefix, in a new run", () =>
  inTemp(async (dir) => {
    const store = await TestStore.open(`${dir}/a`);
    const entries = [];
    for (let index = 0; index < 12; index++) {
      entries.push(await store.upload(someBytes(3000 + index, index)));
    }
    const { incarnation } = store.store.log;
    // As after a power loss: the files as they are while the agent runs.
    const wal = await Deno.readFile(`${dir}/a/data/kedge.db-wal`);
    const database = await Deno.readFile(`${dir}/a/data/kedge.db`);
    const marker = await Deno.readFile(`${dir}/a/p0/data/.kedge-path`);
    let seed = 12345;
    const heads = new Set<number>();
    for (let round = 0; round < 25; round++) {
      seed = (seed * 1103515245 + 12345) % 2 ** 31;
      const cut = round === 0 ? wal.length : seed % wal.length;
      const copy = `${dir}/copy${round}`;
      await Deno.mkdir(`${copy}/data`, { recursive: true });
      await Deno.mkdir(`${copy}/p0/data/.tmp`, { recursive: true });
      await Deno.writeFile(`${copy}/p0/data/.kedge-path`, marker);
      await Deno.writeFile(`${copy}/data/kedge.db`, database);
      await Deno.writeFile(`${copy}/data/kedge.db-wal`, wal.subarray(0, cut));
      const again = await TestStore.open(copy);
      const { log, files } = again.store;
      if (log.store !== store.store.log.store) { // cut before it was made
        await again.close();
        continue;
      }
      assert(log.incarnation > incarnation);
      const [old] = log.incarnations();
      const head = old?.incarnation === incarnation ? old.lastSequence : 0;
      heads.add(head);
      const records = await log.recordsAfter(incarnation, 0, LIMIT);
      assert.equal(records.length, head);
      for (const [index, entry] of entries.entries()) {
        if (index >= head) {
          assert.equal(files.lookup(entry.id), undefined);
          continue;
        }
        // No file was on the disk: replay wrote it from the database.
        const bytes = await again.read(entry);
        assert.deepEqual(bytes, someBytes(3000 + index, index));
      }
      await again.close();
    }
    assert(heads.has(12) && heads.size > 4, `${[...heads]}`);
    await store.close();
  }));

Deno.test("S49 a changed bit in a stored record stops that log, with an alarm", () =>
  inTemp(async (dir) => {
    let store = await TestStore.open(dir);
    for (let index = 0; index < 5; index++) await store.upload(someBytes(9));
    const { incarnation } = store.store.log;
    await store.close();
    const database = new DatabaseSync(storeOptions(dir).dataDir + "/kedge.db");
    database.exec(
      `UPDATE changes SET record = replace(record, '"version":1', '"version":3')
        WHERE sequence = 3`,
    );
    database.close();
    store = await TestStore.open(dir);
    const { log, files } = store.store;
    const before = await log.recordsAfter(incarnation, 0, {
      records: 2,
      bytes: 1e9,
    });
    assert.equal(before.length, 2);
    // Those before it go to peers first.
    const good = await log.recordsAfter(incarnation, 0, LIMIT);
    assert.deepEqual(good.map(({ sequence }) => sequence), [1, 2]);
    await assert.rejects(log.recordsAfter(incarnation, 2, LIMIT), {
      slug: "damaged",
    });
    assert.match(files.alarms().join(), /record 3 of log \d+ is damaged/);
    // Reads and other logs go on.
    for (const entry of files.list({ limit: 10 })) {
      assert.equal((await store.read(entry)).length, 9);
    }
    assert.deepEqual(await log.apply(2, 1, [], true), []);
    await store.close();
  }));
