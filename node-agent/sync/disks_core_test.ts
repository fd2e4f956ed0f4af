import assert from "node:assert/strict";
import type { StorePathReport } from "@kedge/schema";
import { lostFiles } from "./disks_core.ts";

Deno.test("files count as lost when any disk is missing or fenced", () => {
  const rows: [StorePathReport["state"][], number, string | undefined][] = [
    [["writable", "full", "read-only"], 7, undefined],
    [["writable", "missing"], 7, "store path M01 is missing: why"],
    [["fenced", "writable"], 7, "store path M00 is fenced: why"],
    [["missing"], 0, undefined], // there is nothing to lose
  ];
  for (const [states, fileCount, expected] of rows) {
    const paths = states.map((state, index) => ({
      index,
      totalBytes: 9,
      freeBytes: 9,
      state,
      reason: "why",
    }));
    assert.equal(lostFiles(paths, fileCount), expected, states.join());
  }
});

Deno.test("files count as lost while a new disk is being filled", () => {
  const path = { index: 1, totalBytes: 9, freeBytes: 9 };
  const filling = { ...path, state: "writable" as const, refillFiles: 3 };
  assert.equal(lostFiles([filling], 7), "store path M01 is being filled again");
  assert.equal(lostFiles([{ ...filling, refillFiles: 0 }], 7), undefined);
});
