import assert from "node:assert/strict";
import type { Change, FileEntry } from "@kedge/schema/change";
import {
  encodeFrame,
  FRAME_KINDS,
  type FrameKind,
} from "@kedge/schema/wire/frame";
import {
  encodeAck,
  encodeRecord,
  encodeRecordsHead,
  encodeReject,
} from "@kedge/schema/wire/records";
import { encodeText } from "@kedge/schema/wire/sync";
import { eventually, within } from "../../tests/helpers/eventually.ts";
import { HostilePeer } from "../../tests/helpers/hostile_peer.ts";
import {
  ReplicaGroup,
  stageFile,
  type TestNode,
} from "../../tests/helpers/replica_group.ts";
import { TcpTransport } from "../adapters/tcp_transport.ts";

const OTHER_GROUP_ID = "group2/M00/03/4C/fwALAmsCk_yAZCHIAAAADvqdFXc323.txt";
const STORE = "00000000-0000-4000-8000-00000000000a";

/** A node in a group of two, of which we play the other member. */
async function victim(): Promise<{ group: ReplicaGroup; node: TestNode }> {
  const group = new ReplicaGroup({ transport: () => new TcpTransport() });
  const node = group.add(1);
  await group.insync(1);
  group.tracker.change({ kind: "add", node: 2, store: STORE });
  await eventually(() => node.store.register()?.members.length === 2, {
    what: "the second member",
    pauseMs: 10,
  });
  return { group, node };
}

async function dial(node: TestNode): Promise<HostilePeer> {
  const transport = new TcpTransport();
  return new HostilePeer(
    await transport.connect(node.replicator.address, 1000),
  );
}

const CLAIMS = { node: 2, to: 1, store: STORE };

/** A peer that has greeted and told a state. */
async function linked(node: TestNode): Promise<HostilePeer> {
  const peer = await dial(node);
  await peer.greet(CLAIMS);
  const register = node.store.register();
  const state = { register, positions: [], incarnation: 1 };
  await peer.frame({ kind: "state", epoch: 0, parts: [encodeText(state)] });
  assert((await peer.until("register")) !== undefined);
  return peer;
}

async function hangsUp(peer: HostilePeer): Promise<void> {
  await within(peer.hungUp(), { what: "the node to hang up" });
  peer.channel.close();
}

function said(node: TestNode, pattern: RegExp): void {
  assert(
    node.lines.some((line) => pattern.test(line)),
    `no line like ${pattern} in\n${node.lines.join("\n")}`,
  );
}

function assertUntouched(node: TestNode): void {
  assert.equal(node.store.list().length, 0);
  assert.deepEqual(node.store.positions(), []);
  assert.equal(node.replicator.mayWrite().ok, true);
}

async function records(
  node: TestNode,
  options: { first?: number; entry?: Partial<FileEntry>; bytes?: Uint8Array },
): Promise<Uint8Array[]> {
  const { change } = await stageFile(node.store, Uint8Array.of(1, 2, 3));
  const bad: Change = {
    ...change,
    entry: { ...change.entry, origin: 2, ...options.entry },
  };
  const bytes = options.bytes ?? Uint8Array.of(1, 2, 3);
  return [
    encodeRecordsHead(1, options.first ?? 1),
    encodeRecord(bad, { kind: "inline" }, bytes),
  ];
}

Deno.test("a peer with the wrong secret is refused", async () => {
  const { group, node } = await victim();
  using _ = group;
  const peer = await dial(node);
  await peer.greet({ ...CLAIMS, secret: "1".repeat(43) });
  await hangsUp(peer);
  said(node, /the proof is wrong/);
  assertUntouched(node);
});

Deno.test("a proof that is sent again is refused", async () => {
  const { group, node } = await victim();
  using _ = group;
  const first = await dial(node);
  const mac = await first.greet(CLAIMS);
  const second = await dial(node);
  const hello = HostilePeer.hello(CLAIMS);
  await second.frame({ kind: "hello", epoch: 0, parts: [encodeText(hello)] });
  await second.read();
  await second.frame({ kind: "proof", epoch: 0, parts: [encodeText({ mac })] });
  await hangsUp(second);
  said(node, /the proof is wrong/);
  first.channel.close();
});

Deno.test("the node's own proof, sent back, is refused", async () => {
  const { group, node } = await victim();
  using _ = group;
  const peer = await dial(node);
  const hello = HostilePeer.hello(CLAIMS);
  await peer.frame({ kind: "hello", epoch: 0, parts: [encodeText(hello)] });
  const challenge = await peer.read();
  assert(challenge);
  const { mac } = JSON.parse(new TextDecoder().decode(challenge.body));
  await peer.frame({ kind: "proof", epoch: 0, parts: [encodeText({ mac })] });
  await hangsUp(peer);
});

for (
  const [what, claims, pattern] of [
    ["of another group", { ...CLAIMS, group: "group2" }, /group1/],
    ["that is not a member", { ...CLAIMS, node: 9 }, /not a member/],
    ["that looks for another node", { ...CLAIMS, to: 7 }, /this is node 1/],
    ["that claims our number", { ...CLAIMS, node: 1 }, /you are this node/],
  ] as const
) {
  Deno.test(`a peer ${what} is refused before any proof`, async () => {
    const { group, node } = await victim();
    using _ = group;
    const peer = await dial(node);
    assert.equal(await peer.greet(claims), "");
    await hangsUp(peer);
    said(node, pattern);
  });
}

Deno.test("nothing but a hello is read first, and only a short one", async () => {
  const { group, node } = await victim();
  using _ = group;
  const bodies: [FrameKind, Uint8Array, RegExp][] = [
    ["records", new Uint8Array(10), /expected hello, got records/],
    ["hello", new Uint8Array(5000), /body-over-limit/],
    ["hello", new TextEncoder().encode("{}"), /not valid/],
    ["hello", new TextEncoder().encode("[[[["), /not JSON/],
  ];
  for (const [kind, body, pattern] of bodies) {
    const peer = await dial(node);
    await peer.frame({ kind, epoch: 0, parts: [body] });
    await hangsUp(peer);
    await eventually(() => (said(node, pattern), true), { what: "the line" });
  }
  const rude = await dial(node);
  await rude.raw(
    new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n" + "x".repeat(40)),
  );
  await hangsUp(rude);
  said(node, /bad-magic/);
});

Deno.test("who greets slowly is hung up on, and keeps no member out", async () => {
  const { group, node } = await victim();
  using _ = group;
  const peers = await Promise.all(
    Array.from({ length: 60 }, () => dial(node)),
  );
  const meanwhile = await linked(node);
  meanwhile.channel.close();
  await Promise.all(peers.map(hangsUp));
  said(node, /newer connections need its place/);
  said(node, /the greeting took longer/);
  const told = node.lines.filter((line) => /refused a conn/.test(line));
  assert(told.length <= 20, `${told.length} lines in the log`);
  const good = await linked(node);
  good.channel.close();
});

Deno.test("records with a gap, of another group or with bad IDs close the link", async () => {
  const { group, node } = await victim();
  using _ = group;
  const { epoch } = group.tracker.current;
  const cases: [Parameters<typeof records>[1], RegExp][] = [
    [{ first: 5 }, /expected 1/],
    [{ entry: { id: "group1/M00/../../etc/passwd" } }, /malformed file ID/],
    [{ entry: { id: OTHER_GROUP_ID } }, /another group/],
    [{ bytes: new Uint8Array(4) }, /4 bytes came for a file of 3/],
  ];
  for (const [options, pattern] of cases) {
    const peer = await linked(node);
    const parts = await records(node, options);
    await peer.frame({ kind: "records", epoch, parts });
    await hangsUp(peer);
    said(node, pattern);
  }
  assertUntouched(node);
});

Deno.test("acks of what was never sent close the link", async () => {
  const { group, node } = await victim();
  using _ = group;
  const peer = await linked(node);
  const ack = encodeAck({ incarnation: 1, written: 50, durable: 50 });
  await peer.frame({ kind: "ack", epoch: 1, parts: [ack] });
  await hangsUp(peer);
  said(node, /acknowledges records that were not sent/);
});

Deno.test("a member that loses its mind cannot make the node store anything", async () => {
  const { group, node } = await victim();
  using _ = group;
  const bad: [FrameKind, Uint8Array][] = [
    ["hello", encodeText(HostilePeer.hello(CLAIMS))],
    ["state", encodeText({})],
    ["register", encodeText({ group: "group1" })],
    ["register", encodeText({ ...group.tracker.current, group: "group9" })],
    ["join-request", encodeText({ epoch: -1 })],
    ["promise", new Uint8Array(0)],
    ["ack", new Uint8Array(23)],
    ["reject", new Uint8Array(9)],
    ["pong", new Uint8Array(0)],
    ["chunk", new Uint8Array(1000)],
    ["content-request", encodeText({ ids: ["x"], content: true })],
    ["records", new Uint8Array(16)],
    ["records", new Uint8Array(100_000).fill(255)],
  ];
  for (const [kind, body] of bad) {
    const peer = await linked(node);
    await peer.frame({ kind, epoch: 3, parts: [body] });
    await hangsUp(peer);
  }
  assertUntouched(node);
});

Deno.test("a register of a peer does not freeze or move a node without a tracker's word", async () => {
  const { group, node } = await victim();
  using _ = group;
  const peer = await linked(node);
  const foreign = {
    ...group.tracker.current,
    gen: crypto.randomUUID(),
    epoch: 99,
  };
  await peer.frame({
    kind: "register",
    epoch: 99,
    parts: [encodeText(foreign)],
  });
  await peer.frame({ kind: "reject", epoch: 99, parts: [encodeReject(99)] });
  await peer.frame({ kind: "ping", epoch: 99 });
  assert(await peer.until("pong"));
  assert.equal(node.store.register()?.epoch, group.tracker.current.epoch);
  peer.channel.close();
});

Deno.test("hostile requests over a bulk connection are refused", async () => {
  const { group, node } = await victim();
  using _ = group;
  const { change } = await stageFile(node.store, Uint8Array.of(1));
  const entry = { ...change.entry, id: "group1/M00/../../etc/shadow" };
  const bad: [FrameKind, Uint8Array][] = [
    [
      "content-request",
      encodeText({ ids: ["../../etc/passwd"], content: true }),
    ],
    ["content-request", encodeText({ ids: [], content: true })],
    [
      "content-request",
      encodeText({ ids: Array(300).fill(change.entry.id), content: true }),
    ],
    ["bucket-request", encodeText({ index: 4096 })],
    ["bucket-request", encodeText({ index: -1 })],
    ["give", encodeText({ entries: [entry] })],
    ["stage", encodeText({ sizeBytesMax: -1 })],
    ["records", new Uint8Array(16)],
    ["ping", new Uint8Array(0)],
  ];
  for (const [kind, body] of bad) {
    const peer = await dial(node);
    await peer.greet({ ...CLAIMS, purpose: "bulk" });
    await peer.frame({ kind, epoch: 1, parts: [body] });
    await hangsUp(peer);
  }
  assertUntouched(node);
});

Deno.test("a staged body that is longer than announced, or unfinished, leaves nothing", async () => {
  const { group, node } = await victim();
  using _ = group;
  const long = await dial(node);
  await long.greet({ ...CLAIMS, purpose: "bulk" });
  const parts = [encodeText({ sizeBytesMax: 100_000 })];
  await long.frame({ kind: "stage", epoch: 1, parts });
  for (let i = 0; i < 3; i++) {
    await long.frame({
      kind: "chunk",
      epoch: 1,
      parts: [new Uint8Array(50_000)],
    });
  }
  await long.frame({
    kind: "end",
    epoch: 1,
    parts: [encodeText({ ok: true })],
  });
  await hangsUp(long);
  const cut = await dial(node);
  await cut.greet({ ...CLAIMS, purpose: "bulk" });
  await cut.frame({ kind: "stage", epoch: 1, parts });
  await cut.frame({ kind: "chunk", epoch: 1, parts: [new Uint8Array(80_000)] });
  cut.channel.close();
  await eventually(() => node.store.stagedCount === 0, { what: "no rest" });
});

Deno.test("random frames of a member never stop the node", async () => {
  const { group, node } = await victim();
  using _ = group;
  const kinds = Object.keys(FRAME_KINDS) as FrameKind[];
  const endMs = performance.now() + 2500;
  let frames = 0;
  while (performance.now() < endMs) {
    const peer = frames % 3 === 0 ? await dial(node) : await linked(node);
    if (frames % 3 === 0) await peer.greet({ ...CLAIMS, purpose: "bulk" });
    for (let i = 0; i < 20; i++) {
      const kind = kinds[Math.floor(Math.random() * kinds.length)] ?? "ping";
      const body = crypto.getRandomValues(
        new Uint8Array(Math.floor(Math.random() * 300)),
      );
      const epoch = Math.floor(Math.random() * 6);
      const pieces = encodeFrame({ kind, epoch, parts: [body] });
      if (Math.random() < 0.2) {
        const [head] = pieces;
        if (head) head[Math.floor(Math.random() * head.length)] = 0x5a;
      }
      for (const piece of pieces) await peer.raw(piece);
      frames++;
    }
    peer.channel.close();
  }
  assert(frames > 100, `only ${frames} frames`);
  assert.deepEqual(node.store.positions(), []);
  assert.equal(node.store.list().length, 0);
  const again = await linked(node);
  again.channel.close();
});
