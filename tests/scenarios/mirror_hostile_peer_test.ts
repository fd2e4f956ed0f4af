/**
 * A peer that greets as it should and then says anything: the node answers,
 * drops it or waits, but it neither fails nor grows, and a real peer is welcome
 * afterwards.
 *
 * @module
 */

import assert from "node:assert/strict";
import { type MirrorFrame, type MirrorReport } from "@kedge/schema/wire/mirror";
import { PeerConnection } from "../../node-agent/mirror/link/peer_connection.ts";
import {
  LOCAL_BYTES,
  LocalNode,
  type LocalPair,
  makeEqualDisks,
} from "../helpers/mirror_pair_local.ts";
import { Scope } from "../helpers/scope.ts";
import { eventually } from "../helpers/eventually.ts";

const PORT = 7790;
const SESSIONS = 150;
const FRAMES = 40;
/** Memory that may be in use afterwards beyond that before, in bytes. */
const GROWTH_BYTES_MAX = 200 * 1024 * 1024;

const pick = <T>(all: readonly T[]): T =>
  all[Math.floor(Math.random() * all.length)] as T;

const wild = () =>
  pick([0, 1, 511, 4097, 20_000_000, 2 ** 32, 2 ** 52]) + pick([0, 1]);
/** A number of blocks inside the volume, mostly. */
const number = () =>
  Math.random() < 0.03 ? wild() : 4096 * Math.floor(Math.random() * 5_000);
const length = () =>
  Math.random() < 0.03 ? wild() : pick([512, 4096, 65_536, 131_072]);
const bytes = () =>
  new Uint8Array(
    pick([512, 4096, 4096, 65_536, 131_072, Math.random() < 0.1 ? 1 : 512]),
  ).fill(number() & 255);
const word = () =>
  pick([
    "Primary",
    "Secondary",
    "Unknown",
    "UpToDate",
    "Inconsistent",
    "Diskless",
    "Failed",
    "Connected",
    "SyncSource",
    "SyncTarget",
    "WFReportParams",
    "WFBitMapS",
    "WFBitMapT",
    "Nonsense",
  ]);
const hex = () =>
  pick([
    "0000000000000000",
    "123456789ABCDEF0",
    "0000000000000004",
    "FEDCBA9876543210",
  ]);

const state = () => ({
  role: word(),
  disk: word(),
  connection: word(),
  paused: Math.random() < 0.5,
  generations: {
    current: hex(),
    bitmap: hex(),
    history: [hex(), hex()] as [string, string],
  },
  dirtyBits: pick([0, 1, 5120]),
});

const report = (): MirrorReport => ({
  state: state(),
  backingBytes: number(),
  agreedBytes: number(),
  protocol: pick(["A", "B", "C"] as const),
  discardMyData: Math.random() < 0.3,
  crashedPrimary: Math.random() < 0.3,
  willBeInconsistent: Math.random() < 0.3,
  afterSplitBrain0: pick(["disconnect", "discard-zero-changes", "what"]),
  afterSplitBrain1: pick(["disconnect", "consensus", "what"]),
  afterSplitBrain2: pick(["disconnect", "violently-as0p", "what"]),
  alwaysAsbp: Math.random() < 0.3,
  rrConflict: pick(["disconnect", "violently", "what"]),
  dataIntegrity: "",
  verifyAlgorithm: pick(["", "sha1", "what"]),
  checksumAlgorithm: pick(["", "sha1", "what"]),
  tentative: Math.random() < 0.2,
  again: Math.random() < 0.3,
});

let sequence = 0;
const next = () => Math.random() < 0.9 ? ++sequence : number();

/** What a peer would say that has the same data, newer, older or another. */
const plausible = (): MirrorReport => ({
  ...report(),
  state: {
    role: pick(["Secondary", "Secondary", "Primary"]),
    disk: pick(["UpToDate", "UpToDate", "Inconsistent", "Consistent"]),
    connection: "WFReportParams",
    paused: false,
    generations: {
      current: pick([
        "123456789ABCDEF0",
        "FEDCBA9876543210",
        "0000000000000004",
      ]),
      bitmap: pick(["0000000000000000", "123456789ABCDEF0"]),
      history: ["123456789ABCDEF0", "0000000000000000"],
    },
    dirtyBits: 0,
  },
  backingBytes: LOCAL_BYTES,
  agreedBytes: LOCAL_BYTES,
  protocol: "C",
  willBeInconsistent: false,
  afterSplitBrain0: "disconnect",
  afterSplitBrain1: "disconnect",
  afterSplitBrain2: "disconnect",
  alwaysAsbp: false,
  rrConflict: "disconnect",
  verifyAlgorithm: "",
  checksumAlgorithm: "",
  tentative: false,
  again: false,
});

/** The states of a resync, in which most frames mean something. */
const syncing = (): MirrorFrame => ({
  kind: "state",
  state: {
    ...plausible().state,
    connection: pick(["SyncSource", "SyncTarget", "Connected", "WFBitMapT"]),
  },
});

const wholeBitmap = (): MirrorFrame => ({
  kind: "bitmap",
  atByte: 0,
  payload: new Uint8Array(LOCAL_BYTES / 4096 / 8).fill(pick([0, 1, 255])),
  last: true,
});

/** One frame of any kind, often one that could be meant. */
const FRAME_MAKERS: readonly (() => MirrorFrame)[] = [
  () => ({
    kind: "report",
    report: Math.random() < 0.1 ? report() : plausible(),
  }),
  syncing,
  syncing,
  () => ({ kind: "state", state: state() }),
  () => ({ kind: "stateRequest", id: number(), wish: { role: word() } }),
  () => ({ kind: "stateReply", id: number(), code: pick([1, -1, -21, 5]) }),
  () => ({
    kind: "sizeRequest",
    id: number(),
    wish: {
      step: pick(["lead", "grow"]),
      sizeBytes: pick([0, 512, LOCAL_BYTES, LOCAL_BYTES * 2]),
      assumeClean: Math.random() < 0.5,
      backingBytes: pick([LOCAL_BYTES, number()]),
    },
  }),
  () => ({
    kind: "sizeReply",
    id: pick([0, 1, 2]),
    answer: { code: pick([1, 131]), sizeBytes: pick([0, LOCAL_BYTES]) },
  }),
  () => ({
    kind: "data",
    sequence: next(),
    offset: number(),
    payload: bytes(),
  }),
  () => ({
    kind: "zero",
    sequence: next(),
    offset: number(),
    lengthBytes: length(),
    mayPunch: true,
  }),
  () => ({ kind: "flush", sequence: next(), barrier: Math.random() < 0.5 }),
  () => ({
    kind: "ack",
    received: pick([0, 1, 2]),
    written: pick([0, 1]),
    stable: pick([0, 0, number()]),
  }),
  () => ({ kind: "failed", sequence: number() }),
  () => ({ kind: "dirty", offset: number(), lengthBytes: length() }),
  () => ({
    kind: "readRequest",
    id: number(),
    offset: number(),
    lengthBytes: length(),
  }),
  () => ({ kind: "readReply", id: number(), payload: bytes() }),
  () => ({
    kind: "resyncRequest",
    id: pick([1, 2, 3, number()]),
    offset: number(),
    lengthBytes: length(),
    digest: bytes().subarray(0, 20),
  }),
  () => ({
    kind: "resyncData",
    id: pick([1, 2, 3, number()]),
    offset: number(),
    lengthBytes: length(),
    payload: bytes(),
    outcome: pick(["data", "same", "failed"] as const),
  }),
  () => ({ kind: "resyncStable", id: number() }),
  () => ({
    kind: "verifyRequest",
    id: number(),
    offset: number(),
    lengthBytes: length(),
  }),
  () => ({
    kind: "verifyReply",
    id: number(),
    digest: bytes().subarray(0, 20),
  }),
  () => ({
    kind: "bitmap",
    atByte: number(),
    payload: bytes(),
    last: Math.random() < 0.5,
  }),
  () => ({ kind: "syncGeneration", generation: BigInt(`0x${hex()}`) }),
  () => ({ kind: "currentGeneration", generation: BigInt(`0x${hex()}`) }),
];

/** Greet as node `b`; undefined: nobody listens just now. */
async function greet(net: string): Promise<PeerConnection | undefined> {
  const to = { hostname: `${net}.1`, port: PORT };
  const conn = await Deno.connect(to).catch(() => undefined);
  if (conn === undefined) return undefined;
  const nonce = crypto.randomUUID().replaceAll("-", "");
  const hello = {
    resource: "local",
    volume: 0,
    node: "b",
    integrity: "",
    nonce,
  };
  const times = { greetingMs: 1_000, pingIntMs: 10_000, pingTimeoutMs: 500 };
  const secret = () => undefined;
  const accept = () => hello;
  return await PeerConnection.greet(conn, "dialer", {
    hello,
    times,
    secret,
    accept,
  }).then(({ connection }) => connection, () => undefined);
}

async function talkNonsense(connection: PeerConnection): Promise<void> {
  sequence = 0;
  const ended = connection.run({
    frame: () => {},
    batchEnd: () => undefined,
    pinged: () => {},
    ponged: () => {},
    drained: () => {},
  });
  connection.send({ kind: "report", report: plausible() }, 0);
  connection.out.flush();
  await new Promise((done) => setTimeout(done, 2));
  if (Math.random() < 0.8) {
    const generation = 0xfedc_ba98_7654_3210n;
    connection.send(wholeBitmap(), 0);
    connection.send({ kind: "syncGeneration", generation }, 0);
    connection.send(syncing(), 0);
  }
  for (let count = 0; count < FRAMES; count++) {
    if (Math.random() < 0.02) {
      connection.out.putRaw(pick(["data", "ack", "report"]), bytes());
    } else {connection.send(
        pick(FRAME_MAKERS)(),
        Math.random() < 0.01 ? 2 ** 40 : 0,
      );}
    if (Math.random() < 0.3) connection.out.flush();
    if (Math.random() < 0.1) await new Promise((done) => setTimeout(done, 1));
  }
  connection.out.flush();
  await new Promise((done) => setTimeout(done, 2));
  connection.close("enough");
  await ended;
}

/** Queued answers after which no more questions are looked at, in bytes. */
const ANSWERS_BYTES_MAX = 64 * 1024 * 1024;

Deno.test("a peer that asks for more than it reads waits", async () => {
  await using scope = new Scope();
  const pair: LocalPair = { net: "127.77.13", dir: await scope.tempDir() };
  makeEqualDisks(pair);
  const a = new LocalNode("a", pair);
  scope.defer(() => a[Symbol.dispose]());
  await a.must({ kind: "attach" });
  await a.connect();
  const connection = await eventually(() => greet(pair.net), {
    what: "a greeting",
  });
  const state: MirrorReport["state"] = {
    ...plausible().state,
    ...{ role: "Secondary", disk: "UpToDate" },
    generations: {
      current: "123456789ABCDEF0",
      bitmap: "0000000000000000",
      history: ["0000000000000000", "0000000000000000"],
    },
  };
  const calm = { discardMyData: false, crashedPrimary: false };
  const same: MirrorReport = { ...plausible(), ...calm, state };
  connection.send({ kind: "report", report: same }, 0);
  connection.out.flush();
  // Its own report waits for a flush: before it there is nobody to ask.
  await eventually(() => a.state.connection === "Connected", {
    what: "an answer to the report",
  });
  for (let id = 1; id <= 5_000; id++) {
    const lengthBytes = 128 * 1024;
    connection.send({ kind: "readRequest", id, offset: 0, lengthBytes }, 0);
  }
  connection.out.flush();
  const queued = () => a.volume.core.effects.queuedBytes();
  await eventually(() => queued() > ANSWERS_BYTES_MAX / 4, {
    what: "answers",
    pauseMs: 0,
  });
  await eventually(() => connection.out.queuedBytes === 0, {
    what: "all questions to be there",
  });
  assert.ok(queued() < ANSWERS_BYTES_MAX, `${queued()} bytes are queued`);
  connection.close("enough");
});

Deno.test("a peer that says anything does no harm", async () => {
  await using scope = new Scope();
  const pair: LocalPair = { net: "127.77.9", dir: await scope.tempDir() };
  makeEqualDisks(pair);
  const a = new LocalNode("a", pair);
  scope.defer(() => a[Symbol.dispose]());
  const before = Deno.memoryUsage().rss;
  let talked = 0;
  for (let session = 0; session < SESSIONS; session++) {
    if (a.state.disk === "Diskless") {
      makeEqualDisks(pair);
      await a.must({ kind: "attach" });
    }
    if (a.state.connection === "StandAlone") await a.connect();
    if (session % 4 === 0) await a.command({ kind: "primary", force: true });
    const connection = await eventually(() => greet(pair.net), {
      what: `a greeting; ${JSON.stringify(a.state)}`,
    });
    await talkNonsense(connection);
    talked++;
    await a.command({ kind: "secondary" });
  }
  assert.equal(talked, SESSIONS);
  const grown = Deno.memoryUsage().rss - before;
  assert.ok(grown < GROWTH_BYTES_MAX, `it grew by ${grown} bytes`);
  assert.ok(a.volume.core.sizeBytes > 0, "it still answers");
});
