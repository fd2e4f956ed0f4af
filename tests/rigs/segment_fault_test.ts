import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { scanSegment } from "../../node-agent/files/segments.ts";
import { TestStore } from "../../node-agent/files/store_fixture.ts";
import { type Fault, FaultShim } from "./fault_shim.ts";
import { PACKING } from "./store_child.ts";
import { inTemp } from "./store_disks.ts";
import { check, type Outcome, run, skipsWithoutShim } from "./store_runs.ts";

const ignore = skipsWithoutShim("tests/rigs/segment_fault");
const OPTIONS = { ...PACKING, settleDelayMs: 1e9 };

/** What must follow from a fault while small files are packed. */
interface Expected {
  /** Uploads acknowledged: two before the fault, one after it. */
  readonly acknowledged: number;
  readonly refused: readonly string[];
  readonly state: "writable" | "fenced";
}

/** Nothing is lost, and the path that takes no bytes says so. */
const FENCED: Expected = {
  acknowledged: 2,
  refused: ["read-only"],
  state: "fenced",
};
/** A full disk is no broken one: the bytes wait in the database. */
const WAITING: Expected = { acknowledged: 3, refused: [], state: "writable" };

const CASES: readonly (readonly [
  string,
  Pick<Fault, "calls" | "errno" | "path" | "at">,
  Expected,
])[] = [
  ["S39 EIO on a write of a segment", {
    calls: ["write"],
    errno: "EIO",
    path: "/.segments/",
    at: 1,
  }, FENCED],
  ["S39 EIO on the flush of a segment", {
    calls: ["sync"],
    errno: "EIO",
    path: ".seg",
    at: 1,
  }, FENCED],
  ["S39 EIO on the flush of a new segment's name", {
    calls: ["sync"],
    errno: "EIO",
    path: "/.segments",
    at: 1,
  }, FENCED],
  ["S37 no space in a segment", {
    calls: ["write"],
    errno: "ENOSPC",
    path: "/.segments/",
    at: 0,
  }, WAITING],
  ["S37 no space for a new segment", {
    calls: ["open"],
    errno: "ENOSPC",
    path: "/.segments/",
    at: 0,
  }, WAITING],
];

for (const [name, fault, expected] of CASES) {
  Deno.test({
    name: `${name}: ${expected.state}, nothing lost`,
    ignore,
    fn: () =>
      inTemp(async (dir) => {
        const shim = await FaultShim.compile(dir);
        const outcome = await run(shim, dir, "segments", {
          ...fault,
          mode: "error",
          arm: "/store/arm",
        });
        assert.equal(outcome.lines.at(-1)?.what, "end", outcome.errors);
        assert(outcome.count > 0, "no call failed");
        const did = outcome.lines.filter(({ what }) => what === "did");
        assert.equal(did.length, expected.acknowledged);
        assert.deepEqual(words(outcome, "refused"), expected.refused);
        assert.deepEqual(words(outcome, "state"), [expected.state]);
        const alarms = words(outcome, "alarm").join();
        if (expected.state === "fenced") {
          assert.match(alarms, /fenced.*segment/);
        } else assert.equal(alarms, "");
        await mend(dir, outcome, expected);
        const kept = outcome.lines.filter(({ what, entry }) =>
          what === "did" || did.some((one) => one.entry?.id === entry?.id)
        );
        await check(dir, kept, OPTIONS);
      }),
  });
}

/** The next start: everything is packed once more, and once only. */
async function mend(
  dir: string,
  { lines }: Outcome,
  { state }: Expected,
): Promise<void> {
  const store = await TestStore.open(`${dir}/store`, OPTIONS);
  try {
    assert.equal(store.store.files.storePaths()[0]?.state, state);
    if (state === "fenced") {
      await assert.rejects(store.upload(new Uint8Array(5)), {
        slug: "read-only",
      });
      await store.store.openPath(0);
    }
    await store.store.settle(0);
  } finally {
    await store.close();
  }
  const wanted = lines.flatMap(({ what, entry }) =>
    what === "did" && entry !== undefined ? [entry] : []
  );
  const folder = `${dir}/store/p0/data/.segments`;
  const found = [...Deno.readDirSync(folder)].map(({ name }) => name).sort()
    .flatMap((name) => [...scanSegment(`${folder}/${name}`)]);
  assert.deepEqual(
    found.map(({ id, isLive }) => [id, isLive]).sort(),
    wanted.map(({ id }) => [id, true]).sort(),
  );
  for (const { id, body } of found) {
    const entry = wanted.find((one) => one.id === id);
    assert.equal(crc32(body), entry?.crc32);
  }
}

function words(outcome: Outcome, what: string): string[] {
  return outcome.lines.filter((line) => line.what === what)
    .map((line) => line.slug ?? "");
}
