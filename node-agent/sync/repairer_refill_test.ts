import assert from "node:assert/strict";
import type { FileEntry } from "@kedge/schema/change";
import { Repairer } from "./repairer.ts";

const entryOf = (id: string) => ({ id }) as FileEntry;

Deno.test("a disk is filled without pauses between the rounds", async () => {
  const ids = Array.from({ length: 200 }, (_, at) => `${1000 + at}`);
  const damaged = new Set(ids);
  const repairer = new Repairer({
    log: {
      damaged: (limit, after = "") =>
        Promise.resolve(
          [...damaged].filter((id) => id > after).slice(0, limit).map(entryOf),
        ),
    },
    logger: { info() {}, warn() {} },
    fetch: (id) => {
      damaged.delete(id);
      return Promise.resolve({ kind: "kept", entry: entryOf(id) });
    },
  });
  // No time passes, only turns of the event loop.
  for (let turn = 0; turn < 1000 && damaged.size > 8; turn++) {
    repairer.tick(0);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  assert.equal(repairer.repaired, 192, "three full rounds");
});
