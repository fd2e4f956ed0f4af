/**
 * A peer that proves that it lives, takes writes, and whose flush never ends.
 *
 * @module
 */

import assert from "node:assert/strict";
import { AnswerWatch } from "./answer_watch_core.ts";
import { type Pair, primaryPair, type TestNode } from "./volume_fixture.ts";
import type { VolumeConfig } from "./volume_types.ts";

/** Every flush of a node from now on takes until the result is called. */
function hang({ core }: TestNode): () => void {
  const { flushData } = core.effects;
  let hanging = 0;
  core.effects.flushData = () => {
    hanging++;
  };
  return () => {
    core.effects.flushData = flushData;
    for (; hanging > 0; hanging--) core.diskFlushed(true);
  };
}

/** `a` Primary, and b's disk hangs. */
function hangingPair(config: Partial<VolumeConfig> = {}): {
  readonly pair: Pair;
  readonly answers: string[];
  readonly end: () => void;
} {
  const pair = primaryPair(config);
  const answers: string[] = [];
  const end = hang(pair.b);
  const say = (what: string) => (ok: boolean) => answers.push(`${what} ${ok}`);
  pair.a.core.writes.write(0, new Uint8Array(4096).fill(1), say("write"));
  pair.a.core.writes.flush(say("flush"));
  pair.run(300);
  return { pair, answers, end };
}

Deno.test("a peer whose flush never ends is parted from after ko-count × timeout", () => {
  const { pair, answers, end } = hangingPair();
  const { a, b } = pair;
  assert.deepEqual(answers, ["write true"]);
  assert.equal(a.core.state.connection, "Connected");

  pair.run(200); // 50 s: ko-count × timeout is 42 s
  assert.deepEqual(answers, ["write true", "flush true"]);
  assert.ok(a.lines.some((line) => /a flush is not answered/.test(line)));
  assert.equal(a.core.bitmap?.count, 1, "what is not stable there is marked");

  // Its report would wait for its flush, and our writes for its report.
  assert.equal(b.core.state.connection, "Unconnected");
  assert.ok(b.lines.some((line) => /flush of this disk does not/.test(line)));
  a.core.writes.write(4096, new Uint8Array(4096).fill(2), () => {});
  a.core.writes.flush((ok) => answers.push(`alone ${ok}`));
  pair.run(1);
  assert.equal(answers.at(-1), "alone true");

  end();
  pair.run();
  assert.equal(a.core.state.peerDisk, "UpToDate");
  assert.equal(a.core.bitmap?.count, 0);
  assert.deepEqual(a.data, b.data);
});

Deno.test("a demotion does not wait for such a peer for ever", () => {
  const pair = primaryPair();
  hang(pair.b);
  pair.a.core.writes.write(0, new Uint8Array(4096).fill(1), () => {});
  pair.run(1);
  const codes: number[] = [];
  pair.a.core.roles.secondary(({ code }) => codes.push(code));
  pair.run(300);
  assert.deepEqual(codes, []);
  pair.run(200);
  assert.deepEqual(codes, [1]);
});

Deno.test("a read that the peer does not answer fails where nobody else has data", () => {
  const pair = primaryPair();
  const { a, b } = pair;
  const { frame } = b.core;
  b.core.frame = (each, epoch) => {
    if (each.kind !== "readRequest") frame.call(b.core, each, epoch);
  };
  a.core.disk.letGo(true);
  const answers: boolean[] = [];
  a.core.reads.read(0, new Uint8Array(4096), (ok) => answers.push(ok));
  pair.run(410);
  assert.deepEqual(answers, []);
  pair.run(30);
  assert.deepEqual(answers, [false]);
  assert.ok(a.lines.some((line) => /a read is not answered/.test(line)));
});

Deno.test("ko-count 0: such a peer is waited for", () => {
  const { pair, answers, end } = hangingPair({ peerTimeoutMs: 0 });
  pair.run(2_000);
  assert.deepEqual(answers, ["write true"]);
  end();
  pair.run(1);
  assert.deepEqual(answers, ["write true", "flush true"]);
});

Deno.test("a disk that is given up keeps nobody from its peer", () => {
  const { pair, pair: { a, b } } = hangingPair();
  pair.run(150);
  b.core.disk.detach(true, () => {});
  pair.run(20);
  assert.equal(b.core.state.connection, "Connected");
  assert.equal(a.core.state.peerDisk, "Diskless");
});

Deno.test("a promotion that waits for a disk is answered when that is given up", () => {
  const pair = primaryPair({ protocol: "B" });
  const { a, b } = pair;
  hang(b);
  a.core.writes.write(0, new Uint8Array(4096).fill(1), () => {});
  a.core.writes.flush(() => {});
  pair.run(1);
  pair.cut();
  assert.equal(b.core.replica.isDrained, false);
  const codes: number[] = [];
  b.core.roles.primary(true, ({ code }) => codes.push(code));
  pair.run(1);
  assert.deepEqual(codes, []);
  b.core.disk.detach(true, () => {});
  pair.run(1);
  assert.deepEqual(codes, [-2]);
});

Deno.test("who was told to leave its peer alone stays so when the flush ends", () => {
  const { pair, pair: { b }, end } = hangingPair();
  pair.run(150);
  const codes: number[] = [];
  b.core.roles.disconnect(false, ({ code }) => codes.push(code));
  assert.equal(b.core.state.connection, "StandAlone");
  pair.connect(b);
  assert.equal(b.core.state.connection, "Unconnected", "its flush still runs");
  b.core.roles.disconnect(false, ({ code }) => codes.push(code));
  end();
  pair.run(10);
  assert.equal(b.core.state.connection, "StandAlone");
  assert.deepEqual(codes, [1, 1]);
});

Deno.test("a flush that runs all the time keeps nobody from its peer", () => {
  const { pair, pair: { b }, end } = hangingPair();
  pair.run(150);
  assert.equal(b.core.state.connection, "Unconnected");
  b.core.flusher.request(() => {}); // the next one begins when that ends
  end();
  assert.notEqual(b.core.state.connection, "Unconnected");
});

Deno.test("who stood still has not waited, and who is answered waits anew", () => {
  const watch = new AnswerWatch();
  const look = (nowMs: number, answered: number, isOpen = true) =>
    watch.look(nowMs, 5_000, [{ what: "it", isOpen, answered }]);
  assert.equal(look(0, 1), undefined);
  assert.equal(look(60_000, 1), undefined, "one look is one second at most");
  for (let ms = 60_500; ms <= 64_000; ms += 500) {
    assert.equal(look(ms, 1), undefined);
  }
  assert.equal(look(64_500, 1), "it");
  assert.equal(look(65_000, 2), undefined, "one of two is answered");
  assert.equal(look(66_000, 2, false), undefined);
  watch.reset();
  assert.equal(look(70_000, 2), undefined);
});
