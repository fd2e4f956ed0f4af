import assert from "node:assert/strict";
import { BodyJournals, keptBytes } from "./body_journal.ts";
import { journalToken, parseJournalToken } from "./body_journal_core.ts";
import { Layout } from "./layout.ts";
import { someBytes } from "./store_fixture.ts";

const KIB = 1 << 10;

async function withJournals(
  act: (journals: BodyJournals, layout: Layout, dir: string) => void,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-journal-" });
  try {
    const layout = new Layout(`${dir}/data`, [`${dir}/p0`, `${dir}/p1`]);
    await Deno.mkdir(layout.staging(0), { recursive: true });
    const journals = new BodyJournals(layout, 64 * KIB);
    try {
      act(journals, layout, layout.staging(0));
    } finally {
      journals.close();
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Write a body, and say that its action was stored. */
function put(journals: BodyJournals, bytes: Uint8Array) {
  const place = journals.put(0, bytes);
  assert(place !== undefined);
  const kept = { pathIndex: 0, payload: null, ...place };
  journals.hold(kept);
  return kept;
}

function names(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map(({ name }) => name).sort();
}

Deno.test("parseJournalToken() reads what journalToken() wrote", () => {
  assert.deepEqual(parseJournalToken(journalToken(12, 200_000, 0xffff_ffff)), {
    name: "bodies-12",
    file: 12,
    lengthBytes: 200_000,
    crc32: 0xffff_ffff,
  });
  for (
    const token of ["", "write-1", "segment-3", "bodies-1", "bodies-x.1.1"]
  ) {
    assert.equal(parseJournalToken(token), undefined, token);
  }
});

Deno.test("bytes come back from a journal", () =>
  withJournals((journals, layout) => {
    const first = put(journals, someBytes(7000, 1));
    const second = put(journals, someBytes(8000, 2));
    assert.deepEqual(keptBytes(layout, first), someBytes(7000, 1));
    assert.deepEqual(keptBytes(layout, second), someBytes(8000, 2));
    assert(journals.isDirty);
    assert.equal(journals.sync().size, 0);
    assert(!journals.isDirty);
  }));

Deno.test("a full journal is used again once nothing in it is needed", () =>
  withJournals((journals, layout, dir) => {
    const bytes = someBytes(16 * KIB, 1);
    const kept = [1, 2, 3, 4].map(() => put(journals, bytes));
    const later = put(journals, someBytes(100, 2));
    assert.deepEqual(names(dir), ["bodies-1", "bodies-2"]);
    kept.slice(1).forEach((one) => journals.release(one));
    for (let count = 0; count < 4; count++) put(journals, bytes);
    put(journals, someBytes(100, 3));
    assert.deepEqual(names(dir), ["bodies-1", "bodies-2", "bodies-3"]);
    const [first] = kept;
    assert(first !== undefined);
    assert.deepEqual(keptBytes(layout, first), bytes, "one still needs it");
    journals.release(first);
    for (let count = 0; count < 4; count++) put(journals, someBytes(KIB, 9));
    for (let count = 0; count < 4; count++) put(journals, bytes);
    put(journals, someBytes(100, 4));
    assert.deepEqual(names(dir), ["bodies-1", "bodies-2", "bodies-3"]);
    assert.equal(keptBytes(layout, first), undefined, "other bytes are there");
    assert.deepEqual(keptBytes(layout, later), someBytes(100, 2));
  }));

Deno.test("a journal of an earlier run goes with its last action", () =>
  withJournals((journals, layout, dir) => {
    const kept = [put(journals, someBytes(10, 1)), put(journals, someBytes(9))];
    const next = new BodyJournals(layout, 64 * KIB);
    kept.forEach((one) => next.keepOld(one));
    const fresh = put(next, someBytes(11, 2));
    assert.deepEqual(names(dir), ["bodies-1", "bodies-2"]);
    for (const one of kept) {
      assert(keptBytes(layout, one) !== undefined);
      next.release(one);
    }
    assert.deepEqual(names(dir), ["bodies-2"]);
    next.release(fresh);
    next.close();
    assert.deepEqual(names(dir), []);
  }));

Deno.test("a journal that is cut short gives nothing", () =>
  withJournals((journals, layout, dir) => {
    const kept = put(journals, someBytes(70_000, 1));
    Deno.truncateSync(`${dir}/bodies-1`, 60_000);
    assert.equal(keptBytes(layout, kept), undefined);
  }));

Deno.test("many full journals ask for an early flush, then refuse", () =>
  withJournals((journals) => {
    const bytes = new Uint8Array(64 * KIB);
    for (let count = 0; count < 32; count++) {
      assert(!journals.hasMany);
      put(journals, bytes);
    }
    assert(journals.hasMany);
    for (let count = 32; count < 48; count++) put(journals, bytes);
    assert.equal(journals.put(0, bytes), undefined);
  }));

Deno.test("a journal that an earlier run left behind is in nobody's way", () =>
  withJournals((journals, layout, dir) => {
    Deno.writeTextFileSync(`${dir}/bodies-1`, "left behind");
    const kept = put(journals, someBytes(9000, 1));
    assert.deepEqual(names(dir), ["bodies-1", "bodies-2"]);
    assert.deepEqual(keptBytes(layout, kept), someBytes(9000, 1));
  }));

Deno.test("no journal of a disk that failed or changed is written again", () =>
  withJournals((journals, _layout, dir) => {
    const bytes = someBytes(64 * KIB, 1);
    const [spare, full] = [put(journals, bytes), put(journals, bytes)];
    journals.release(spare);
    const current = put(journals, someBytes(10, 1)); // takes the spare one
    journals.release(current);
    journals.leave(0);
    journals.release(full);
    assert.deepEqual(names(dir), [], "nobody needs one, and none is kept");
    put(journals, bytes);
    assert.deepEqual(names(dir), ["bodies-3"]);
  }));

/** How many files of a folder this process has open. */
function openIn(dir: string): number {
  return [...Deno.readDirSync("/proc/self/fd")].filter(({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${name}`).startsWith(dir);
    } catch {
      return false; // that of the list itself
    }
  }).length;
}

Deno.test({
  name: "a disk that failed or changed can be unmounted: no journal is open",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    withJournals((journals, layout, dir) => {
      const kept = [1, 2, 3, 4, 5].map((seed) =>
        put(journals, someBytes(16 * KIB, seed))
      );
      journals.sync();
      const unflushed = put(journals, someBytes(KIB, 6));
      assert.equal(openIn(dir), 2);
      journals.leave(0);
      assert.equal(openIn(dir), 1, "what is not flushed yet is tried once");
      journals.sync();
      assert.equal(openIn(dir), 0);
      for (const [at, one] of kept.entries()) {
        assert.deepEqual(keptBytes(layout, one), someBytes(16 * KIB, at + 1));
        journals.release(one);
      }
      journals.release(unflushed);
      assert.deepEqual(names(dir), []);
      put(journals, someBytes(KIB, 7));
      assert.deepEqual(names(dir), ["bodies-3"]);
    }),
});
