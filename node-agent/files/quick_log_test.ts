import assert from "node:assert/strict";
import fc from "fast-check";
import { QuickLog, type QuickLogOptions } from "./quick_log.ts";
import {
  QUICK_HEAD_BYTES,
  quickEntriesOf,
  type QuickEntry,
  writeQuickEntry,
} from "./quick_log_core.ts";

const entries = fc.array(
  fc.record({
    origin: fc.integer({ min: 1, max: 2 ** 24 - 1 }),
    incarnation: fc.maxSafeNat(),
    sequence: fc.maxSafeNat(),
    pathIndex: fc.integer({ min: 0, max: 255 }),
    record: fc.string({ maxLength: 60, unit: "grapheme" }),
    body: fc.uint8Array({ maxLength: 40 }),
    token: fc.constantFrom("", "", "early-0-1.5.6", "é"),
  }, { noNullPrototype: true }).map((entry) =>
    entry.token === "" ? entry : { ...entry, body: new Uint8Array(0) }
  ),
  { minLength: 1, maxLength: 4 },
);

function joined(list: readonly QuickEntry[]) {
  const room = new Uint8Array(10_000);
  const ends: number[] = [];
  let end = 0;
  for (const entry of list) {
    const length = writeQuickEntry(room.subarray(end), entry, 5n);
    assert(length !== undefined);
    ends.push(end += length);
  }
  return { bytes: room.slice(0, end), ends };
}

/** Bytes behind its record: what the checksum of an entry does not cover. */
function behindRecord(entry: QuickEntry | undefined): number {
  const { body = new Uint8Array(0), token = "" } = entry ?? {};
  return body.length + new TextEncoder().encode(token).length;
}

function plain(list: Iterable<QuickEntry>): QuickEntry[] {
  return Array.from(
    list,
    (one) => ({ ...one, body: Uint8Array.from(one.body) }),
  );
}

Deno.test("quickEntriesOf() gives back what was written, as far as it is whole", () => {
  fc.assert(fc.property(entries, fc.nat(), (list, cut) => {
    const { bytes, ends } = joined(list);
    assert.deepEqual(plain(quickEntriesOf(bytes)), plain(list));
    const torn = bytes.slice(0, cut % bytes.length);
    const whole = ends.filter((end) => end <= torn.length).length;
    assert.deepEqual(plain(quickEntriesOf(torn)), plain(list).slice(0, whole));
  }));
});

Deno.test("quickEntriesOf() stops where anything but a body was changed", () => {
  fc.assert(fc.property(entries, fc.nat(), (list, where) => {
    const { bytes, ends } = joined(list);
    const at = where % bytes.length;
    bytes[at] = (bytes[at] ?? 0) ^ 0x40;
    const hit = ends.findIndex((end) => at < end);
    const isBody = at >= (ends[hit] ?? 0) - behindRecord(list[hit]);
    const found = plain(quickEntriesOf(bytes));
    if (isBody) assert.equal(found.length, list.length);
    else assert.deepEqual(found, plain(list).slice(0, hit));
  }));
});

Deno.test("writeQuickEntry() refuses what does not fit", () => {
  const entry = { ...entryOf(1), record: "é".repeat(50) };
  const lengthIn = (roomBytes: number) =>
    writeQuickEntry(new Uint8Array(roomBytes), entry, 5n);
  assert.equal(lengthIn(QUICK_HEAD_BYTES + 99 + 5), undefined);
  assert.equal(lengthIn(QUICK_HEAD_BYTES + 100 + 5), QUICK_HEAD_BYTES + 105);
  assert.deepEqual(plain(quickEntriesOf(new Uint8Array(500))), []);
});

function entryOf(sequence: number, bytes = 5): QuickEntry {
  const body = new Uint8Array(bytes).fill(sequence);
  const place = { incarnation: 7, sequence, pathIndex: 0 };
  return { origin: 2, ...place, record: "{}", body, token: "" };
}

async function withLog(
  act: (log: QuickLog, path: string, failures: unknown[]) => void,
  more: Partial<QuickLogOptions> = {},
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-quick-" });
  const path = `${dir}/quick.log`;
  const failures: unknown[] = [];
  const onFailed = (error: unknown) => failures.push(error);
  const workerBusyMs = () => 0;
  const stored = [{ origin: 2, incarnation: 7, sequence: 3 }];
  const nowMs = () => 0;
  const usual = { path, stored, workerBusyMs, nowMs, onFailed };
  const log = new QuickLog({ ...usual, ...more });
  try {
    act(log, path, failures);
  } finally {
    log.close();
    await Deno.remove(dir, { recursive: true });
  }
}

function put(log: QuickLog, ...entries: QuickEntry[]): number {
  return log.put(entries).length;
}

function sequencesIn(path: string): number[] {
  const entries = quickEntriesOf(Deno.readFileSync(path));
  return Array.from(entries, ({ sequence }) => sequence);
}

Deno.test("QuickLog takes a record only when all before it are stored", async () => {
  await withLog((log, path) => {
    assert.equal(put(log, entryOf(5)), 0);
    assert.equal(put(log, entryOf(4)), 1);
    assert.equal(put(log, entryOf(6)), 0);
    log.reach({ origin: 2, incarnation: 7, sequence: 5 });
    assert.equal(put(log, entryOf(6)), 1);
    assert.deepEqual(sequencesIn(path), [4, 6]);
    // Another log has numbers of its own.
    assert.equal(put(log, { ...entryOf(7), origin: 3 }), 0);
    const [body] = log.put([{ ...entryOf(1), origin: 3 }]);
    assert.deepEqual(body, new Uint8Array(5).fill(1));
  });
});

Deno.test("QuickLog takes several records up to the first that does not follow", async () => {
  await withLog((log, path) => {
    const entries = [4, 5, 7].map((sequence) => entryOf(sequence));
    assert.equal(put(log, ...entries), 2);
    assert.deepEqual(sequencesIn(path), [4, 5]);
    assert.equal(put(log, entryOf(6)), 1);
    log.stored(3);
    assert.equal(log.isWaiting, false);
  });
});

Deno.test("QuickLog begins at its front once everything in it is stored", async () => {
  await withLog((log, path) => {
    for (const sequence of [4, 5, 6]) {
      assert.equal(put(log, entryOf(sequence)), 1);
    }
    log.stored();
    log.stored();
    assert.equal(put(log, entryOf(7)), 1);
    assert.deepEqual(sequencesIn(path), [4, 5, 6, 7]);
    log.stored();
    log.stored();
    assert.equal(log.isWaiting, false);
    assert.deepEqual(
      sequencesIn(path),
      [],
      "what is stored is not stored anew",
    );
    assert.equal(put(log, entryOf(8)), 1);
    // Behind it lies what was stored.
    assert.deepEqual(sequencesIn(path), [8]);
  });
});

Deno.test("QuickLog keeps bytes of a body from being taken for an entry", async () => {
  await withLog((log, path) => {
    const forged = new Uint8Array(1000);
    assert(writeQuickEntry(forged, entryOf(6), 0n));
    const body = new Uint8Array(2000);
    body.set(forged, 500);
    assert.equal(put(log, { ...entryOf(4), body }), 1);
    log.stored();
    // It ends where the forged one begins.
    assert.equal(put(log, entryOf(5, 500)), 1);
    const left = Deno.readFileSync(path).subarray(QUICK_HEAD_BYTES + 2 + 500);
    assert.deepEqual(plain(quickEntriesOf(left)), [entryOf(6)], "no forgery");
    assert.deepEqual(sequencesIn(path), [5]);
  });
});

Deno.test("QuickLog takes only so much before the database has it", async () => {
  await withLog((log, path) => {
    let sequence = 3;
    while (put(log, entryOf(sequence + 1, 60_000)) === 1) sequence++;
    assert(sequence > 250 && sequence < 300, `${sequence}`);
    assert(Deno.statSync(path).size < 17e6);
    for (let n = 3; n < sequence; n++) log.stored();
    assert.equal(put(log, entryOf(sequence + 1, 300_000)), 0, "too long");
    assert.equal(put(log, entryOf(sequence + 1)), 1);
  });
});

Deno.test("QuickLog leaves disks alone while the worker waits for one", async () => {
  let busyMs = 0;
  await withLog((log) => {
    busyMs = 1000;
    assert.equal(put(log, entryOf(4)), 0);
    busyMs = 1;
    assert.equal(put(log, entryOf(4)), 1);
  }, { workerBusyMs: () => busyMs });
});

Deno.test("QuickLog leaves a disk alone that held the event loop up", async () => {
  let timeMs = 0;
  let tookMs = 0;
  await withLog((log) => {
    assert.equal(put(log, entryOf(4)), 1);
    tookMs = 120;
    assert.equal(put(log, entryOf(5)), 1, "it is stored all the same");
    tookMs = 0;
    timeMs += 9000;
    assert.equal(put(log, entryOf(6)), 0);
    timeMs += 2000;
    assert.equal(put(log, entryOf(6)), 1);
  }, { nowMs: () => timeMs += tookMs });
});

Deno.test("QuickLog is not used any more once it failed", async () => {
  await withLog((log, path, failures) => {
    Deno.mkdirSync(path);
    assert.equal(put(log, entryOf(4)), 0);
    Deno.removeSync(path);
    assert.equal(put(log, entryOf(4)), 0);
    assert.equal(failures.length, 1);
  });
});
