import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { KIB, MIB } from "@kedge/schema";
import { EarlyFiles, type EarlyFilesParts, isSuited } from "./early_files.ts";
import { earlyBytes, earlyToken, parseEarlyToken } from "./early_token.ts";
import { Layout } from "./layout.ts";
import type { Prepared } from "./preparer.ts";
import { SlowDisks } from "./slow_disks.ts";
import { EARLY, foreignRecord, someBytes, withDir } from "./store_fixture.ts";
import { canFlushWhole } from "./whole_flush.ts";
import type { PathState } from "./worker_messages.ts";

const WRITABLE: PathState = { state: "writable", reason: undefined };
const EARLY_BYTES = 20 * KIB;

function preparedOf(body: Uint8Array, pathIndex = 0): Prepared {
  const entry = { sizeBytes: body.length, crc32: crc32(body) };
  const content = { kind: "inline", at: 0, length: body.length };
  return { step: { entry, content, pathIndex }, body } as unknown as Prepared;
}

/** Early files of two store paths, without a store. */
function rig(dir: string, more: Partial<EarlyFilesParts> = {}) {
  const layout = new Layout(`${dir}/d`, [`${dir}/p0`, `${dir}/p1`]);
  const clock = { nowMs: 0 };
  const states = [WRITABLE, WRITABLE];
  const fenced: [number, string][] = [];
  for (const index of [0, 1]) {
    Deno.mkdirSync(layout.staging(index), { recursive: true });
  }
  const early = new EarlyFiles({
    layout,
    paths: { stateOf: (index) => states[index] },
    disks: new SlowDisks(() => clock.nowMs),
    onFence: (...what) => fenced.push(what),
    packedBytesMax: () => 0,
    mayUse: () => true,
    limits: EARLY,
    ...more,
  });
  const staged = (index = 0) =>
    [...Deno.readDirSync(layout.staging(index))].map(({ name }) => name);
  return { layout, clock, states, fenced, early, staged };
}

/** Whether it was written into a file. */
function isTaken(early: EarlyFiles, body: Uint8Array, pathIndex = 0): boolean {
  return early.take(preparedOf(body, pathIndex), 1).step.content.kind ===
    "whole";
}

Deno.test("EarlyFiles writes a body into a file that its token describes", async () => {
  await withDir((dir) => {
    const { layout, early, staged } = rig(dir);
    const body = someBytes(EARLY_BYTES, 1);
    const { step, body: left } = early.take(preparedOf(body), 1);
    assert.equal(left, undefined);
    assert(step.content.kind === "whole");
    const { token } = step.content;
    assert.deepEqual(staged(), [token]);
    assert.deepEqual(Deno.readFileSync(layout.staged(0, token)), body);
    const facts = { sizeBytes: body.length, crc32: crc32(body) };
    assert.deepEqual(parseEarlyToken(token), facts);
    const other = early.take(preparedOf(body), 1).step.content;
    assert(other.kind === "whole" && other.token !== token);
  });
});

Deno.test("EarlyFiles takes shorter bodies when they come together", async () => {
  await withDir((dir) => {
    const limits = { ...EARLY, togetherBytesMin: 10 * KIB };
    const { early } = rig(dir, { limits });
    const kindOf = (bytes: number, together: number) =>
      early.take(preparedOf(someBytes(bytes)), together).step.content.kind;
    assert.equal(kindOf(10 * KIB, 4), "whole");
    assert.equal(kindOf(10 * KIB, 3), "inline");
    assert.equal(kindOf(10 * KIB - 1, 4), "inline");
    assert.equal(kindOf(16 * KIB, 1), "whole");
  });
});

Deno.test("EarlyFiles leaves alone what is better kept elsewhere", async () => {
  await withDir((dir) => {
    const max = { packed: 0 };
    const { early, staged } = rig(dir, { packedBytesMax: () => max.packed });
    assert(!isTaken(early, someBytes(16 * KIB - 1)));
    assert(isTaken(early, someBytes(16 * KIB)));
    max.packed = 20 * KIB;
    assert(!isTaken(early, someBytes(20 * KIB)));
    assert(isTaken(early, someBytes(20 * KIB + 1)));
    assert.equal(staged().length, 2);
    const elsewhere = rig(dir, { mayUse: () => false });
    assert(!isTaken(elsewhere.early, someBytes(EARLY_BYTES)));
    assert.equal(staged().length, 2);
  });
});

Deno.test("EarlyFiles waits until many bodies come", async () => {
  await withDir((dir) => {
    const limits = { ...EARLY, rushCount: 4 };
    const { early, clock } = rig(dir, { limits });
    const body = someBytes(EARLY_BYTES);
    const every = (ms: number) =>
      Array.from({ length: 5 }, () => {
        clock.nowMs += ms;
        return isTaken(early, body);
      });
    assert.deepEqual(every(66), [false, false, false, true, true]);
    clock.nowMs = 10_000;
    assert.deepEqual(every(67), [false, false, false, false, false]);
    for (let n = 0; n < 9; n++) isTaken(early, someBytes(70)); // others
    assert.equal(every(67).at(-1), false);
  });
});

Deno.test("a store path is suited when it lies with the database", async () => {
  const shm = await Deno.makeTempDir({ dir: "/dev/shm" });
  try {
    await withDir((dir) => {
      const layout = new Layout(`${dir}/d`, [`${dir}/p0`, `${shm}/p1`]);
      for (const index of [0, 1]) {
        Deno.mkdirSync(layout.staging(index), { recursive: true });
      }
      assert(!isSuited(layout, 0), "no database");
      Deno.mkdirSync(`${dir}/d`);
      Deno.writeTextFileSync(layout.database, "");
      assert.equal(isSuited(layout, 0), canFlushWhole(dir));
      assert(!isSuited(layout, 1), "memory cannot be flushed");
      const elsewhere = new Layout(`${shm}/d`, [`${dir}/p0`]);
      Deno.mkdirSync(`${shm}/d`);
      Deno.writeTextFileSync(elsewhere.database, "");
      assert(!isSuited(elsewhere, 0), "another disk may hang by itself");
    });
  } finally {
    await Deno.remove(shm, { recursive: true });
  }
});

Deno.test("EarlyFiles asks again what a path can do when it changed", async () => {
  await withDir((dir) => {
    const asked: number[] = [];
    const mayUse = (_: Layout, index: number) => asked.push(index) === 1;
    const { early, states } = rig(dir, { mayUse });
    const body = someBytes(EARLY_BYTES);
    assert(isTaken(early, body));
    assert(isTaken(early, body));
    assert.deepEqual(asked, [0]);
    states[0] = { state: "fenced", reason: "it failed" };
    assert(!isTaken(early, body));
    states[0] = { ...WRITABLE };
    assert(!isTaken(early, body), "it is another disk now");
    assert.equal(asked.length, 2);
  });
});

Deno.test("EarlyFiles leaves a path alone that was slow, and that path alone", async () => {
  await withDir((dir) => {
    const { early, clock } = rig(dir);
    const body = someBytes(EARLY_BYTES);
    assert(isTaken(early, body, 0) && isTaken(early, body, 1));
    early.pause(1_500); // flushes took long
    assert(!isTaken(early, body, 0) && !isTaken(early, body, 1));
    clock.nowMs = 1_499;
    assert(!isTaken(early, body, 0));
    clock.nowMs = 1_500;
    assert(isTaken(early, body, 0) && isTaken(early, body, 1));
  });
});

Deno.test("EarlyFiles does not touch a disk that held the event loop up", async () => {
  await withDir((dir) => {
    let nowMs = 0;
    const stepMs = { write: 100 };
    // Time passes between two looks at the clock, as in a write that hangs.
    const disks = new SlowDisks(() => nowMs);
    const { early, layout, staged } = rig(dir, { disks });
    const { openSync } = Deno;
    Deno.openSync = (...how) => {
      nowMs += stepMs.write;
      return openSync(...how);
    };
    try {
      const body = someBytes(EARLY_BYTES);
      assert(isTaken(early, body), "the first one was written");
      assert(!isTaken(early, body));
      assert.equal(staged().length, 1, layout.staging(0));
      nowMs += 10_000;
      stepMs.write = 99;
      assert(isTaken(early, body) && isTaken(early, body));
    } finally {
      Deno.openSync = openSync;
    }
  });
});

Deno.test("EarlyFiles has a bound for what the worker has not taken over", async () => {
  await withDir((dir) => {
    const { early } = rig(dir);
    const body = someBytes(256 * KIB);
    const taken: Prepared[] = [];
    for (let n = 0; n < 64 * MIB / body.length; n++) {
      taken.push(early.take(preparedOf(body, n % 2), 1));
    }
    assert(taken.every(({ step }) => step.content.kind === "whole"));
    assert(!isTaken(early, someBytes(EARLY_BYTES)));
    const [first, second] = taken;
    assert(first !== undefined && second !== undefined);
    early.stored(first);
    assert(isTaken(early, body));
    assert(!isTaken(early, body));
    early.drop(second);
    assert(isTaken(early, body));
  });
});

Deno.test("EarlyFiles removes what was not stored", async () => {
  await withDir((dir) => {
    const { early, staged } = rig(dir);
    const prepared = early.take(preparedOf(someBytes(EARLY_BYTES)), 1);
    assert.equal(staged().length, 1);
    early.drop(prepared);
    assert.deepEqual(staged(), []);
    early.drop(preparedOf(someBytes(5))); // never had a file
  });
});

Deno.test("a failed write leaves nothing, and fences the path unless it is full", async () => {
  await withDir((dir) => {
    const { early, staged, fenced } = rig(dir);
    const { writeSync } = Deno.FsFile.prototype;
    const failWith = (code: string) => {
      Deno.FsFile.prototype.writeSync = (bytes) => {
        if (bytes.length < EARLY_BYTES) {
          throw Object.assign(new Error(`no: ${code}`), { code });
        }
        return 5; // a part is written before it fails
      };
    };
    try {
      for (const code of ["ENOSPC", "EDQUOT", "EMFILE"]) {
        failWith(code);
        assert(!isTaken(early, someBytes(EARLY_BYTES)));
        assert.deepEqual([staged(), fenced], [[], []]);
      }
      failWith("EIO");
      assert(!isTaken(early, someBytes(EARLY_BYTES)));
      assert.deepEqual(staged(), []);
      assert.deepEqual(fenced, [[0, "write of a staging file: no: EIO"]]);
    } finally {
      Deno.FsFile.prototype.writeSync = writeSync;
    }
  });
});

Deno.test("a disk that is not there any more is left to the store worker", async () => {
  await withDir((dir) => {
    const { early, fenced, layout } = rig(dir);
    Deno.removeSync(layout.staging(0), { recursive: true });
    assert(!isTaken(early, someBytes(EARLY_BYTES)));
    assert.deepEqual(fenced, []);
  });
});

Deno.test({
  name: "a path that is fenced is not flushed again, the others are",
  ignore: !canFlushWhole(Deno.env.get("TMPDIR") ?? "/tmp"),
  async fn() {
    await withDir(async (dir) => {
      const { early, states, layout } = rig(dir);
      const bodies = [0, 1].map((n) =>
        early.take(preparedOf(new Uint8Array(EARLY_BYTES), n), 1)
      );
      await early.keep();
      states[0] = { state: "fenced", reason: "a flush failed" };
      const only = { message: `${layout.data(0)} cannot be flushed` };
      await assert.rejects(early.keep(), only);
      Deno.removeSync(layout.data(1), { recursive: true });
      await assert.rejects(early.keep(), {
        message: [0, 1].map((n) => `${layout.data(n)} cannot be flushed`)
          .join("; "),
      });
      bodies.forEach((one) => early.stored(one));
      await early.keep(); // nothing is left to be flushed
    });
  },
});

Deno.test("earlyBytes() gives the bytes that were answered, and no others", async () => {
  await withDir((dir) => {
    const { layout } = rig(dir);
    const bytes = someBytes(700, 3);
    const id = foreignRecord(1).change.entry.id;
    const facts = { sizeBytes: bytes.length, crc32: crc32(bytes) };
    const token = earlyToken("0123abcd", 7, facts);
    const placed = { id, pathIndex: 0, token };
    const [staged, path] = [layout.staged(0, token), layout.file(id, 0)];
    assert.equal(earlyBytes(layout, placed), undefined);
    Deno.writeFileSync(staged, bytes);
    assert.deepEqual(earlyBytes(layout, placed), bytes);
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    Deno.renameSync(staged, path);
    assert.deepEqual(earlyBytes(layout, placed), bytes);
    const wrong = bytes.with(699, (bytes[699] ?? 0) ^ 1);
    Deno.writeFileSync(path, new Uint8Array([...bytes, 1, 2])); // appended to
    assert.deepEqual(earlyBytes(layout, placed), bytes);
    for (const other of [wrong, bytes.subarray(1), new Uint8Array(701)]) {
      Deno.writeFileSync(path, other);
      assert.equal(earlyBytes(layout, placed), undefined);
    }
    assert.equal(parseEarlyToken("early-../../x.1.2"), undefined);
    assert.equal(parseEarlyToken("bodies-1.2.3"), undefined);
  });
});
