/**
 * What strangers can do to FastDFS, and what waits or lies there, must not
 * happen here: its known weaknesses, one test each.
 */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { eventually } from "../helpers/eventually.ts";
import { TestGateway } from "../helpers/fastdfs_gateway.ts";
import {
  downloadBody,
  field,
  head,
  idIn,
  named,
  nameOf,
  RawFastdfs,
  u64,
  uploadBody,
} from "../helpers/fastdfs_raw.ts";
import { Scope } from "../helpers/scope.ts";

const GROUP = field("group1", 16);

// It dies of commands 79 and 88 without a JOIN.
Deno.test("fastdfs: no packet of ten bytes ends a tracker or a storage", async () => {
  await using scope = new Scope();
  const made = TestGateway.open(scope);
  for (let command = 0; command < 256; command++) {
    for (const open of [() => made.tracker(), () => made.storage()]) {
      using stranger = await open();
      await stranger.send(head(0, command));
      if (command === 82) assert(await stranger.isEnded());
      else await stranger.answer();
    }
  }
  using tracker = await made.tracker();
  for (const command of [79, 88, 58, 66, 81, 83, 84]) {
    assert.equal((await tracker.call(command)).status, 13, `${command}`);
  }
  assert.equal((await tracker.call(101)).status, 0);
  assert.deepEqual(made.warnings, []);
});

Deno.test("fastdfs: nobody joins, and nobody is thrown out", async () => {
  await using scope = new Scope();
  const made = TestGateway.open(scope);
  using tracker = await made.tracker();
  const join = Buffer.concat([field("group1", 17), Buffer.alloc(128)]);
  assert.equal((await tracker.call(81, join)).status, 13);
  const storage = Buffer.concat([GROUP, Buffer.from("1")]);
  assert.equal((await tracker.call(93, storage)).status, 16);
  const unknown = Buffer.concat([GROUP, Buffer.from("7")]);
  assert.equal((await tracker.call(93, unknown)).status, 2);
  assert.equal((await tracker.call(108, GROUP)).status, 16);
  using side = await made.storage();
  // Replication of FastDFS: no storage pushes files into ours.
  assert.equal((await side.call(16, Buffer.alloc(64))).status, 22);
});

Deno.test("fastdfs: an offline storage is not deleted by a stranger either", async () => {
  await using scope = new Scope();
  const made = TestGateway.open(scope, {
    view: (view) => ({
      ...view,
      groups: view.groups.map((group) => ({
        ...group,
        nodes: group.nodes.map((node) => ({ ...node, alive: false })),
      })),
    }),
  });
  using tracker = await made.tracker();
  const storage = Buffer.concat([GROUP, Buffer.from("1")]);
  assert.equal((await tracker.call(93, storage)).status, 1);
  assert.equal((await tracker.call(108, GROUP)).status, 1);
});

Deno.test("fastdfs: only those who are named may come", async () => {
  await using scope = new Scope();
  const made = TestGateway.open(scope, {
    config: { allowHosts: ["10.0.0.0/8"] },
  });
  for (const open of [() => made.tracker(), () => made.storage()]) {
    using stranger = await open();
    await stranger.send(head(0, 111)).catch(() => {});
    assert(await stranger.isEnded());
  }
  assert.match(made.warnings.join(), /fastdfs_allow_hosts/);
});

Deno.test("fastdfs: nothing of older answers lies behind a text", async () => {
  await using scope = new Scope();
  const made = TestGateway.open(scope);
  using tracker = await made.tracker();
  await tracker.call(75);
  const { body } = await tracker.call(92, GROUP);
  for (const at of [2, 18, 34, 487 + 2, 487 + 18]) {
    const text = body.subarray(at, at + 16);
    const end = text.indexOf(0);
    assert(end >= 0 && text.subarray(end).every((byte) => byte === 0), `${at}`);
  }
  const trackers = (await tracker.call(96, Buffer.alloc(3))).body;
  assert.match(trackers.subarray(1, 53).toString("latin1"), /^[\d.:]+\0+$/);
});

Deno.test("fastdfs: lengths that cannot be end a connection, and cost nothing", async () => {
  await using scope = new Scope();
  const made = TestGateway.open(scope);
  const lengths = [-1n, -(2n ** 63n), 2n ** 63n - 1n, 2n ** 53n];
  for (const open of [() => made.tracker(), () => made.storage()]) {
    for (const length of lengths) {
      using stranger = await open();
      await stranger.send(Buffer.concat([u64(length), Buffer.from([11, 0])]));
      assert(await stranger.isEnded(), `${length}`);
    }
  }
  using tracker = await made.tracker();
  await tracker.send(head(2 ** 40, 101));
  assert.equal((await tracker.answer()).status, 22);
});

Deno.test("fastdfs: a length of a name or of metadata is bounded before it is read", async () => {
  await using scope = new Scope();
  const made = TestGateway.open(scope);
  const big = 2 ** 40;
  const bodies: [number, Buffer][] = [
    [24, Buffer.concat([u64(big), u64(5)])],
    [34, Buffer.concat([u64(big), u64(0), u64(5)])],
    [21, Buffer.concat([u64(big), u64(5), field("_a", 16), field("jpg", 6)])],
    [13, Buffer.concat([u64(44), u64(big), Buffer.from("O"), GROUP])],
  ];
  for (const [command, body] of bodies) {
    using storage = await made.storage();
    await storage.send(Buffer.concat([head(big + 60, command), body]));
    await storage.send(Buffer.alloc(44, "M"));
    assert.equal((await storage.answer()).status, 22, `${command}`);
  }
});

Deno.test("fastdfs: a file that is larger than the group allows is refused before its bytes", async () => {
  await using scope = new Scope();
  const made = TestGateway.open(scope);
  made.door.replicator.groupSettings = { level: "B", fileBytesMax: 1000 };
  const size = 2 ** 40;
  using storage = await made.storage();
  await storage.send(Buffer.concat([
    head(15 + size, 11),
    Buffer.from([255]),
    u64(size),
    field("bin", 6),
  ]));
  assert.equal((await storage.answer()).status, 27);
});

Deno.test("fastdfs: a client that leaves in the middle leaves nothing", async () => {
  await using scope = new Scope();
  const made = TestGateway.open(scope);
  for (const size of [1000, 1_000_000]) {
    using storage = await made.storage();
    const body = uploadBody(Buffer.alloc(size, "x"));
    await storage.send(head(body.length, 11));
    await storage.send(body.subarray(0, body.length - 100));
  }
  const { files, replicator } = made.door;
  await eventually(() => files.staging.size === 0, {
    what: "staging to empty",
  });
  assert.equal(files.stored.size, 0);
  assert.equal(replicator.committed.length, 0);
});

Deno.test("fastdfs: slow clients are cut off, whatever they are slow at", async () => {
  await using scope = new Scope();
  const patience = { windowMs: 600, bytesPerSecondMin: 1024 };
  const made = TestGateway.open(scope, { patience });
  const id = (await made.door.upload(new Uint8Array(40_000_000))).id;

  using header = await made.storage();
  await header.send(head(0, 111).subarray(0, 3));
  using body = await made.storage();
  await body.send(head(15 + 5000, 11));
  await body.send(Buffer.concat([Buffer.from([255]), u64(5000)]));
  using reader = await made.storage();
  await reader.send(Buffer.concat([
    head(downloadBody(id).length, 14),
    downloadBody(id),
  ]));
  using idle = await made.storage();
  assert.equal((await idle.call(111)).status, 0);

  assert(await header.isEnded());
  assert(await body.isEnded());
  // The reader takes nothing: only the idle one is left.
  await eventually(() => made.gateway.connections === 1, {
    what: "the slow reader to be cut off",
  });
  await assert.rejects(reader.answer(), /closed|reset/i);
  assert.equal((await idle.call(111)).status, 0, "waiting is no slowness");
  made.aheadMs = 3_601_000;
  assert(await idle.isEnded(), "an hour of it is enough");
});

Deno.test("fastdfs: the longest idle connection makes room, and work goes on", async () => {
  await using scope = new Scope();
  const made = TestGateway.open(scope, { config: { connectionsMax: 3 } });
  using oldest = await made.storage();
  assert.equal((await oldest.call(111)).status, 0);
  const others: RawFastdfs[] = [];
  for (let n = 0; n < 3; n++) {
    const other = await made.storage();
    scope.defer(() => other[Symbol.dispose]());
    assert.equal((await other.call(111)).status, 0);
    others.push(other);
  }
  assert(await oldest.isEnded());
  for (const other of others) assert.equal((await other.call(111)).status, 0);

  // All busy: one more is refused at once.
  for (const other of others) {
    await other.send(head(15 + 5, 11));
    await other.send(Buffer.from([255]));
  }
  await eventually(async () => {
    using late = await made.storage();
    return await late.isEnded();
  }, { what: "the refusal" });
  for (const other of others) {
    await other.send(
      Buffer.concat([u64(5), field("txt", 6), Buffer.from("later")]),
    );
    assert.equal((await other.answer()).status, 0);
  }
});

Deno.test("fastdfs: a damaged file is an error, not other bytes", async () => {
  await using scope = new Scope();
  const made = TestGateway.open(scope);
  using storage = await made.storage();
  const content = Buffer.alloc(300_000, "y");
  const id = idIn((await storage.call(11, uploadBody(content))).body);
  made.door.files.breakAfterBytes = 100_000;
  await storage.send(Buffer.concat([
    head(downloadBody(id).length, 14),
    downloadBody(id),
  ]));
  await assert.rejects(storage.answer(), /closed|reset/i);
});

Deno.test("fastdfs: an answer that is not certain is no success", async () => {
  await using scope = new Scope();
  const made = TestGateway.open(scope);
  const { Problem } = await import("@kedge/schema");
  const cases = [
    ["uncertain", 110],
    ["not-in-sync", 11],
    ["insufficient-storage", 28],
    ["read-only", 30],
  ] as const;
  for (const [slug, status] of cases) {
    made.door.replicator.commitFailure = new Problem(slug, "no");
    using storage = await made.storage();
    const { status: said } = await storage.call(
      11,
      uploadBody(Buffer.from("x")),
    );
    assert.equal(said, status, slug);
  }
  made.door.replicator.commitFailure = undefined;
  made.door.replicator.readable = { ok: false, why: "the lease is over" };
  const { id } = await made.door.upload("x").catch(() => ({ id: "" }));
  using storage = await made.storage();
  assert.equal((await storage.call(14, downloadBody(id))).status, 11);
  assert.equal((await storage.call(15, named(id))).status, 11);
  assert.notEqual(nameOf(id).length, 0);
});

Deno.test("fastdfs: an address that is taken is named", async () => {
  await using scope = new Scope();
  const made = TestGateway.open(scope);
  const { hostname, port } = made.gateway.address;
  assert.throws(
    () =>
      TestGateway.open(scope, {
        config: { trackerListen: { hostname, port } },
      }),
    new RegExp(`Cannot listen on ${hostname}:${port}: another program has it`),
  );
});

Deno.test("fastdfs: a gateway that closes ends who waits and answers who works", async () => {
  await using scope = new Scope();
  const made = TestGateway.open(scope);
  using idle = await made.storage();
  assert.equal((await idle.call(111)).status, 0);
  using busy = await made.storage();
  const body = uploadBody(Buffer.alloc(300_000, "in time"));
  await busy.send(head(body.length, 11));
  await busy.send(body.subarray(0, -3));
  await eventually(() => made.door.files.staging.size === 1, {
    what: "the upload to be under way",
  });
  const closed = made.gateway.close();
  assert(await idle.isEnded());
  await busy.send(body.subarray(-3));
  assert.equal((await busy.answer()).status, 0);
  assert(await busy.isEnded());
  await closed;
  assert.equal(made.door.files.stored.size, 1);
});
