/**
 * Frames that wait: the bytes of a frame are the link's, which uses them again.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { MirrorFrame } from "@kedge/schema/wire/mirror";
import { Pair } from "./volume_fixture.ts";

const SIZE = 4 * 1024 * 1024;

Deno.test("checksums of requests that wait are those that were sent", () => {
  const pair = new Pair(SIZE, { checksumAlgorithm: "sha1" });
  const { a, b } = pair;
  pair.up();
  a.core.roles.primary(true, () => {});
  pair.run();
  a.queuedBytes = 1024 * 1024; // a slow network
  b.core.roles.invalidate(() => {});
  pair.run(2);
  assert.equal(b.core.state.connection, "SyncTarget");
  a.queuedBytes = 0;
  a.core.settle();
  const answers = a.sent.filter((frame) => frame.kind === "resyncData");
  assert.ok(answers.length > 0);
  const copied = answers.filter(({ outcome }) => outcome !== "same");
  assert.equal(copied.length, 0, "the disks are equal");
});

Deno.test("digests that wait for a flush are those that were sent", () => {
  const pair = new Pair(SIZE, { protocol: "B" });
  const { a, b } = pair;
  pair.up();
  a.core.roles.primary(true, () => {});
  pair.run();
  b.core.frame({ kind: "flush", sequence: 1, barrier: true });
  assert.ok(!b.core.replica.isDrained);
  const digest = new Uint8Array(20).fill(1);
  let heard: Uint8Array | undefined;
  b.core.replica.inOrder(
    { kind: "verifyReply", id: 1, digest },
    (reply) => heard = reply.digest,
  );
  digest.fill(0xee);
  b.work();
  assert.deepEqual(heard, new Uint8Array(20).fill(1));
});

Deno.test("whatever waits for a flush counts, however small it is", () => {
  const pair = new Pair(SIZE, { protocol: "B" });
  const { a, b } = pair;
  pair.up();
  a.core.roles.primary(true, () => {});
  pair.run();
  b.core.frame({ kind: "flush", sequence: 1, barrier: true });
  let waiting = 0;
  const small: MirrorFrame = {
    kind: "verifyRequest",
    id: 1,
    offset: 0,
    lengthBytes: 4096,
  };
  while (!b.core.replica.isFull && waiting < 200_000) {
    b.core.frame(small);
    waiting++;
  }
  assert.ok(waiting < 200_000, "the peer may send on and on");
  while (b.work());
  assert.ok(b.core.replica.isDrained);
  assert.ok(!b.core.replica.isFull);
});

Deno.test("a digest that is none ends the connection", () => {
  const pair = new Pair(SIZE);
  const { a } = pair;
  pair.up();
  const digest = new Uint8Array(100_000);
  a.core.frame({
    kind: "resyncRequest",
    id: 1,
    offset: 0,
    lengthBytes: 4096,
    digest,
  });
  assert.ok(a.isLinkClosed);
});
