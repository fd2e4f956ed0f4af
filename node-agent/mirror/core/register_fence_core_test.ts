import { deepEqual, equal, match } from "node:assert/strict";
import { fencedPair, Pair } from "./volume_fixture.ts";

/** A write that reached `a`'s disk and was not confirmed by the peer. */
function writeUnconfirmed({ a }: Pair): { answer: boolean | undefined } {
  const result: { answer: boolean | undefined } = { answer: undefined };
  a.core.writes.write(0, new Uint8Array(4096).fill(7), (ok) => {
    result.answer = ok;
  });
  a.core.settle();
  a.work(); // the activity log
  a.work();
  return result;
}

Deno.test("a write without the peer is answered after the shrink", () => {
  const pair = fencedPair();
  const write = writeUnconfirmed(pair);
  pair.cut();
  deepEqual(pair.a.wishes.map(({ kind }) => kind), ["shrink"]);
  equal(write.answer, undefined);
  pair.a.answer("unknown", 1);
  pair.run(10);
  equal(write.answer, undefined);
  pair.a.answer("done", 2);
  pair.run(1);
  equal(write.answer, true);
});

Deno.test("a write without the peer fails when the role is gone", () => {
  const pair = fencedPair();
  const write = writeUnconfirmed(pair);
  pair.cut();
  const before = pair.a.core.generations.set?.current;
  pair.a.answer("refused", 2);
  pair.run(1);
  equal(write.answer, false);
  equal(pair.a.core.state.role, "Secondary");
  equal(pair.a.core.state.disk, "Outdated");
  // Nobody believes in the write: no generation of its own, no split brain.
  equal(pair.a.core.generations.set?.current, before);
});

Deno.test("a node that may have lost the role says nothing of itself", () => {
  const pair = fencedPair();
  pair.cut();
  const { a, b } = pair;
  a.core.fence.tick(pair.nowMs);
  b.core.roles.primary(false, ({ code }) => equal(code, 1));
  b.answer("done", 2);
  pair.isCut = false;
  pair.run(10);
  equal(a.core.state.connection, "WFReportParams");
  a.answer("refused", 2);
  pair.run();
  equal(a.core.state.role, "Secondary");
  equal(a.core.state.connection, "Connected");
});

Deno.test("a peer that is back thaws writes although nobody answers", () => {
  const pair = fencedPair();
  const write = writeUnconfirmed(pair);
  pair.cut();
  const { a } = pair;
  a.answer("unknown", 1);
  pair.run(5);
  equal(write.answer, undefined);
  a.answer("unknown", 1);
  pair.mend();
  equal(a.core.state.connection, "Connected");
  equal(write.answer, true);
  // The register has to hear of the peer all the same.
  equal(a.wishes.at(-1)?.kind, "grow");
});

Deno.test("an answer about an earlier loss of the peer is void", () => {
  const pair = fencedPair();
  const { a } = pair;
  pair.cut();
  a.answer("unknown", 1);
  pair.run(5);
  const late = a.wishes.shift(); // a second shrink, slow
  pair.mend();
  const write = writeUnconfirmed(pair);
  pair.cut();
  if (late === undefined) throw new Error("the register was not asked again");
  a.core.fence.registerChanged(late.id, { outcome: "done", epoch: 2 });
  pair.run(1);
  equal(write.answer, undefined);
});

Deno.test("two Primaries do not connect, and do not give up", () => {
  const pair = fencedPair();
  pair.cut();
  const { a, b } = pair;
  b.core.roles.primary(false, ({ code }) => equal(code, 1));
  b.answer("done", 2);
  pair.nowMs += 4_000; // longer than anybody keeps silent
  pair.isCut = false;
  pair.run(1);
  equal(a.core.state.peerRole, "Unknown");
  a.answer("refused", 2);
  pair.run();
  equal(a.core.state.role, "Secondary");
  equal(a.core.state.connection, "Connected");
});

Deno.test("a peer that may be Primary itself gives no lease", () => {
  const pair = fencedPair();
  const { a, b } = pair;
  const read = () => {
    let answer: boolean | undefined;
    a.core.reads.read(0, new Uint8Array(512), (ok) => answer = ok);
    return answer;
  };
  equal(read(), undefined);
  a.core.fence.leased(pair.nowMs);
  equal(read(), true);
  pair.cut(); // the lease runs out
  b.core.roles.primary(false, ({ code }) => equal(code, 1));
  b.answer("done", 2);
  pair.isCut = false;
  pair.run(1);
  equal(a.core.state.connection, "WFReportParams");
  a.core.fence.leased(pair.nowMs); // the new Primary answers heartbeats, too
  let answer: boolean | undefined;
  a.core.reads.read(0, new Uint8Array(512), (ok) => answer = ok);
  equal(answer, undefined);
  a.answer("refused", 2);
  equal(answer, false); // and does not wait for a lease for ever
});

Deno.test("a write is not answered when its disk takes the role with it", () => {
  const pair = fencedPair();
  const { a } = pair;
  pair.cut();
  a.answer("done", 2); // shrink: this is the only disk in sync
  a.core.writes.write(4096, new Uint8Array(4096), () => {});
  pair.run(2);
  const answers: boolean[] = [];
  const frame = a.core.frame.bind(a.core);
  a.core.frame = (each, epoch) => {
    const isEnd = each.kind === "state" && each.state.disk === "UpToDate" &&
      a.core.state.connection === "SyncSource";
    if (isEnd) {
      a.failsWrites = true; // the peer, which is good by now, gets it
      const data = new Uint8Array(4096);
      a.core.writes.write(4096, data, (ok) => answers.push(ok));
    }
    frame(each, epoch);
  };
  pair.mend();
  deepEqual(answers, [false]);
  equal(a.core.state.role, "Secondary");
});

Deno.test("a promotion that was carried out before another one is void", () => {
  const pair = fencedPair();
  const { a, b } = pair;
  pair.cut();
  pair.run(20);
  let code = 0;
  b.core.roles.primary(false, (result) => code = result.code);
  a.core.fence.registerChanged(0, { outcome: "done", epoch: 9 });
  b.core.frame({ kind: "resyncStable", id: 0 }, 7); // somebody came later
  b.answer("done", 2);
  equal(code, -10);
  equal(b.core.state.role, "Secondary");
});

Deno.test("growing that was asked before a loss is asked again", () => {
  const pair = fencedPair();
  const { a } = pair;
  pair.cut();
  a.answer("done", 2); // shrink
  pair.mend();
  deepEqual(a.wishes.map(({ kind }) => kind), ["grow"]);
  pair.cut();
  const [grow, shrink] = a.wishes.splice(0);
  a.core.fence.registerChanged(shrink?.id ?? 0, { outcome: "done", epoch: 3 });
  pair.mend();
  a.core.fence.registerChanged(grow?.id ?? 0, { outcome: "done", epoch: 3 });
  pair.run(5);
  deepEqual(a.wishes.map(({ kind }) => kind), ["grow"]);
});

Deno.test("a role that came too late is given back", () => {
  const pair = fencedPair();
  const { a, b } = pair;
  pair.cut();
  pair.run(20);
  const codes: number[] = [];
  b.core.roles.primary(false, ({ code }) => codes.push(code));
  pair.mend(); // a is still Primary, and nobody has answered
  b.answer("done", 2);
  pair.run(1);
  deepEqual(codes, [-1]);
  deepEqual(b.wishes.map(({ kind }) => kind), ["demote"]);
  // And a finds out that the register does not know it any more.
  equal(a.wishes.at(-1)?.kind, "grow");
});

Deno.test("no lease comes from a peer of which nothing is known", () => {
  const pair = fencedPair();
  const { fence } = pair.a.core;
  pair.a.core.nowMs = 1e6;
  pair.a.core.change({ peerRole: "Unknown" });
  fence.leased(1e6);
  equal(fence.mayRead(), false);
  pair.a.core.change({ peerRole: "Secondary" });
  fence.leased(1e6);
  equal(fence.mayRead(), true);
});

Deno.test("the newest disk stays what it was when it takes the role with it", () => {
  const pair = fencedPair();
  const { a } = pair;
  pair.cut(); // the shrink is not answered
  a.core.disk.detach(true, () => {});
  equal(a.core.state.role, "Secondary");
  equal(a.persistent.flags.wasUpToDate, true);
});

Deno.test("a disk that fails and takes the role with it is not good again", () => {
  const pair = fencedPair();
  const { a } = pair;
  a.core.writes.write(0, new Uint8Array(4096), () => {});
  pair.run(1);
  pair.cut(); // the shrink is not answered
  a.failsFlushes = true;
  a.core.flusher.request(() => {});
  pair.run(1);
  equal(a.core.state.disk, "Diskless");
  equal(a.persistent.flags.wasUpToDate, false);
});

Deno.test("a restarted node waits by its clock, whatever that says", () => {
  const pair = fencedPair();
  const { b } = pair;
  pair.cut();
  b.restart();
  b.core.tick(1e9);
  b.core.disk.attach(b.disk(), () => {});
  let why: string | undefined;
  b.core.roles.primary(false, (result) => why = result.why);
  equal(why?.includes("try again"), true);
  b.core.tick(1e9 + 1_600);
  b.core.roles.primary(false, () => {});
  deepEqual(b.wishes.map(({ kind }) => kind), ["promote"]);
});

Deno.test("a write that is thawed by a resync makes no generation of its own", () => {
  const pair = fencedPair();
  const { a, b } = pair;
  const write = writeUnconfirmed(pair);
  pair.cut();
  pair.mend(); // before the shrink is answered
  pair.run(5);
  equal(write.answer, true);
  const [ours, theirs] = [a, b].map(({ core }) =>
    (core.generations.set?.current ?? 0n) & ~1n
  );
  equal(ours, theirs);
});

Deno.test("a Primary whose disk passed an error on leaves before it answers", () => {
  const pair = fencedPair({ onIoError: "pass_on" });
  const { a, b } = pair;
  a.failsWrites = true;
  const write = writeUnconfirmed(pair);
  a.failsWrites = false;
  pair.run(2);
  equal(a.core.state.disk, "Inconsistent");
  equal(b.data[0], 7);
  deepEqual(a.wishes.map(({ kind }) => kind), ["leave"]);
  equal(write.answer, undefined);
  a.answer("done", 2);
  equal(write.answer, true);
  // It is not the one that stays when the good copy goes.
  pair.cut();
  deepEqual(a.wishes, []);
  equal(a.core.state.role, "Secondary");
  equal(a.core.state.disk, "Inconsistent");
});

Deno.test("the role is not asked for again by a command that was second", () => {
  const pair = new Pair(4 * 1024 * 1024, { fencedByRegister: true });
  const { a, b } = pair;
  pair.up();
  a.core.roles.primary(true, () => {});
  pair.run(1);
  a.answer("done", 1);
  pair.run();
  a.answer("done", 1); // grow
  a.core.roles.secondary(() => {});
  pair.run(1);
  a.answer("done", 1); // demote
  const codes: number[] = [];
  const promote = () => {
    a.core.roles.primary(false, ({ code }) => codes.push(code));
    for (const frame of a.sent.splice(0)) b.core.frame(frame);
  };
  const hear = () => {
    for (const frame of b.sent.splice(0)) a.core.frame(frame);
  };
  promote();
  hear();
  promote();
  a.answer("done", 2);
  while (a.work());
  equal(a.core.state.role, "Primary");
  hear();
  pair.run(5);
  deepEqual(codes, [1, 1]);
  deepEqual(a.wishes.map(({ kind }) => kind), ["grow"]);
});

/** B is to be copied over, and has not begun with it. */
function beginCopyOver({ a, b }: Pair): void {
  a.core.roles.invalidateRemote(() => {});
  for (const frame of a.sent.splice(0)) b.core.frame(frame);
  for (const frame of b.sent.splice(0)) a.core.frame(frame);
  equal(a.core.state.connection, "WFBitMapS");
}

Deno.test("a peer that is about to be copied to leaves before anything is answered", () => {
  const pair = fencedPair();
  const { a, b } = pair;
  beginCopyOver(pair);
  deepEqual(a.wishes.map(({ kind }) => kind), ["shrink"]);
  const write = writeUnconfirmed(pair);
  equal(write.answer, undefined);
  a.answer("done", 2);
  for (let left = 5; left > 0; left--) a.work();
  equal(write.answer, true);
  pair.run();
  equal(a.core.state.peerDisk, "UpToDate");
  deepEqual(a.wishes.map(({ kind }) => kind), ["grow"]);
  equal(b.data[0], 7);
});

Deno.test("without the register a resync holds writes until it has begun only", () => {
  const pair = fencedPair();
  const { a, b } = pair;
  beginCopyOver(pair);
  const write = writeUnconfirmed(pair);
  equal(write.answer, undefined, "the peer would not have it");
  b.core.roles.pauseSync(() => {}); // it does not end by itself
  pair.run(5);
  match(a.core.state.connection, /^(Paused)?SyncS/);
  equal(a.wishes[0]?.kind, "shrink");
  equal(write.answer, true);
  equal(b.data[0], 7);
  // Lost now, it is a peer that was lost: nothing is answered without it.
  pair.cut();
  const alone = writeUnconfirmed(pair);
  pair.run(5);
  equal(alone.answer, undefined);
});

Deno.test("without the register a Primary that is copied to goes on with its peer", () => {
  const pair = fencedPair();
  const { a, b } = pair;
  b.core.roles.pauseSync(() => {});
  a.core.roles.invalidate(() => {});
  pair.run(5);
  match(a.core.state.connection, /^(Paused)?SyncT/);
  deepEqual(a.wishes.map(({ kind }) => kind), ["leave"]);
  const write = writeUnconfirmed(pair);
  pair.run(5);
  equal(write.answer, true);
  equal(b.data[0], 7);
});

Deno.test("an answer that a later change of ours has overtaken costs no role", () => {
  const pair = fencedPair();
  const { a } = pair;
  pair.cut();
  a.answer("done", 2); // shrink
  pair.mend();
  const [grow] = a.wishes;
  equal(grow?.kind, "grow");
  pair.cut();
  deepEqual(a.wishes.map(({ kind }) => kind), ["grow", "shrink"]);
  a.wishes.reverse();
  a.answer("done", 4);
  a.answer("done", 3);
  equal(a.core.state.role, "Primary");
  equal(a.core.state.disk, "UpToDate");
  // What somebody else did since is no change of ours.
  pair.mend();
  a.core.fence.heard({ kind: "flush", sequence: 1, barrier: false }, 9);
  a.answer("done", 5);
  equal(a.core.state.role, "Secondary");
});
