import assert from "node:assert/strict";
import type { RecordsBody, WireRecord } from "@kedge/schema/wire/records";
import { eventually } from "../../tests/helpers/eventually.ts";
import { MemoryStore } from "../../tests/helpers/memory_store.ts";
import { stageFile } from "../../tests/helpers/replica_group.ts";
import { OriginInbox } from "./origin_inbox.ts";

/** An inbox for node 1 at node 2, with everything that it says. */
class Rig {
  readonly store = new MemoryStore(2);
  readonly applied: number[] = [];
  readonly failures: string[] = [];
  flushed = 0;
  /** What asking for missing content does. */
  missing: () => Promise<void> = () => Promise.resolve();
  readonly inbox = new OriginInbox({
    origin: 1,
    log: this.store,
    content: () => Promise.resolve({ kind: "none" }),
    missing: () => this.missing(),
    applied: (batch) => void this.applied.push(batch),
    flushed: () => void this.flushed++,
    free: (memory) => void memory.transfer(0),
    failed: (error) => void this.failures.push(String(error)),
  });

  take(batch: number, body: RecordsBody, durable = false): void {
    const arrival = this.inbox.arrive(body);
    assert.equal(arrival.kind, "taken");
    if (arrival.kind !== "taken") return;
    assert(this.inbox.apply(batch, arrival.body, { durable, bytes: 100 }));
  }
}

const source = new MemoryStore(1);

async function body(
  first: number,
  count: number,
  incarnation = 1,
): Promise<RecordsBody> {
  const records: WireRecord[] = [];
  for (let i = 0; i < count; i++) {
    const inline = Uint8Array.of(first + i);
    const { change } = await stageFile(source, inline);
    records.push({ change, content: { kind: "inline" }, inline });
  }
  return { incarnation, firstSequence: first, records };
}

Deno.test("OriginInbox applies in order and acknowledges by position", async () => {
  const rig = new Rig();
  rig.take(1, await body(1, 2));
  rig.take(2, await body(3, 1), true);
  await eventually(() => rig.applied.length === 2, { what: "both batches" });
  assert.deepEqual(rig.applied, [1, 2]);
  const ack = rig.inbox.ack();
  assert.deepEqual(ack, { incarnation: 1, written: 3, durable: 3 });
  assert.equal(rig.inbox.waitingBytes, 0);
  rig.inbox.close();
});

Deno.test("OriginInbox gives the memory of a frame back once it is applied", async () => {
  const rig = new Rig();
  const gate = Promise.withResolvers<void>();
  rig.store.faults.delay = () => gate.promise;
  const memory = new ArrayBuffer(20_000);
  const inline = new Uint8Array(memory).fill(7);
  const { change } = await stageFile(source, inline);
  const records = [{ change, content: { kind: "inline" }, inline } as const];
  const frame = { incarnation: 1, firstSequence: 1, records };
  const how = { durable: false, bytes: 20_000, memory };
  assert(rig.inbox.apply(1, frame, how));
  await Promise.resolve();
  assert.equal(memory.detached, false);
  gate.resolve();
  await eventually(() => rig.applied.length === 1, { what: "the frame" });
  assert.equal(memory.detached, true);
  const kept = await rig.store.read(change.entry);
  assert(kept instanceof Uint8Array);
  assert.deepEqual([kept.length, kept[0]], [20_000, 7]);
  rig.inbox.close();
});

Deno.test("OriginInbox flushes soon what nobody waits for", async () => {
  const rig = new Rig();
  rig.take(1, await body(1, 1));
  await eventually(() => rig.applied.length === 1, { what: "the batch" });
  assert.equal(rig.inbox.ack().durable, 0);
  await eventually(() => rig.flushed === 1, { what: "the flush" });
  assert.equal(rig.inbox.ack().durable, 1);
});

Deno.test("OriginInbox flushes also while more keeps coming", async () => {
  const rig = new Rig();
  let sequence = 0;
  const more = async () => {
    sequence++;
    rig.take(sequence, await body(sequence, 1));
    return rig.flushed > 0;
  };
  await eventually(more, { what: "a flush", pauseMs: 10 });
  assert(rig.inbox.ack().durable > 0);
  rig.inbox.close();
});

Deno.test("OriginInbox leaves out what it has, and refuses gaps", async () => {
  const rig = new Rig();
  const first = await body(1, 3);
  rig.take(1, first);
  const again = rig.inbox.arrive({
    ...first,
    records: [...first.records, ...(await body(4, 1)).records],
  });
  assert(again.kind === "taken");
  assert.equal(again.body.firstSequence, 4);
  assert.equal(again.body.records.length, 1);
  assert.equal(rig.inbox.arrive(await body(6, 1)).kind, "fault");
  assert.equal(rig.inbox.arrive(await body(2, 1, 2)).kind, "fault");
  // Another run, of whatever number: a wiped node draws a new one at random.
  assert.equal(rig.inbox.arrive(await body(1, 1, 2)).kind, "taken");
  assert.equal(rig.inbox.arrive(await body(5, 1)).kind, "taken");
  rig.inbox.close();
});

Deno.test("a known batch is acknowledged only after those before it", async () => {
  const rig = new Rig();
  const gate = Promise.withResolvers<void>();
  rig.store.faults.delay = () => gate.promise;
  const first = await body(1, 1);
  rig.take(1, first);
  rig.inbox.unlinked();
  rig.take(2, first); // the same over a new connection
  await Promise.resolve();
  assert.deepEqual(rig.applied, []);
  gate.resolve();
  await eventually(() => rig.applied.length === 2, { what: "both" });
  assert.deepEqual(rig.applied, [1, 2]);
  rig.inbox.close();
});

Deno.test("what follows a rejected frame waits until it comes again", async () => {
  const rig = new Rig();
  const first = await body(1, 1);
  const second = await body(2, 1);
  const third = await body(3, 1);
  assert.equal(rig.inbox.arrive(first).kind, "taken");
  const arrived = rig.inbox.arrive(second);
  rig.inbox.reject(); // the first: its epoch was old
  // The second was under a newer epoch, so the core takes it: not in order.
  assert(arrived.kind === "taken");
  assert(rig.inbox.apply(2, arrived.body, { durable: false, bytes: 1 }));
  assert.equal(rig.inbox.arrive(third).kind, "rejected-before");
  assert.deepEqual(rig.store.positions(), []);
  rig.take(3, first);
  rig.take(4, second);
  rig.take(5, third);
  await eventually(() => rig.applied.length === 3, { what: "all three" });
  assert.equal(rig.inbox.ack().written, 3);
  rig.inbox.close();
});

Deno.test("after a failure of the store the position stays", async () => {
  const rig = new Rig();
  rig.take(1, await body(1, 1));
  await eventually(() => rig.applied.length === 1, { what: "the first" });
  rig.store.faults.write = new Error("no space left");
  const next = await body(2, 2);
  rig.take(2, next);
  await eventually(() => rig.failures.length > 0, { what: "the failure" });
  assert.deepEqual(rig.applied, [1]);
  assert.equal(rig.inbox.ack().written, 1);
  rig.store.faults.write = undefined;
  rig.inbox.unlinked();
  rig.take(3, next);
  await eventually(() => rig.applied.length === 2, { what: "the next" });
  assert.equal(rig.inbox.ack().written, 3);
  rig.inbox.close();
});

Deno.test("a position waits for content that could not be fetched", async () => {
  const rig = new Rig();
  const { records: [small] } = await body(1, 1);
  const inline = new Uint8Array(0);
  const { change } = await stageFile(source, new Uint8Array(70_000));
  const large: WireRecord = { change, content: { kind: "unknown" }, inline };
  assert(small);
  const given = { incarnation: 1, firstSequence: 1, records: [small, large] };
  rig.missing = () => Promise.reject(new Error("the connection broke"));
  rig.take(1, given);
  await eventually(() => rig.failures.length > 0, { what: "the failure" });
  // What the next connection tells is what the inbox goes on with.
  const told = [{ origin: 1, incarnation: 1, sequence: 1 }];
  assert.deepEqual(rig.store.positions(), told);
  assert.equal(rig.inbox.ack().written, 0, "nothing was acknowledged");
  rig.inbox.unlinked();
  rig.missing = () => Promise.resolve(); // lost where it was made, too
  rig.take(2, { incarnation: 1, firstSequence: 2, records: [large] });
  await eventually(() => rig.applied.length === 1, { what: "the second" });
  assert.equal(rig.inbox.ack().written, 2);
  assert.equal(rig.store.positions()[0]?.sequence, 2);
  rig.inbox.close();
});

Deno.test("a peer that ignores its window is refused", async () => {
  const rig = new Rig();
  rig.store.faults.delay = () => new Promise(() => {});
  const bytes = 9 * 1024 * 1024;
  const how = { durable: false, bytes };
  for (const [batch, taken] of [[1, true], [2, true], [3, false]] as const) {
    const arrival = rig.inbox.arrive(await body(batch, 1));
    assert(arrival.kind === "taken");
    assert.equal(rig.inbox.apply(batch, arrival.body, how), taken);
  }
});
