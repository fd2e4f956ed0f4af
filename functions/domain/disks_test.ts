import assert from "node:assert/strict";
import type { MemberState } from "./cluster.ts";
import { whyNeeded } from "./disks.ts";
import { groupOf, memberOf, withPath } from "./testing.ts";

Deno.test("whyNeeded() wants another live member in sync with all its disks", () => {
  const rows: [MemberState[], RegExp | undefined][] = [
    [[memberOf(1)], undefined], // nobody else is to be kept anything for
    [[memberOf(1), memberOf(2)], undefined],
    [[memberOf(1), memberOf(2, { insync: false })], /2 is not in sync/],
    [[memberOf(1), memberOf(2, { alive: false })], /2 does not report/],
    [[memberOf(1), withPath(2, "missing")], /M00 of node 2 is missing/],
    [[memberOf(1), withPath(2, "fenced")], /M00 of node 2 is fenced/],
    [[memberOf(1), withPath(2, "full")], undefined], // it can be read
    [[memberOf(1), withPath(2, "missing"), memberOf(3)], undefined],
    [
      [memberOf(1), withPath(2, "missing"), memberOf(3, { alive: false })],
      /M00 of node 2 is missing; node 3 does not report/,
    ],
  ];
  for (const [members, expected] of rows) {
    const why = whyNeeded(groupOf(members), 1);
    if (expected === undefined) assert.equal(why, undefined);
    else assert.match(why ?? "", expected);
  }
});
