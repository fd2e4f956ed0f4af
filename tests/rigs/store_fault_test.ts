import assert from "node:assert/strict";
import { errorCode } from "../../node-agent/files/disk.ts";
import { someBytes, TestStore } from "../../node-agent/files/store_fixture.ts";
import { WholeFlush } from "../../node-agent/files/whole_flush.ts";
import { type Fault, FaultShim } from "./fault_shim.ts";
import {
  check,
  checkLog,
  type Outcome,
  run,
  say,
  skipsWithoutShim,
} from "./store_runs.ts";
import { inTemp, smallDisk } from "./store_disks.ts";

const ignore = skipsWithoutShim("tests/rigs/store_fault");

async function withFault(
  scenario: string,
  fault: Omit<Fault, "arm">,
  act: (outcome: Outcome, dir: string) => Promise<void> | void,
): Promise<void> {
  await inTemp(async (dir) => {
    const shim = await FaultShim.compile(dir);
    const whole = { not: "/arm", ...fault, arm: "/store/arm" };
    const outcome = await run(shim, dir, scenario, whole);
    assert.equal(outcome.lines.at(-1)?.what, "end", outcome.errors);
    await act(outcome, dir);
  });
}

function words(outcome: Outcome, what: string): string[] {
  return outcome.lines.filter((line) => line.what === what)
    .map((line) => line.slug ?? "");
}

for (const scenario of ["uploads", "changes", "applied"]) {
  Deno.test({
    name: `S41 short writes everywhere lose nothing: ${scenario}`,
    ignore,
    fn: () =>
      withFault(scenario, {
        mode: "short",
        at: 0,
        calls: ["write"],
        path: "/store/",
      }, async ({ lines, count }, dir) => {
        assert(count > 10, `${count} writes were shortened`);
        assert(lines.every(({ what }) => what !== "refused"));
        await check(dir, lines);
      }),
  });
}

Deno.test({
  name: "S39 EIO once on fsync of a staging file fences the path",
  ignore,
  fn: () =>
    withFault("stubborn", {
      mode: "error",
      errno: "EIO",
      at: 1,
      calls: ["sync"],
      path: "/.tmp",
    }, async (outcome, dir) => {
      const { lines } = outcome;
      // The first upload is small and needs no staging file.
      const acked = lines.filter(({ what }) => what === "did").length;
      assert.equal(acked, 1);
      assert.deepEqual(words(outcome, "refused"), [
        "read-only",
        "read-only",
        "read-only",
      ]);
      assert.deepEqual(words(outcome, "state"), ["fenced"]);
      assert.match(words(outcome, "alarm").join(), /fenced.*flush/);
      const store = await TestStore.open(`${dir}/store`);
      try {
        assert.equal(store.store.files.storePaths()[0]?.state, "fenced");
        await assert.rejects(store.upload(someBytes(10)), {
          slug: "read-only",
        });
        await store.store.openPath(0);
        await store.upload(someBytes(10));
      } finally {
        await store.close();
      }
      await check(dir, lines.filter(({ what }) => what === "did"))
        .catch((error) => assert.match(String(error), /never uploaded/));
    }),
});

Deno.test({
  name: "S39 EIO once on fsync of the database closes the log",
  ignore,
  fn: () =>
    withFault("stubborn", {
      mode: "error",
      errno: "EIO",
      at: 2,
      calls: ["sync"],
      path: "kedge.db",
    }, async (outcome, dir) => {
      const { lines } = outcome;
      assert.equal(lines.filter(({ what }) => what === "did").length, 1);
      assert.deepEqual(words(outcome, "refused"), Array(3).fill("read-only"));
      assert.match(words(outcome, "alarm").join(), /log is closed/);
      await check(dir, lines);
    }),
});

Deno.test({
  name: "S39 EIO on writing a small file: its bytes stay in the database",
  ignore,
  fn: () =>
    withFault("stubborn", {
      mode: "error",
      errno: "EIO",
      at: 1,
      calls: ["write"],
      path: "/p0/data/00/",
    }, async (outcome, dir) => {
      // It is durable in the database, so it may be acknowledged.
      assert.equal(
        outcome.lines.filter(({ what }) => what === "did").length,
        1,
      );
      assert.deepEqual(words(outcome, "refused"), Array(3).fill("read-only"));
      assert.deepEqual(words(outcome, "state"), ["fenced"]);
      const [line] = outcome.lines.filter(({ what }) => what === "did");
      const store = await TestStore.open(`${dir}/store`);
      try {
        assert(line?.entry !== undefined);
        assert.deepEqual(await store.read(line.entry), someBytes(4000, 1));
        await store.store.openPath(0);
        await store.store.settle(0);
        assert.deepEqual(await store.read(line.entry), someBytes(4000, 1));
      } finally {
        await store.close();
      }
      const bytes = await Deno.readFile(
        `${dir}/store/p0/data/${line.entry.id.split("/").slice(2).join("/")}`,
      );
      assert.deepEqual(bytes, someBytes(4000, 1));
    }),
});

for (const call of ["write", "sync"] as const) {
  Deno.test({
    name: `S39 EIO once on ${call} of a journal: the bytes are kept elsewhere`,
    ignore,
    fn: () =>
      withFault("journals", {
        mode: "error",
        errno: "EIO",
        at: 2,
        calls: [call],
        path: "/.tmp/bodies-",
      }, async (outcome, dir) => {
        const acked = outcome.lines.filter(({ what }) => what === "did");
        // The second one went into the database, and so did its answer.
        assert.equal(acked.length, 2);
        assert.deepEqual(words(outcome, "refused"), ["read-only"]);
        assert.deepEqual(words(outcome, "state"), ["fenced"]);
        assert.match(words(outcome, "alarm").join(), /of a journal/);
        const entry = acked[1]?.entry;
        assert(entry !== undefined);
        const store = await TestStore.open(`${dir}/store`);
        try {
          assert.deepEqual(await store.read(entry), someBytes(150_000, 2));
          await store.store.openPath(0);
          await store.store.settle(0);
          assert.deepEqual(await store.read(entry), someBytes(150_000, 2));
        } finally {
          await store.close();
        }
        await check(dir, acked)
          .catch((error) => assert.match(String(error), /never uploaded/));
      }),
  });
}

Deno.test({
  name: "S39 EIO once on sync of a journal: earlier bodies are kept as well",
  ignore,
  fn: () =>
    withFault("journals-later", {
      mode: "error",
      errno: "EIO",
      at: 1,
      calls: ["sync"],
      path: "/.tmp/bodies-",
    }, async (outcome, dir) => {
      assert.deepEqual(words(outcome, "state"), ["fenced"]);
      const acked = outcome.lines.filter(({ what }) => what === "did");
      assert.equal(acked.length, 2);
      // What the failed flush may have thrown away, and what nobody flushed.
      const data = `${dir}/store/p0/data`;
      await Deno.truncate(`${data}/.tmp/bodies-1`, 0);
      const store = await TestStore.open(`${dir}/store`);
      try {
        for (const [at, { entry }] of acked.entries()) {
          assert(entry !== undefined);
          const path = `${data}/${entry.id.split("/").slice(2).join("/")}`;
          await Deno.truncate(path, 0);
          const bytes = someBytes(15_000, at + 1);
          assert.deepEqual(await store.read(entry), bytes);
        }
        await store.store.openPath(0);
        await store.store.settle(0);
      } finally {
        await store.close();
      }
      await check(dir, outcome.lines);
    }),
});

Deno.test({
  name: "S39 EIO when a file is settled fences the path and keeps the copy",
  ignore,
  fn: () =>
    withFault("stubborn", {
      mode: "error",
      errno: "EIO",
      at: 1,
      calls: ["sync"],
      path: "/p0/data/00/",
    }, async (outcome, dir) => {
      assert.equal(
        outcome.lines.filter(({ what }) => what === "did").length,
        4,
      );
      assert.deepEqual(words(outcome, "state"), ["fenced"]);
      // The page cache is not to be trusted: the copy restores the file.
      for (const { entry, what } of outcome.lines) {
        if (what !== "did" || entry === undefined) continue;
        if (entry.sizeBytes > 65_536) continue;
        const path = entry.id.split("/").slice(2).join("/");
        await Deno.truncate(`${dir}/store/p0/data/${path}`, 100);
      }
      const store = await TestStore.open(`${dir}/store`);
      await store.store.openPath(0);
      await store.close(false);
      await check(dir, outcome.lines);
    }),
});

Deno.test({
  name: "S39 EIO when many files are settled fences the path, all copies stay",
  ignore: ignore || WholeFlush.open(await Deno.realPath("/tmp")) === undefined,
  fn: () =>
    withFault("many", {
      mode: "error",
      errno: "EIO",
      at: 1,
      calls: ["sync"],
      path: "/p0/data",
      not: "/p0/data/",
    }, async (outcome, dir) => {
      const { lines, count } = outcome;
      assert.equal(count, 1, "a flush that failed is not tried again");
      const acked = lines.filter(({ what }) => what === "did");
      assert.equal(acked.length, 40);
      assert.deepEqual(words(outcome, "state"), ["fenced"]);
      assert.match(words(outcome, "alarm").join(), /fenced.*syncfs/);
      for (const { entry } of acked) {
        const path = entry?.id.split("/").slice(2).join("/");
        await Deno.truncate(`${dir}/store/p0/data/${path}`, 100);
      }
      const store = await TestStore.open(`${dir}/store`);
      await store.store.openPath(0);
      await store.close(false);
      await check(dir, lines);
    }),
});

Deno.test({
  name: "S37 a full disk of the database: no acknowledgement, no gap",
  ignore,
  fn: () =>
    withFault("stubborn", {
      mode: "error",
      errno: "ENOSPC",
      at: 0,
      calls: ["write"],
      path: "kedge.db",
    }, async (outcome, dir) => {
      assert.equal(
        outcome.lines.filter(({ what }) => what === "did").length,
        0,
      );
      assert.deepEqual(words(outcome, "refused"), Array(4).fill("read-only"));
      await check(dir, outcome.lines);
    }),
});

Deno.test("S37 a full disk of the database: deletes go on, uploads come back", () =>
  inTemp(async (dir) => {
    await using disk = await smallDisk(`${dir}/data`, "24m");
    if (disk === undefined) return say("SKIPPED S37: cannot mount tmpfs\n");
    const store = await TestStore.open(dir, { reserveFileBytes: 8 << 20 });
    const { files, log } = store.store;
    const first = await store.upload(someBytes(60_000));
    const filler = await Deno.open(`${dir}/data/filler`, {
      write: true,
      create: true,
    });
    await filler.write(new Uint8Array(1 << 20));
    let refusal: unknown;
    for (let round = 0; round < 500 && refusal === undefined; round++) {
      await store.upload(someBytes(60_000, round))
        .catch((error) => refusal = error);
    }
    assert.equal(Object(refusal).slug, "insufficient-storage", `${refusal}`);
    assert.match(files.alarms().join(), /disk of the database is full/);
    await store.delete(first);
    assert.equal(files.lookup(first.id)?.state, "tombstone");
    await checkLog(store);
    filler.close();
    await Deno.remove(`${dir}/data/filler`);
    await store.store.settle(0);
    await store.close();
    const again = await TestStore.open(dir, { reserveFileBytes: 4 << 20 });
    const { incarnation } = log;
    const runs = again.store.log.incarnations();
    await again.upload(someBytes(10));
    await again.close();
    assert.deepEqual(
      runs.find((run) => run.incarnation === incarnation),
      { incarnation, lastSequence: log.head() },
    );
  }));

Deno.test("S37 a full disk of the database: a start goes on with the reserve", () =>
  inTemp(async (dir) => {
    await using disk = await smallDisk(`${dir}/data`, "24m");
    if (disk === undefined) return say("SKIPPED S37: cannot mount tmpfs\n");
    const options = { reserveFileBytes: 8 << 20 };
    const store = await TestStore.open(dir, options);
    const first = await store.upload(someBytes(60_000));
    await store.close();
    await fillUp(`${dir}/data/filler`);
    const again = await TestStore.open(dir, options);
    const { files } = again.store;
    assert.match(files.alarms().join(), /disk of the database is full/);
    assert.deepEqual(await again.read(first), someBytes(60_000));
    await again.delete(first);
    assert.equal(files.lookup(first.id)?.state, "tombstone");
    await again.close();
  }));

/** Take every byte that is left on a disk. */
async function fillUp(path: string): Promise<void> {
  using filler = await Deno.open(path, { write: true, create: true });
  const some = new Uint8Array(4096);
  for (;;) {
    try {
      await filler.write(some);
    } catch (error) {
      if (errorCode(error) === "ENOSPC") return;
      throw error;
    }
  }
}
