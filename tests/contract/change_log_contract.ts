/**
 * What every `ChangeLog` with its `LocalFiles` does, whether it is real or in
 * memory: the simulated store of other tests must not be kinder than the disk.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { ChangeBody, FileEntry } from "@kedge/schema/change";
import type {
  ContentSource,
  LogRecordWithContent,
} from "../../node-agent/ports.ts";
import { factsOf, someBytes } from "../../node-agent/files/store_fixture.ts";
import {
  bytesOf,
  entryOf,
  inline,
  LIMIT,
  NONE,
  record,
  type Subject,
  WHOLE,
} from "./change_log_subject.ts";

/** Declare the tests of one implementation. */
export function changeLogContract(
  name: string,
  open: () => Promise<Subject>,
): void {
  const test = (what: string, act: (subject: Subject) => Promise<void>) =>
    Deno.test(`${name}: ${what}`, async () => {
      await using subject = await open();
      await act(subject);
    });

  test("append() shows files and takes records only in order", async (it) => {
    const bytes = someBytes(1000);
    const entry = entryOf(bytes, 1);
    const first = record(1, { entry, body: WHOLE }, inline(bytes));
    assert.equal(it.log.head(), 0);
    await it.log.append(first, true, "key");
    assert.equal(it.log.head(), 1);
    assert.deepEqual(it.files.lookup(entry.id), entry);
    assert.deepEqual(await bytesOf(it, entry), bytes);
    assert.equal(it.files.remembered("key")?.id, entry.id);
    assert.equal(it.files.fileCount(), 1);
    await assert.rejects(it.log.append(first, true));
    await assert.rejects(it.log.append({ ...first, sequence: 3 }, true));
    assert.equal(it.log.head(), 1);
  });

  test("recordsAfter() gives our records back, with small bytes", async (it) => {
    const made: LogRecordWithContent[] = [];
    for (let sequence = 1; sequence <= 5; sequence++) {
      const bytes = someBytes(100, sequence);
      const entry = entryOf(bytes, 1, sequence);
      const one = record(sequence, { entry, body: WHOLE }, inline(bytes));
      await it.log.append(one, sequence % 2 === 0);
      made.push(one);
    }
    const { incarnation } = it.log;
    assert.deepEqual(await it.log.recordsAfter(incarnation, 0, LIMIT), made);
    const part = await it.log
      .recordsAfter(incarnation, 2, { records: 2, bytes: 1e9 });
    assert.deepEqual(part, made.slice(2, 4));
    assert.deepEqual(await it.log.recordsAfter(incarnation, 5, LIMIT), []);
    assert.deepEqual(it.log.incarnations(), [
      { incarnation, lastSequence: 5 },
    ]);
  });

  test("apply() merges and moves the position", async (it) => {
    const bytes = someBytes(500);
    const entry = entryOf(bytes);
    const first = record(1, { entry, body: WHOLE }, inline(bytes));
    assert.deepEqual(await it.log.apply(2, 7, [first], true), ["applied"]);
    assert.deepEqual(it.log.positions(), [
      { origin: 2, incarnation: 7, sequence: 1 },
    ]);
    // The same state by another way is known.
    assert.deepEqual(await it.log.apply(3, 1, [first], true), ["known"]);
    const buried: FileEntry = { ...entry, state: "tombstone", version: 2 };
    const second = record(2, { entry: buried, body: { kind: "none" } }, NONE);
    const again = record(3, { entry, body: WHOLE }, inline(bytes));
    assert.deepEqual(await it.log.apply(2, 7, [second, again], true), [
      "applied",
      "known",
    ]);
    assert.deepEqual(it.files.lookup(entry.id), buried);
    await assert.rejects(
      it.log.apply(2, 7, [record(9, first.change, NONE)], true),
    );
    assert.equal(it.log.positions()[0]?.sequence, 3);
  });

  test("apply() says which content it lacks; adopt() brings it", async (it) => {
    const bytes = someBytes(90_000);
    const entry = entryOf(bytes);
    const first = record(1, { entry, body: WHOLE }, NONE);
    assert.deepEqual(await it.log.apply(2, 1, [first], true), [
      "needs-content",
    ]);
    assert.deepEqual(it.files.lookup(entry.id), entry);
    // Who tells a position holds the content too, also after a restart.
    assert.deepEqual(it.log.positions(), []);
    const other = entryOf(someBytes(20), 2, 2);
    const second = record(2, { entry: other, body: WHOLE }, {
      kind: "inline",
      bytes: someBytes(20),
    });
    assert.deepEqual(await it.log.apply(2, 1, [first, second], true), [
      "needs-content",
      "applied",
    ]);
    assert.deepEqual(it.log.positions(), []);
    assert.deepEqual(await it.log.damaged(10), [entry]);
    assert.deepEqual(await it.log.damaged(10, entry.id), []);
    assert.deepEqual(await it.log.damaged(10, entry.id.slice(0, -1)), [entry]);
    await assert.rejects(bytesOf(it, entry), { slug: "damaged" });
    const staged = await it.files.stage({ body: bytes, sizeBytesMax: 1e6 });
    const content: ContentSource = { kind: "staged", staged };
    assert.deepEqual(await it.log.adopt([{ entry, content }], true), [
      "applied",
    ]);
    assert.deepEqual(await bytesOf(it, entry), bytes);
    assert.deepEqual(await it.log.damaged(10), []);
    assert.deepEqual(await it.log.apply(2, 1, [first, second], true), [
      "known",
      "known",
    ]);
    assert.equal(it.log.positions()[0]?.sequence, 2);
  });

  test("apply() carries out changes of parts of the right base", async (it) => {
    const bytes = someBytes(3000);
    const entry = entryOf(bytes);
    const longer = new Uint8Array([...bytes, ...someBytes(100, 2)]);
    const second = {
      ...entry,
      ...factsOf(longer),
      version: 2,
      sha256: null,
    };
    const changed = longer.slice();
    changed.set(someBytes(10, 3), 5);
    const third = { ...second, ...factsOf(changed), version: 3, sha256: null };
    const cut = changed.slice(0, 50);
    const fourth = { ...third, ...factsOf(cut), version: 4, sha256: null };
    const base = { baseEpoch: 1, baseVersion: 1 };
    const steps: [FileEntry, ChangeBody, ContentSource][] = [
      [entry, WHOLE, inline(bytes)],
      [
        second,
        { kind: "range", offset: 3000, lengthBytes: 100, ...base },
        inline(someBytes(100, 2)),
      ],
      [third, {
        kind: "range",
        offset: 5,
        lengthBytes: 10,
        ...base,
        baseVersion: 2,
      }, inline(someBytes(10, 3))],
      [fourth, { kind: "truncate", ...base, baseVersion: 3 }, NONE],
    ];
    let sequence = 0;
    for (const [one, body, content] of steps) {
      const change = { entry: one, body };
      const next = record(++sequence, change, content);
      assert.deepEqual(await it.log.apply(2, 1, [next], true), ["applied"]);
    }
    assert.deepEqual(await bytesOf(it, fourth), cut);
  });

  test("adopt() remembers the key that made a file", async ({ log, files }) => {
    const bytes = someBytes(30);
    const entry = entryOf(bytes);
    const { sha256 } = entry;
    assert(sha256);
    const usedKey = { key: "one-try", sha256, epoch: 1 };
    await log.adopt([{ entry, content: inline(bytes), usedKey }], true);
    assert.deepEqual(files.remembered("one-try"), { id: entry.id, sha256 });
    assert.deepEqual(log.usedKey(entry.id), usedKey);
    assert.equal(log.usedKey(`${entry.id}x`), undefined);
    // By the log, too.
    const other = entryOf(someBytes(31), 2, 2);
    const change = { entry: other, body: WHOLE, key: "two" };
    const content = inline(someBytes(31));
    await log.apply(2, 1, [{ sequence: 1, change, content }], true);
    assert.equal(log.usedKey(other.id)?.key, "two");
  });

  test("cutLog() forgets the oldest records, and never the last", async (it) => {
    const { log } = it;
    const { incarnation } = log;
    const whole = [...Array(8).keys()].map((i) => {
      const bytes = someBytes(i + 1);
      const entry = entryOf(bytes, 1, i + 1);
      return record(i + 1, { entry, body: WHOLE }, inline(bytes));
    });
    for (const one of whole) await log.append(one, false);
    assert.equal(log.cut(), undefined);
    while (await log.cutLog({ incarnation, sequence: 5 }));
    assert.deepEqual(log.cut(), { incarnation, sequence: 5 });
    assert.equal(log.head(), 8);
    const left = await log.recordsAfter(incarnation, 5, LIMIT);
    assert.deepEqual(left.map(({ sequence }) => sequence), [6, 7, 8]);
    await assert.rejects(log.recordsAfter(incarnation, 4, LIMIT), /forgotten/);
    while (await log.cutLog({ incarnation, sequence: 8 }));
    assert.deepEqual(log.cut(), { incarnation, sequence: 7 });
    assert.deepEqual(log.incarnations(), [{ incarnation, lastSequence: 8 }]);
    for (const { change } of whole) {
      assert.deepEqual(it.files.lookup(change.entry.id), change.entry);
    }
  });

  test("skip() moves the position of a peer's log, never back", async ({ log }) => {
    await log.skip(2, { incarnation: 7, sequence: 40 });
    await log.skip(2, { incarnation: 7, sequence: 12 });
    const bytes = someBytes(9);
    const entry = entryOf(bytes);
    const next = record(41, { entry, body: WHOLE }, inline(bytes));
    assert.deepEqual(await log.apply(2, 7, [next], true), ["applied"]);
    assert.deepEqual(log.positions(), [
      { origin: 2, incarnation: 7, sequence: 41 },
    ]);
  });

  test("forgetRuns() forgets positions in old runs of one log", async ({ log }) => {
    for (const [origin, incarnation] of [[2, 7], [2, 9], [2, 12], [3, 1]]) {
      assert(origin && incarnation);
      await log.skip(origin, { incarnation, sequence: 5 });
    }
    await log.forgetRuns(2, 9);
    assert.deepEqual(
      log.positions().map((one) => `${one.origin}/${one.incarnation}`),
      ["2/9", "2/12", "3/1"],
    );
    // A late record of such a run would be applied from its start again.
    await assert.rejects(log.apply(2, 7, [
      record(6, { entry: entryOf(someBytes(1)), body: WHOLE }, NONE),
    ], true));
  });

  test("digests() differ exactly where states differ", async (it) => {
    const empty = await it.log.digests();
    assert.equal(empty.length, 4096);
    // A tombstone is as good as nothing for those of present files.
    const present = await it.log.presentDigests();
    const bytes = someBytes(10);
    const entry = entryOf(bytes, 2, 77);
    await it.log.adopt([{ entry, content: inline(bytes) }], true);
    const one = await it.log.digests();
    const differing = [...one.keys()].filter((i) => one[i] !== empty[i]);
    assert.equal(differing.length, 1);
    const [bucket = 0] = differing;
    assert.notDeepEqual(await it.log.presentDigests(), present);
    assert.deepEqual(await it.log.bucket(bucket), [entry]);
    const buried: FileEntry = { ...entry, state: "tombstone", version: 2 };
    await it.log.adopt([{ entry: buried, content: NONE }], true);
    const two = await it.log.digests();
    assert.notEqual(two[bucket], one[bucket]);
    assert.deepEqual(await it.log.presentDigests(), present);
    assert.deepEqual(await it.log.bucket(bucket), [buried]);
  });

  test("tombstones up to a mark are forgotten, whoever made them", async (it) => {
    const bytes = someBytes(10);
    const [ours, theirs, learnt, late, kept] = [1, 2, 3, 4, 5]
      .map((n) => entryOf(bytes, n === 1 ? 1 : 2, n));
    assert(ours && theirs && learnt && late && kept);
    const dead = (entry: FileEntry): FileEntry => ({
      ...entry,
      state: "tombstone",
      version: 2,
    });
    const gone = { kind: "none" } as const;
    await it.log.append(
      record(1, { entry: ours, body: WHOLE }, inline(bytes)),
      false,
    );
    await it.log.append(
      record(2, { entry: dead(ours), body: gone }, NONE),
      false,
    );
    await it.log.apply(2, 1, [
      record(1, { entry: theirs, body: WHOLE }, inline(bytes)),
      record(2, { entry: dead(theirs), body: gone }, NONE),
    ], false);
    await it.log.adopt([
      { entry: dead(learnt), content: NONE },
      { entry: kept, content: inline(bytes) },
    ], true);
    assert.equal(it.log.tombstoneCount(), 3);
    const mark = it.log.tombstoneMark();
    await it.settle();
    await it.log.adopt([{ entry: dead(late), content: NONE }], true);
    assert.equal(await it.log.collectTombstones(mark), 3);
    assert.equal(await it.log.collectTombstones(mark), 0);
    for (const { id } of [ours, theirs, learnt]) {
      assert.equal(it.files.lookup(id), undefined);
    }
    assert.equal(it.files.lookup(late.id)?.state, "tombstone");
    assert.deepEqual(it.files.lookup(kept.id), kept);
    assert.equal(it.log.tombstoneCount(), 1);
    assert.equal(await it.log.collectTombstones(it.log.tombstoneMark()), 1);
    await it.log.apply(2, 1, [
      record(3, { entry: dead(kept), body: gone }, NONE),
    ], false);
    await it.settle();
    await it.log.collectTombstones(it.log.tombstoneMark());
    assert.deepEqual([...new Set(await it.log.digests())], [0]);
    assert.equal(it.files.fileCount(), 0);
  });

  test("a tombstone that was stored again is younger than the mark", async (it) => {
    const entry: FileEntry = { ...entryOf(someBytes(1)), state: "tombstone" };
    await it.log.adopt([{ entry, content: NONE }], true);
    const mark = it.log.tombstoneMark();
    const again = { ...entry, version: 9 };
    await it.log.adopt([{ entry: again, content: NONE }], true);
    assert.equal(await it.log.collectTombstones(mark), 0);
    assert.deepEqual(it.files.lookup(entry.id), again);
  });

  test("old records say what their file is now: deleted, or forgotten", async (it) => {
    const bytes = someBytes(10);
    const entry = entryOf(bytes, 1);
    const dead: FileEntry = { ...entry, state: "tombstone", version: 2 };
    const made = record(1, { entry, body: WHOLE }, inline(bytes));
    await it.log.append(made, false);
    await it.log.adopt([{ entry: dead, content: NONE }], false);
    const { incarnation } = it.log;
    const [tombstone] = await it.log.recordsAfter(incarnation, 0, LIMIT);
    assert.deepEqual(tombstone, {
      sequence: 1,
      change: { entry: dead, body: { kind: "none" } },
      content: NONE,
    });
    await it.settle();
    await it.log.collectTombstones(it.log.tombstoneMark());
    const [hole] = await it.log.recordsAfter(incarnation, 0, LIMIT);
    assert.equal(hole?.isHole, true);
    // A hole moves the position and nothing else.
    assert.deepEqual(await it.log.apply(3, 1, [hole], true), ["known"]);
    assert.equal(it.files.lookup(entry.id), undefined);
    assert.deepEqual(it.log.positions(), [
      { origin: 3, incarnation: 1, sequence: 1 },
    ]);
  });

  test("the register is kept", async (it) => {
    assert.equal(it.log.register(), undefined);
    const register = {
      group: "group1",
      gen: crypto.randomUUID(),
      epoch: 3,
      members: [{ node: 1, store: it.log.store }],
      insync: [1],
    };
    await it.log.saveRegister(register);
    assert.deepEqual(it.log.register(), register);
  });
}
