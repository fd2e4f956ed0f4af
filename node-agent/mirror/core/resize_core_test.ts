/** Growing a volume: both nodes, in order, also when it is cut short. */

import assert from "node:assert/strict";
import {
  assertSameData,
  OLD,
  resize,
  sizes,
  synced,
  words,
  write,
} from "./resize_fixture.ts";
import { NEW_STATE, Pair } from "./volume_fixture.ts";

const NEW = 3 * 1024 * 1024;
function enlarge(pair: Pair): void {
  pair.a.enlarge(NEW, 0xaa);
  pair.b.enlarge(NEW, 0xbb);
}

function assertGrown(pair: Pair): void {
  assert.deepEqual(sizes(pair), [NEW, NEW, NEW, NEW, NEW, NEW]);
  assert.equal(words(pair.a), "Connected Primary/Secondary UpToDate/UpToDate");
  assertSameData(pair);
}

Deno.test("both grow, and what is new is copied from the Primary", () => {
  const pair = synced();
  enlarge(pair);
  const answer = resize(pair.a);
  pair.run();
  assert.equal(answer.code, 1);
  assertGrown(pair);
  assert.equal(pair.b.data[NEW - 1], 0xaa);
  assert.equal(pair.a.sizes.at(-1), NEW);
});

Deno.test("the Secondary may ask as well", () => {
  const pair = synced();
  enlarge(pair);
  const answer = resize(pair.b);
  pair.run();
  assert.equal(answer.code, 1);
  assertGrown(pair);
});

Deno.test("writes go on meanwhile, also into what is new", () => {
  for (const protocol of ["A", "B", "C"] as const) {
    const pair = synced({ protocol });
    enlarge(pair);
    const before = write(pair.a, 0, 1);
    const answer = resize(pair.a);
    const early = write(pair.a, 8192, 2);
    let late: boolean[] | undefined;
    for (let tick = 0; tick < 50; tick++) {
      pair.run(1);
      if (answer.code === 1) late ??= write(pair.a, OLD + 4096, 3);
    }
    pair.run();
    assert.deepEqual([before, early, late], [[true], [true], [true]]);
    assertGrown(pair);
    assert.equal(pair.b.data[OLD + 4096], 3);
  }
});

Deno.test("assume-clean leaves what is new as it is", () => {
  const pair = synced();
  enlarge(pair);
  const answer = resize(pair.a, { assumeClean: true });
  pair.run();
  assert.equal(answer.code, 1);
  assert.deepEqual(sizes(pair), [NEW, NEW, NEW, NEW, NEW, NEW]);
  assert.equal(pair.a.core.bitmap?.count, 0);
  assert.equal(pair.b.data[NEW - 1], 0xbb);
  assert.equal(words(pair.a), "Connected Primary/Secondary UpToDate/UpToDate");
});

Deno.test("the size wanted is the size", () => {
  const pair = synced();
  enlarge(pair);
  const answer = resize(pair.a, { sizeBytes: 2 * OLD });
  pair.run();
  assert.equal(answer.code, 1);
  assert.deepEqual(new Set(sizes(pair)), new Set([2 * OLD]));
});

Deno.test("the smaller disk decides, and the answer says so", () => {
  const pair = synced();
  pair.a.enlarge(NEW, 0xaa);
  const answer = resize(pair.a);
  pair.run();
  assert.equal(answer.code, 1);
  assert.match(answer.why ?? "", /keeps its 1048576 bytes.*enlarge/);
  assert.deepEqual(new Set(sizes(pair)), new Set([OLD]));
});

Deno.test("what is not possible is refused with a reason", () => {
  const pair = synced();
  const refusals = [{ sizeBytes: OLD / 2 }, { sizeBytes: NEW }]
    .map((wish) => {
      const answer = resize(pair.a, wish);
      pair.run();
      return answer;
    });
  assert.deepEqual(refusals.map(({ code }) => code), [170, 111]);
  assert.match(refusals[0]?.why ?? "", /would be lost/);
  pair.a.core.roles.secondary(() => {});
  pair.run();
  assert.equal(resize(pair.a).code, 131);
  pair.b.core.disk.detach(false, () => {});
  pair.a.core.roles.primary(false, () => {});
  pair.run();
  assert.equal(resize(pair.a).code, 138);
  assert.equal(resize(pair.b).code, 138);
  pair.cut();
  assert.equal(resize(pair.a).code, -15);
  assert.equal(pair.a.core.sizeBytes, OLD);
});

Deno.test("not during a resync", () => {
  const pair = synced();
  pair.a.core.roles.pauseSync(() => {});
  pair.a.core.roles.invalidateRemote(() => {});
  pair.run();
  assert.equal(pair.a.core.state.connection, "PausedSyncS");
  assert.equal(resize(pair.a).code, 130);
  assert.equal(resize(pair.b).code, 130);
});

Deno.test("one at a time", () => {
  const pair = synced();
  enlarge(pair);
  const first = resize(pair.a);
  assert.equal(resize(pair.a).code, -18);
  pair.run();
  assert.equal(first.code, 1);
});

Deno.test("a link that is lost anywhere: both have one size again", () => {
  for (const asks of ["a", "b"] as const) {
    for (const assumeClean of [false, true]) {
      let halfway = 0;
      for (let count = 0; count < 16; count++) {
        const pair = synced();
        enlarge(pair);
        const answer = resize(pair[asks], { assumeClean });
        pair.frames(count);
        pair.cut();
        assert.ok(answer.code === 1 || answer.code === -21, `${answer.code}`);
        halfway += pair.a.core.sizeBytes === pair.b.core.sizeBytes ? 0 : 1;
        pair.mend();
        assert.equal(new Set(sizes(pair)).size, 1, `after ${count} frames`);
        assert.equal(
          words(pair.a),
          "Connected Primary/Secondary UpToDate/UpToDate",
        );
        assert.equal(pair.a.core.bitmap?.count, 0);
        const again = resize(pair[asks], { assumeClean });
        pair.run();
        assert.equal(again.code, 1);
        assert.equal(pair.a.core.sizeBytes, NEW);
        if (!assumeClean) assertGrown(pair);
      }
      assert.ok(halfway > 0);
    }
  }
});

Deno.test("a node that ends anywhere comes back with the other's size", () => {
  for (const dies of ["a", "b"] as const) {
    for (let count = 0; count < 16; count++) {
      const pair = synced();
      enlarge(pair);
      resize(pair.a);
      pair.frames(count);
      pair.restart(pair[dies]);
      pair.run();
      if (dies === "a") pair.a.core.roles.primary(false, () => {});
      pair.run();
      assert.equal(new Set(sizes(pair)).size, 1, `after ${count} frames`);
      assert.equal(pair.a.core.bitmap?.count, 0, `after ${count} frames`);
      assertSameData(pair);
    }
  }
});

Deno.test("alone with --assume-peer-has-space: the peer follows", () => {
  const pair = synced();
  enlarge(pair);
  pair.cut();
  assert.equal(resize(pair.b, { assumePeerHasSpace: true }).code, 1);
  pair.mend();
  pair.run();
  assertGrown(pair);
});

Deno.test("a peer that has no room after all is not connected to", () => {
  const pair = synced();
  pair.a.enlarge(NEW, 0xaa);
  pair.cut();
  assert.equal(resize(pair.a, { assumePeerHasSpace: true }).code, 1);
  pair.mend();
  pair.run();
  assert.equal(pair.a.core.state.connection, "StandAlone");
  assert.equal(pair.b.core.sizeBytes, OLD);
  assert.match(pair.a.lines.join("\n"), /peer's disk size is too small/);
  assert.match(pair.b.lines.join("\n"), /Our disk size is too small/);
});

Deno.test("assume-clean alone: the peer's new blocks are copied all the same", () => {
  const pair = synced();
  enlarge(pair);
  pair.cut();
  const wish = { assumePeerHasSpace: true, assumeClean: true };
  assert.equal(resize(pair.a, wish).code, 1);
  pair.mend();
  pair.run();
  assertGrown(pair);
});

Deno.test("metadata that cannot be moved cost the disk, not the data", () => {
  for (const fails of ["a", "b"] as const) {
    const pair = synced();
    enlarge(pair);
    pair[fails].failsMetadata = true;
    const answer = resize(pair.a);
    pair.run();
    assert.notEqual(answer.code, 1);
    assert.equal(pair[fails].core.state.disk, "Diskless");
    pair[fails].failsMetadata = false;
    const answers = write(pair.a, 0, 9);
    pair.run();
    assert.deepEqual(answers, [true]);
    pair[fails].core.disk.attach(pair[fails].disk(), () => {});
    pair.run();
    assert.equal(new Set(sizes(pair)).size, 1);
    assert.equal(
      words(pair.a),
      "Connected Primary/Secondary UpToDate/UpToDate",
    );
    assertSameData(pair);
  }
});

Deno.test("a configured size: for a new volume, and for a resize", () => {
  const pair = new Pair(NEW, { sizeBytes: OLD });
  pair.up();
  pair.a.core.roles.primary(true, () => {});
  pair.run();
  assert.deepEqual(new Set(sizes(pair)), new Set([OLD]));
  const { config } = pair.a.core;
  pair.a.core.config = { ...config, sizeBytes: 2 * OLD };
  const answer = resize(pair.a);
  pair.run();
  assert.equal(answer.code, 1);
  assert.deepEqual(new Set(sizes(pair)), new Set([2 * OLD]));
});

Deno.test("a new disk takes the volume's size, not the configured one", () => {
  const pair = new Pair(NEW, { sizeBytes: OLD });
  pair.up();
  pair.a.core.roles.primary(true, () => {});
  pair.run();
  const answer = resize(pair.a, { sizeBytes: NEW });
  pair.run();
  assert.equal(answer.code, 1);
  pair.b.persistent = NEW_STATE;
  pair.restart(pair.b);
  pair.run();
  assertGrown(pair);
});

Deno.test("one side's configured size is the other one's too", () => {
  const pair = new Pair(NEW);
  const { config } = pair.b.core;
  pair.b.core.config = { ...config, sizeBytes: OLD };
  pair.up();
  assert.deepEqual(new Set(sizes(pair)), new Set([OLD]));
});

Deno.test("a configured size that the disk has no room for", () => {
  const pair = new Pair(OLD, { sizeBytes: NEW });
  const codes: number[] = [];
  const { disk } = pair.a.core;
  disk.attach(pair.a.disk(), ({ code }) => codes.push(code));
  assert.deepEqual(codes, [111]);
});

Deno.test("what was answered is stable before the peer's copy counts no more", () => {
  const pair = synced();
  enlarge(pair);
  const answers = write(pair.a, 0, 5);
  resize(pair.a);
  let asked = false;
  for (let frame = 0; frame < 40 && !asked; frame++) {
    asked = pair.a.sent.some(({ kind }) => kind === "stateRequest");
    if (asked) break;
    answers.push(...write(pair.a, 4096, 6));
    pair.frames(1);
  }
  assert.ok(asked);
  assert.equal(pair.a.core.writes.transfers.unstableWrites, 0);
  const late = write(pair.a, 8192, 7);
  assert.deepEqual(late, []);
  pair.run();
  assert.deepEqual(late, [true]);
  assertGrown(pair);
});

Deno.test("a peer that does not know how is not asked", () => {
  const pair = synced();
  enlarge(pair);
  pair.a.core.resize.isPeerAble = false;
  assert.equal(resize(pair.a).code, 163);
  assert.equal(pair.a.sent.length, 0);
});
