import assert from "node:assert/strict";
import * as fc from "fast-check";
import {
  changeRegister,
  emptyRegister,
  FORCE_EPOCH_STEP,
  type GroupRegister,
  isInSync,
  isMember,
  ownerOf,
  type RegisterChange,
} from "./register.ts";

const GEN = "00000000-0000-4000-8000-000000000001";
const store = (n: number) =>
  `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;

/** A register with these members, of which some are in sync. */
function register(members: number[], insync: number[]): GroupRegister {
  return {
    ...emptyRegister("group1", GEN),
    epoch: 7,
    members: members.map((node) => ({ node, store: store(node) })),
    insync,
  };
}

Deno.test("changeRegister() applies what the rules allow", () => {
  const cases: [GroupRegister, RegisterChange, number[]][] = [
    [register([], []), { kind: "add", node: 1, store: store(1) }, [1]],
    [register([1], [1]), { kind: "add", node: 2, store: store(2) }, [1]],
    [register([1, 2], [1, 2]), { kind: "shrink", node: 2, by: 1 }, [1]],
    [register([1, 2], [1]), { kind: "renew", by: 1 }, [1]],
    [register([1, 2, 3], [1, 3]), { kind: "grow", node: 2 }, [1, 2, 3]],
    [
      register([1, 2], [1, 2]),
      { kind: "reset", node: 2, store: store(9) },
      [1],
    ],
    [register([1, 2], [1]), { kind: "remove", node: 2 }, [1]],
    [register([1], [1]), { kind: "remove", node: 1 }, []],
  ];
  for (const [before, change, insync] of cases) {
    const result = changeRegister(before, change);
    assert(result.ok, JSON.stringify(change));
    assert.deepEqual(result.register.insync, insync, JSON.stringify(change));
    assert.equal(result.register.epoch, 8);
  }
});

Deno.test("changeRegister() refuses what would lose data or authority", () => {
  const cases: [GroupRegister, RegisterChange, string][] = [
    [
      register([1], [1]),
      { kind: "add", node: 1, store: store(1) },
      "already-member",
    ],
    [
      register([1, 2], [1]),
      { kind: "shrink", node: 1, by: 2 },
      "not-in-sync",
    ],
    [
      register([1, 2], [1]),
      { kind: "shrink", node: 2, by: 1 },
      "not-in-sync",
    ],
    [
      register([1, 2], [1, 2]),
      { kind: "shrink", node: 1, by: 1 },
      "last-in-sync",
    ],
    [register([1, 2], [1]), { kind: "renew", by: 2 }, "not-in-sync"],
    [register([1], [1]), { kind: "grow", node: 2 }, "not-a-member"],
    [register([1], [1]), { kind: "grow", node: 1 }, "already-in-sync"],
    [
      register([1, 2], [1]),
      { kind: "reset", node: 1, store: store(9) },
      "last-in-sync",
    ],
    [
      register([1], [1]), // an empty database is no proof of anything
      { kind: "reset", node: 1, store: store(9) },
      "last-in-sync",
    ],
    [register([1, 2], [1]), { kind: "remove", node: 1 }, "last-in-sync"],
    [register([1], [1]), { kind: "remove", node: 2 }, "not-a-member"],
    [register([1], [1]), { kind: "force", node: 2 }, "not-a-member"],
  ];
  for (const [before, change, refusal] of cases) {
    assert.deepEqual(
      changeRegister(before, change),
      { ok: false, refusal },
      JSON.stringify(change),
    );
  }
});

Deno.test("changeRegister() marks a forced set by a leap of the epoch", () => {
  const result = changeRegister(register([1, 2], [1]), {
    kind: "force",
    node: 2,
  });
  assert(result.ok);
  assert.deepEqual(result.register.insync, [2]);
  assert.equal(result.register.epoch, 7 + FORCE_EPOCH_STEP);
});

Deno.test("changeRegister() forces past every epoch that a member reported", () => {
  const result = changeRegister(register([1, 2], [1]), {
    kind: "force",
    node: 2,
    above: 5_000_000,
    store: store(9),
  });
  assert(result.ok);
  assert.equal(result.register.epoch, 5_000_000 + FORCE_EPOCH_STEP);
  assert.deepEqual(result.register.members.at(-1), {
    node: 2,
    store: store(9),
  });
});

Deno.test("changeRegister() keeps its invariants under any changes", () => {
  const node = fc.integer({ min: 1, max: 4 });
  const change: fc.Arbitrary<RegisterChange> = fc.oneof(
    node.map((n) => ({ kind: "add" as const, node: n, store: store(n) })),
    fc.tuple(node, node).map(([n, by]) => ({
      kind: "shrink" as const,
      node: n,
      by,
    })),
    node.map((by) => ({ kind: "renew" as const, by })),
    node.map((n) => ({ kind: "grow" as const, node: n })),
    node.map((n) => ({ kind: "reset" as const, node: n, store: store(n + 9) })),
    node.map((n) => ({ kind: "remove" as const, node: n })),
  );
  fc.assert(fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
    let now = emptyRegister("group1", GEN);
    for (const wanted of changes) {
      const result = changeRegister(now, wanted);
      if (!result.ok) continue;
      assert.equal(result.register.epoch, now.epoch + 1);
      now = result.register;
      assert(now.insync.every((n) => isMember(now, n)));
      assert.deepEqual(now.insync, [...new Set(now.insync)].sort());
      // Somebody in sync as long as there is anybody.
      assert.equal(now.insync.length > 0, now.members.length > 0);
    }
  }));
});

Deno.test("ownerOf() is the origin while in sync, then the lowest in sync", () => {
  assert.equal(ownerOf(register([1, 2, 3], [1, 2, 3]), 2), 2);
  assert.equal(ownerOf(register([1, 2, 3], [1, 3]), 2), 1);
  assert.equal(ownerOf(register([], []), 2), undefined);
  assert.equal(isInSync(register([1, 2], [1]), 2), false);
});
