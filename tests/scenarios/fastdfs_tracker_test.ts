/**
 * The tracker side of the FastDFS gateway, byte by byte, in both layouts of
 * addresses.
 */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { FastdfsView } from "@kedge/schema/fastdfs-view";
import { unknownId } from "../helpers/fake_ports.ts";
import {
  OTHER,
  TestGateway,
  type TestGatewayOptions,
} from "../helpers/fastdfs_gateway.ts";
import { field, named, type RawFastdfs, u64 } from "../helpers/fastdfs_raw.ts";
import { Scope } from "../helpers/scope.ts";

const GROUP = field("group1", 16);

function trackerTest(
  name: string,
  work: (tracker: RawFastdfs, gateway: TestGateway) => Promise<void>,
  options: TestGatewayOptions = {},
): void {
  Deno.test(`fastdfs tracker: ${name}`, async () => {
    await using scope = new Scope();
    const gateway = TestGateway.open(scope, options);
    using tracker = await gateway.tracker();
    await work(tracker, gateway);
  });
}

/** The view with other nodes. */
function nodes(
  change: (node: FastdfsView["groups"][0]["nodes"][0]) => object,
): (view: FastdfsView) => FastdfsView {
  return (view) => ({
    ...view,
    groups: view.groups.map((group) => ({
      ...group,
      nodes: group.nodes.map((node) => ({ ...node, ...change(node) })),
    })),
  });
}

trackerTest("where to upload, one and all", async (tracker, { gateway }) => {
  const { hostname, port } = gateway.address;
  const first = Buffer.concat([GROUP, field(hostname, 15), u64(port)]);
  for (const [command, body] of [[101, ""], [104, "group1"]] as const) {
    const asked = body === "" ? Buffer.alloc(0) : GROUP;
    const one = await tracker.call(command, asked);
    assert.deepEqual([one.status, one.body.length], [0, 40]);
    assert.deepEqual(one.body.subarray(0, 39), first);
    assert([0, 1].includes(one.body[39] ?? -1));
  }
  const other = Buffer.concat([field(OTHER.hostname, 15), u64(OTHER.port)]);
  for (const command of [106, 107]) {
    const asked = command === 106 ? Buffer.alloc(0) : GROUP;
    const all = await tracker.call(command, asked);
    assert.deepEqual(
      all.body.subarray(0, -1),
      Buffer.concat([first, other]),
    );
  }
});

trackerTest("uploads take turns over the store paths", async (tracker) => {
  const seen = new Set<number>();
  for (let n = 0; n < 4; n++) {
    seen.add((await tracker.call(101)).body[39] ?? -1);
  }
  assert.deepEqual([...seen].sort(), [0, 1]);
});

trackerTest("nowhere to upload: nobody there, or no room", async (tracker) => {
  assert.equal((await tracker.call(101)).status, 2);
  assert.equal((await tracker.call(104, GROUP)).status, 2);
  assert.equal((await tracker.call(104, field("group9", 16))).status, 2);
  assert.equal((await tracker.call(104, field("not/one", 16))).status, 22);
  assert.equal((await tracker.call(101, Buffer.from("x"))).status, 22);
}, {
  view: (view) => ({
    draws: [],
    groups: view.groups.map((group) => ({ ...group, draws: [] })),
  }),
});

trackerTest("a full cluster says so", async (tracker) => {
  assert.equal((await tracker.call(101)).status, 28);
  assert.equal((await tracker.call(104, GROUP)).status, 28);
}, {
  view: (view) => ({
    draws: [],
    groups: view.groups.map((group) => ({
      ...group,
      draws: [],
      isFull: true,
    })),
  }),
});

trackerTest("whom to ask for a file", async (tracker, { gateway }) => {
  const { hostname, port } = gateway.address;
  const ours = Buffer.concat([GROUP, field(hostname, 15), u64(port)]);
  const other = Buffer.concat([field(OTHER.hostname, 15), u64(OTHER.port)]);
  const id = unknownId(); // made by node 2
  const update = await tracker.call(103, named(id));
  assert.deepEqual(update.body, Buffer.concat([GROUP, other]));
  const one = await tracker.call(102, named(id));
  assert.equal(one.body.length, 39);
  const all = await tracker.call(105, named(id));
  assert.equal(all.body.length, 39 + 23);
  // Both members answer reads, in turn.
  const turns = new Set<string>();
  for (let n = 0; n < 4; n++) {
    turns.add((await tracker.call(102, named(id))).body.toString("hex"));
  }
  assert.equal(turns.size, 2);
  assert(turns.has(ours.toString("hex")));

  const garbage = `group1/${"z".repeat(44)}`;
  assert.equal((await tracker.call(102, named(garbage))).status, 0);
  assert.equal(
    (await tracker.call(102, named("group9" + id.slice(6)))).status,
    2,
  );
  assert.equal((await tracker.call(102, GROUP)).status, 22);
  const long = named(`group1/${"z".repeat(128)}`);
  assert.equal((await tracker.call(102, long)).status, 22);
});

trackerTest("a silent member is not offered", async (tracker, { gateway }) => {
  const id = unknownId();
  for (let n = 0; n < 4; n++) {
    for (const command of [102, 103]) {
      const { body } = await tracker.call(command, named(id));
      const ip = body.subarray(16, 31);
      assert.deepEqual(ip, field(gateway.address.hostname, 15));
    }
  }
  const all = await tracker.call(107, GROUP);
  assert.equal(all.body.length, 40);
}, { view: nodes(({ node }) => ({ alive: node === 1 })) });

trackerTest("wide addresses when a storage has IPv6", async (tracker) => {
  const { body } = await tracker.call(106);
  assert.equal(body.length, 16 + 2 * (45 + 8) + 1);
  assert.deepEqual(body.subarray(16 + 53, 16 + 53 + 45), field("fd00::2", 45));
  assert.equal((await tracker.call(102, named(unknownId()))).body.length, 69);
  assert.equal((await tracker.call(92, GROUP)).body.length, 2 * 517);
  const parameters = String((await tracker.call(75)).body);
  assert.match(parameters, /^response_ip_addr_size=46$/m);
}, {
  view: nodes(({ node }) =>
    node === 2 ? { address: { hostname: "fd00::2", port: 23_000 } } : {}
  ),
});

trackerTest("a member whose address is a name is not told", async (tracker) => {
  assert.equal((await tracker.call(92, GROUP)).body.length, 487);
  assert.equal((await tracker.call(105, named(unknownId()))).body.length, 39);
}, {
  view: nodes(({ node }) =>
    node === 2
      ? { address: { hostname: "storage.example.org.too.long", port: 1 } }
      : {}
  ),
});

trackerTest("groups and storages", async (tracker, { gateway }) => {
  const one = await tracker.call(90, GROUP);
  const all = await tracker.call(91);
  assert.deepEqual(one.body, all.body);
  assert.equal(one.body.length, 113);
  const numbers = Array.from(
    { length: 12 },
    (_, n) => Number(one.body.readBigInt64BE(17 + 8 * n)),
  );
  const { port } = gateway.address;
  assert.deepEqual(numbers, [100, 70, 10, 0, 2, port, 2, 2, 0, 2, 256, -1]);

  const { body } = await tracker.call(92, GROUP);
  assert.equal(body.length, 2 * 487);
  assert.deepEqual([body[0], body[1]], [7, 6]);
  assert.deepEqual(body.subarray(2, 18), field("1", 16));
  assert.deepEqual(body.subarray(18, 34), field("127.0.0.1", 16));
  assert.deepEqual(body.subarray(50, 58), field("0.1.0", 8));
  assert.equal(body.readBigInt64BE(58), 1_700_000_000n);
  assert.equal(body.readBigInt64BE(130), BigInt(port));
  const by = async (id: string) =>
    await tracker.call(92, Buffer.concat([GROUP, Buffer.from(id)]));
  assert.deepEqual((await by("2")).body, body.subarray(487));
  assert.deepEqual((await by(OTHER.hostname)).body, body.subarray(487));
  assert.equal((await by("3")).status, 2);
  // Total, free and reserve in MiB: clients subtract the reserve themselves.
  const space = [74, 82, 90].map((at) => Number(body.readBigInt64BE(at)));
  assert.deepEqual(space, [100, 70, 10]);
  assert.equal((await tracker.call(90, field("group9", 16))).status, 2);
});

trackerTest("number and state of a storage", async (tracker) => {
  const of = (command: number, address: string) =>
    tracker.call(command, Buffer.concat([GROUP, Buffer.from(address)]));
  for (const address of ["127.9.9.9", "127.9.9.9:23000"]) {
    assert.equal(String((await of(70, address)).body), "2");
    const { body } = await of(71, address);
    const expected = Buffer.concat([
      ...[Buffer.from([7]), Buffer.from([0, 0, 89, 216])],
      ...[field("2", 16), field("127.9.9.9", 46)],
    ]);
    assert.deepEqual(body, expected);
  }
  for (const command of [70, 71]) {
    assert.equal((await of(command, "127.9.9.8:23000")).status, 2);
    assert.equal((await tracker.call(command, GROUP)).status, 22);
    assert.equal((await of(command, "x".repeat(64))).status, 22);
  }
});

trackerTest("an IPv6 storage is found by its address", async (tracker) => {
  for (const address of ["fd00::2", "[fd00::2]:23000"]) {
    const asked = Buffer.concat([GROUP, Buffer.from(address)]);
    assert.equal(String((await tracker.call(70, asked)).body), "2");
  }
  assert.equal((await tracker.call(97, Buffer.alloc(4))).status, 0);
  const update = await tracker.call(103, named(unknownId()));
  assert.equal(update.body.length, 69);
  const all = await tracker.call(105, named(unknownId()));
  assert.equal(all.body.length, 69 + 53);
  assert.equal((await tracker.call(101)).body.length, 70);
  assert.equal((await tracker.call(104, GROUP)).body.length, 70);
  assert.equal((await tracker.call(107, GROUP)).body.length, 70 + 53);
}, {
  view: nodes(({ node }) =>
    node === 2 ? { address: { hostname: "fd00::2", port: 23_000 } } : {}
  ),
});

trackerTest("parameters tell how store paths are chosen", async (tracker) => {
  assert.match(String((await tracker.call(75)).body), /^store_path=2$/m);
}, { view: (view) => ({ ...view, storePath: "load_balance" }) });

trackerTest("lists as FastDFS 5 told them", async (tracker) => {
  const { body } = await tracker.call(91);
  assert.equal(body.length, 105);
  assert.equal(body.readBigInt64BE(17 + 8 * 6), 2n);
  assert.equal((await tracker.call(92, GROUP)).body.length, 2 * 600);
}, { config: { lists: "5" } });

trackerTest(
  "statistics, parameters, numbers, leader",
  async (tracker, made) => {
    const { hostname, port } = made.gateway.trackerAddress;
    assert.equal(String((await tracker.call(95)).body), `${hostname}:${port}`);
    assert.equal((await tracker.call(64)).body.length, 17);
    assert.equal((await tracker.call(96, Buffer.alloc(3))).body.length, 91);
    const inactive = await tracker.call(96, Buffer.from([1, 0, 0]));
    assert.deepEqual([...inactive.body], [0]);
    const all = await tracker.call(97, Buffer.alloc(4));
    assert.equal(all.body.length, 6 + 2 * 106);
    const offline = await tracker.call(97, Buffer.from([2, 61, 5, 0]));
    assert.equal(offline.body.length, 6);
    assert.equal((await tracker.call(98, Buffer.alloc(4))).body.length, 5 + 59);
    const parameters = String((await tracker.call(75)).body);
    assert.match(parameters, /^use_storage_id=1\n/);
    assert.match(parameters, /^reserved_storage_space=10MB$/m);
    const ids = await tracker.call(69, Buffer.alloc(5));
    assert.deepEqual(
      ids.body.subarray(0, 8),
      Buffer.from([0, 0, 0, 2, 0, 0, 0, 2]),
    );
    assert.match(
      String(ids.body.subarray(8)),
      /^1 group1 127\.0\.0\.1:\d+\n2 /,
    );
  },
);

trackerTest(
  "with the trackers away the last view goes on",
  async (tracker, made) => {
    assert.equal((await tracker.call(101)).status, 0);
    made.isTrackerAway = true;
    made.aheadMs = 10_000;
    assert.equal((await tracker.call(101)).status, 0);
    made.aheadMs = 100_000;
    assert.equal((await tracker.call(101)).status, 11, "a minute, no longer");
  },
);

trackerTest("without any view nothing is invented", async (tracker, made) => {
  made.isTrackerAway = true;
  assert.equal((await tracker.call(101)).status, 11);
  made.isTrackerAway = false;
  made.aheadMs = 1000; // it is asked again after a pause
  assert.equal((await tracker.call(101)).status, 0);
});
