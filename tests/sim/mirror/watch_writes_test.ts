/**
 * What the checker says of an older write that lands on an answered one.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Lineage } from "./lineage.ts";
import { ReceivedWrites } from "./received_writes.ts";
import { SimDisk } from "./sim_disk.ts";
import type { SimNode } from "./sim_node.ts";
import { Taints } from "./taints.ts";
import { overwrite } from "./watch_writes.ts";
import { PIECES_PER_BLOCK } from "./world.ts";

const PIECE = 3;
const [OLDER, NEWER] = [131, 133];

/** What is said when OLDER lands on NEWER, which was answered. */
function verdictOf(given: {
  readonly waiting?: { readonly first: number; readonly count: number };
  readonly role?: "Primary" | "Secondary";
  readonly onNoData?: "io-error" | "suspend-io";
  readonly isDrained?: boolean;
}): string | undefined {
  const { role = "Secondary", onNoData = "suspend-io" } = given;
  const { waiting, isDrained = waiting === undefined } = given;
  const taints = new Taints();
  const lineage = new Lineage(PIECES_PER_BLOCK, [1, 2], { taints });
  lineage.born(PIECE, OLDER, 1);
  lineage.born(PIECE, NEWER, OLDER);
  lineage.answered(PIECE, OLDER);
  lineage.answered(PIECE, NEWER);
  const value = new Uint32Array(PIECES_PER_BLOCK).fill(NEWER);
  const received = new ReceivedWrites();
  if (waiting !== undefined) received.add(NEWER, waiting);
  let broken: string | undefined;
  const node = {
    id: 0,
    name: "A",
    disk: new SimDisk(1, 1, { state: {} as SimDisk["state"], value }),
    received,
    given: [],
    core: { state: { role, disk: "UpToDate" }, replica: { isDrained } },
    world: {
      lineage,
      taints,
      plan: { onNoData },
      history: { wasOnItsWay: () => false },
      nodes: [{}, { disk: {} }],
      mark: () => {},
      fail: (promise: string) => {
        broken = promise;
      },
    },
  };
  overwrite(node as unknown as SimNode, PIECE, OLDER);
  return broken;
}

Deno.test("an older write that is sent again may land on a newer one that waits behind it", () => {
  assert.equal(verdictOf({ waiting: { first: 0, count: 8 } }), undefined);
});

Deno.test("an older write that lands on a newer one for good is noticed", () => {
  assert.equal(verdictOf({}), "I12", "nothing waits");
  const elsewhere = { first: PIECE + 1, count: 2 };
  assert.equal(verdictOf({ waiting: elsewhere }), "I12", "not for this piece");
  const waiting = { first: 0, count: 8 };
  assert.equal(
    verdictOf({ waiting, isDrained: true }),
    "I12",
    "all is applied",
  );
  assert.equal(verdictOf({ waiting, role: "Primary" }), "I12");
  assert.equal(verdictOf({ waiting, onNoData: "io-error" }), "I12");
});
