import assert from "node:assert/strict";
import { BlockErrno } from "../block_ports.ts";
import { Zeroes, type ZeroJob } from "./zeroes.ts";

const MIB = 1024 * 1024;

/** Keeps the processor for so long: a device that writes zeroes. */
function work(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}

interface Asked {
  readonly offset: number;
  readonly lengthBytes: number;
  readonly done: (errno: BlockErrno) => void;
}

/** A job, and what becomes of it. */
function rig(
  range: { readonly offset: number; readonly lengthBytes: number },
  act: (asked: Asked) => void,
) {
  const asked: Asked[] = [];
  const ended = Promise.withResolvers<BlockErrno>();
  const job: ZeroJob = {
    ...range,
    act: (piece, done) => {
      const one = { ...piece, done };
      asked.push(one);
      act(one);
    },
    ended: ended.resolve,
  };
  return { asked, job, ended: ended.promise };
}

Deno.test("zeroes on a slow device let others have their turn", async () => {
  let turns = 0;
  const other = setInterval(() => turns++, 0);
  const at: number[] = [];
  const whole = { offset: MIB, lengthBytes: 40 * MIB };
  const { asked, job, ended } = rig(whole, ({ done }) => {
    at.push(turns);
    work(30);
    done(BlockErrno.OK);
  });
  const zeroes = new Zeroes(() => {});
  zeroes.add(job);
  zeroes.add({ ...job, act: (_, done) => done(BlockErrno.OK), ended() {} });
  assert.equal(await ended, BlockErrno.OK);
  clearInterval(other);
  assert.equal(new Set(at).size, at.length, `turns ${at}`);
  // Whole, without a gap.
  let next = MIB;
  for (const { offset, lengthBytes } of asked) {
    assert.equal(offset, next);
    next += lengthBytes;
  }
  assert.equal(next, 41 * MIB);
});

Deno.test("a device that answers later has a few pieces at a time", async () => {
  let open = 0;
  let most = 0;
  const whole = { offset: 0, lengthBytes: 400 * MIB };
  const { job, ended } = rig(whole, ({ done }) => {
    most = Math.max(most, ++open);
    setTimeout(() => {
      open--;
      done(BlockErrno.OK);
    }, 0);
  });
  let settled = 0;
  new Zeroes(() => settled++).add(job);
  assert.equal(await ended, BlockErrno.OK);
  assert.ok(most > 1 && most <= 16, String(most));
  assert.ok(settled > 0);
});

Deno.test("an error ends a request, and the next one begins", async () => {
  const whole = { offset: 0, lengthBytes: 100 * MIB };
  const bad = rig(whole, ({ offset, done }) => {
    done(offset === 8 * MIB ? BlockErrno.EIO : BlockErrno.OK);
  });
  const good = rig(whole, ({ done }) => done(BlockErrno.OK));
  const zeroes = new Zeroes(() => {});
  zeroes.add(bad.job);
  zeroes.add(good.job);
  assert.equal(await bad.ended, BlockErrno.EIO);
  assert.equal(bad.asked.length, 3);
  assert.equal(await good.ended, BlockErrno.OK);
});

Deno.test("of a client that is gone only what was begun is awaited", async () => {
  const whole = { offset: 0, lengthBytes: 400 * MIB };
  const begun = rig(whole, () => {});
  const waiting = rig(whole, () => {});
  const zeroes = new Zeroes(() => {});
  zeroes.add(begun.job);
  zeroes.add(waiting.job);
  zeroes.drop();
  assert.equal(await waiting.ended, BlockErrno.ESHUTDOWN);
  for (const { done } of begun.asked) done(BlockErrno.OK);
  assert.equal(await begun.ended, BlockErrno.ESHUTDOWN);
  assert.equal(waiting.asked.length, 0);
});
