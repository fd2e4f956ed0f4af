/**
 * Handshakes, resyncs and verifies that are begun again on a link that stands:
 * what is left of the earlier one is void.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { MirrorFrame } from "@kedge/schema/wire/mirror";
import { Pair, type TestNode } from "./volume_fixture.ts";

const SIZE = 1024 * 1024;

/** A pair in sync, `a` Primary. */
function synced(): Pair {
  const pair = new Pair(SIZE);
  pair.up();
  pair.a.core.roles.primary(true, () => {});
  pair.run();
  mustBeEqual(pair);
  return pair;
}

function mustBeEqual({ a, b }: Pair): void {
  for (const node of [a, b]) {
    const { connection, disk, peerDisk } = node.core.state;
    assert.deepEqual([connection, disk, peerDisk], [
      "Connected",
      "UpToDate",
      "UpToDate",
    ]);
    assert.equal(node.core.bitmap?.count, 0);
    assert.ok(!node.lines.some((line) => line.includes("Protocol error")));
  }
  assert.deepEqual(a.data, b.data);
}

/** Call `before` with every frame that a node gets. */
function watch(node: TestNode, before: (frame: MirrorFrame) => void): void {
  const { core } = node;
  const frame = core.frame.bind(core);
  core.frame = (each, epoch) => {
    before(each);
    frame(each, epoch);
  };
}

Deno.test("a target waits for what the source wrote before it replicated", () => {
  const pair = synced();
  const { a } = pair;
  let isWritten = false;
  watch(a, (frame) => {
    if (frame.kind !== "state" || frame.state.connection !== "SyncTarget") {
      return;
    }
    // The bitmaps are exchanged, and this is only marked.
    if (!isWritten) a.core.writes.write(0, new Uint8Array(4096), () => {});
    isWritten = true;
  });
  pair.cut();
  a.core.writes.write(8192, new Uint8Array(4096).fill(1), () => {});
  pair.run(2);
  // Nothing is out of sync when the resync begins.
  a.core.bitmap?.clearAll();
  pair.b.data.set(a.data);
  pair.mend();
  assert.ok(isWritten);
  mustBeEqual(pair);
});

Deno.test("both decide on the same although one changed since its report", () => {
  const pair = synced();
  const { a } = pair;
  a.core.writes.write(0, new Uint8Array(4096).fill(1), () => {});
  pair.run(1); // marked when the link is lost, since it is not stable
  pair.cut();
  let isReplaced = false;
  watch(a, ({ kind }) => {
    if (kind !== "report" || isReplaced) return;
    // The register has another Primary, as it says just now.
    a.core.change({ role: "Secondary", disk: "Outdated" });
    isReplaced = true;
  });
  pair.mend();
  assert.ok(isReplaced);
  mustBeEqual(pair);
});

Deno.test("a disk that comes while the peer's report is awaited", () => {
  const pair = synced();
  const { a, b } = pair;
  b.core.disk.detach(false, () => {});
  pair.run(2);
  a.core.writes.write(0, new Uint8Array(4096).fill(1), () => {});
  pair.isCut = true;
  pair.run(1);
  // a makes its write stable before it reports; b has told of no disk already.
  const frame = a.core.frame.bind(a.core);
  a.core.frame = (each, epoch) => {
    frame(each, epoch);
    if (each.kind !== "report" || b.core.state.disk !== "Diskless") return;
    b.core.disk.attach(b.disk(), () => {});
    for (const next of b.sent.splice(0)) frame(next);
  };
  pair.mend();
  mustBeEqual(pair);
});

Deno.test("reports that were sent one after the other end", () => {
  const pair = synced();
  let reports = 0;
  for (const node of [pair.a, pair.b]) {
    watch(node, ({ kind }) => reports += kind === "report" ? 1 : 0);
  }
  pair.a.core.link.negotiateAgain();
  pair.a.core.link.negotiateAgain();
  pair.b.core.link.negotiateAgain();
  pair.run(3);
  assert.equal(reports, 4);
  mustBeEqual(pair);
});

Deno.test("an answer of a resync that was aborted is void", () => {
  const pair = synced();
  const { a, b } = pair;
  const before: MirrorFrame[] = [];
  let isReplayed = false;
  watch(b, (frame) => {
    if (frame.kind === "resyncData" && !isReplayed) before.push(frame);
  });
  b.core.roles.invalidate(() => {});
  pair.run();
  const late = before.at(-1);
  assert.ok(late !== undefined && before.length > 2);
  watch(b, (frame) => {
    if (frame.kind !== "resyncData" || isReplayed) return;
    isReplayed = true;
    b.core.frame(late);
  });
  a.core.writes.write(0, new Uint8Array(4096).fill(3), () => {});
  b.core.roles.invalidate(() => {});
  pair.run();
  assert.ok(isReplayed);
  mustBeEqual(pair);
});

Deno.test("a verify that runs is not begun again", () => {
  const pair = synced();
  const codes: number[] = [];
  const { verify } = pair.a.core;
  watch(pair.a, (frame) => {
    if (frame.kind !== "verifyReply" || codes.length !== 1) return;
    verify.start({}, ({ code }) => codes.push(code));
  });
  verify.start({}, ({ code }) => codes.push(code));
  pair.run(5);
  assert.deepEqual(codes, [1, -8]);
  mustBeEqual(pair);
});

Deno.test("two disks that come back at once agree on a direction", () => {
  const pair = synced();
  const { a, b } = pair;
  a.core.roles.secondary(() => {});
  pair.run(1);
  a.core.disk.detach(true, () => {});
  b.core.disk.detach(true, () => {});
  pair.run(1);
  for (const node of [a, b]) {
    const flags = { ...node.persistent.flags, wasUpToDate: false };
    node.persistent = { ...node.persistent, flags };
  }
  a.bitmap[0] = 1;
  a.core.disk.attach(a.disk(), () => {});
  b.core.disk.attach(b.disk(), () => {});
  pair.run();
  mustBeEqual(pair);
});

Deno.test("a disk that comes while the reports cross is compared", () => {
  const pair = synced();
  const { a, b } = pair;
  pair.cut();
  b.core.disk.detach(true, () => {});
  a.core.writes.write(0, new Uint8Array(4096).fill(7), () => {});
  pair.run(1);
  let isAttached = false;
  watch(b, ({ kind }) => {
    if (kind !== "report" || isAttached) return;
    isAttached = true; // our report has said that there is no disk
    b.core.disk.attach(b.disk(), () => {});
  });
  pair.mend();
  assert.ok(isAttached);
  mustBeEqual(pair);
});

Deno.test("an Outdated disk does not become good beside no disk", () => {
  const pair = synced();
  const { a, b } = pair;
  pair.cut();
  b.core.roles.outdate(() => {});
  a.core.roles.secondary(() => {});
  pair.run(1);
  a.core.disk.detach(true, () => {});
  pair.mend();
  assert.equal(b.core.state.connection, "Connected");
  assert.equal(b.core.state.disk, "Negotiating");
  assert.equal(b.persistent.flags.wasUpToDate, false);
  a.core.disk.attach(a.disk(), () => {});
  pair.run();
  mustBeEqual(pair);
});

Deno.test("a disk that was to be discarded, and served instead, is discarded no more", () => {
  const pair = new Pair(SIZE);
  const { a, b } = pair;
  pair.up();
  a.core.roles.primary(true, () => {});
  pair.run();
  a.core.disk.detach(false, () => {});
  pair.run(2);
  pair.cut();
  b.core.roles.disconnect(false, () => {});
  pair.isCut = false;
  pair.connect(b, true);
  pair.run(2);
  assert.equal(a.core.state.peerDisk, "UpToDate");
  assert.equal(b.core.link.discardMyData, false);
});
