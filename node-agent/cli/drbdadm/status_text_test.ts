import assert from "node:assert/strict";
import { parseMounts } from "./mounts.ts";
import { promotionOf } from "./nine_words.ts";
import { overviewLines, shortSize, useText } from "./overview_text.ts";
import { statusJson } from "./status_json.ts";
import { statusLines } from "./status_text.ts";
import { statusLines as ownStatusLines } from "../volume/status_text.ts";
import {
  resourceFixture,
  statusFixture,
  syncingFixture,
  volumeFixture,
} from "./testdata/status_fixture.ts";

const ids = () => ({ own: 0, peer: 1 });
const BRIEF = { verbose: false, statistics: false };

Deno.test("status of a resource in sync is short", () => {
  assert.equal(
    statusLines(resourceFixture(volumeFixture()), ids, BRIEF).join("\n"),
    `mysql role:Primary
  disk:UpToDate open:no
  ha-node2 role:Secondary
    peer-disk:UpToDate
`,
  );
});

Deno.test("status of a resync, and of a peer that is away", () => {
  assert.equal(
    statusLines(resourceFixture(syncingFixture()), ids, BRIEF).join("\n"),
    `mysql role:Secondary
  disk:Inconsistent open:no
  ha-node2 role:Primary
    replication:SyncTarget peer-disk:UpToDate done:52.31
`,
  );
  const away = volumeFixture({
    openCount: 1,
    state: {
      connection: "WFConnection",
      peerRole: "Unknown",
      peerDisk: "DUnknown",
      suspendedNoData: true,
    },
  });
  assert.equal(
    statusLines(resourceFixture(away), ids, BRIEF).join("\n"),
    `mysql role:Primary suspended:no-data
  disk:UpToDate open:yes
  ha-node2 connection:Connecting
`,
  );
});

Deno.test("status with everything", () => {
  assert.equal(
    statusLines(
      resourceFixture(volumeFixture(), volumeFixture({ volume: 1, minor: 2 })),
      ids,
      { verbose: true, statistics: true },
    ).slice(0, 5).join("\n"),
    `mysql node-id:0 role:Primary suspended:no
  volume:0 minor:1 disk:UpToDate backing_dev:/dev/data/mysql quorum:yes open:no
      size:2097052 read:664 written:1000 al-writes:3 bm-writes:129 upper-pending:0 lower-pending:0 al-suspended:no blocked:no
  volume:1 minor:2 disk:UpToDate backing_dev:/dev/data/mysql quorum:yes open:no
      size:2097052 read:664 written:1000 al-writes:3 bm-writes:129 upper-pending:0 lower-pending:0 al-suspended:no blocked:no`,
  );
});

Deno.test("a resource is Primary when one of its volumes is", () => {
  const lines = statusLines(
    resourceFixture(
      volumeFixture({ state: { role: "Secondary" } }),
      volumeFixture({ volume: 1, minor: 2 }),
    ),
    ids,
    BRIEF,
  );
  assert.deepEqual(lines.slice(0, 3), [
    "mysql role:Primary",
    "  volume:0 disk:UpToDate open:no",
    "  volume:1 disk:UpToDate open:no",
  ]);
});

Deno.test("what counts from the next connection on is told", () => {
  const resource = resourceFixture(volumeFixture());
  const now = { ...resource, pending: ["protocol", "shared-secret"] };
  const told = (each: typeof resource) => statusLines(each, ids, BRIEF);
  assert.ok(
    told(now).includes(
      "  ha-node2 role:Secondary after-reconnect:protocol,shared-secret",
    ),
  );
  assert.ok(!told(resource).join().includes("after-reconnect"));
  const [connection] = statusJson(now, ids)["connections"] as [object];
  assert.deepEqual(
    Reflect.get(connection, "after-reconnect"),
    ["protocol", "shared-secret"],
  );
  assert.match(
    ownStatusLines(now).join("\n"),
    /^ {2}pending +protocol, shared-secret: from the next .* --reconnect"/m,
  );
});

Deno.test("status --json has the fields of drbdsetup", () => {
  const json = JSON.parse(
    JSON.stringify(statusJson(resourceFixture(syncingFixture()), ids)),
  );
  assert.equal(json.name, "mysql");
  assert.equal(json.devices[0]["disk-state"], "Inconsistent");
  assert.equal(json.devices[0].size, 2_097_052);
  const [connection] = json.connections;
  assert.equal(connection["connection-state"], "Connected");
  assert.equal(connection["peer-node-id"], 1);
  assert.deepEqual(connection.paths, [{
    this_host: { address: "192.168.8.51", port: 7789, family: "ipv4" },
    remote_host: { address: "192.168.8.52", port: 7789, family: "ipv4" },
    established: true,
  }]);
  const [peer] = connection.peer_devices;
  assert.equal(peer["replication-state"], "SyncTarget");
  assert.equal(peer["out-of-sync"], 1_003_000);
  assert.equal(peer["percent-resync-done"], 52.31);
  assert.equal(peer["estimated-seconds-to-finish"], 37);
});

Deno.test("who may be promoted, and how good a choice it is", () => {
  const of = (
    state: NonNullable<Parameters<typeof volumeFixture>[0]>["state"],
  ) =>
    promotionOf(resourceFixture(volumeFixture(
      state === undefined ? {} : { state: { role: "Secondary", ...state } },
    )));
  assert.deepEqual(of({}), { mayPromote: true, score: 10102 });
  assert.deepEqual(of({ peerDisk: "DUnknown" }), {
    mayPromote: true,
    score: 10101,
  });
  assert.deepEqual(of({ disk: "Inconsistent" }), {
    mayPromote: true,
    score: 10001,
  });
  assert.deepEqual(of({ disk: "Diskless" }), { mayPromote: true, score: 1 });
  assert.deepEqual(of({ peerRole: "Primary" }), {
    mayPromote: false,
    score: 10102,
  });
  assert.deepEqual(of({ disk: "Inconsistent", peerDisk: "DUnknown" }), {
    mayPromote: false,
    score: 0,
  });
});

const GIB = 1024 ** 3;
const MOUNTED = {
  mountPoint: "/mnt",
  type: "ext4",
  sizeBytes: 2 * GIB,
  usedBytes: 68 * 1024 ** 2,
  availableBytes: 1.87 * GIB,
};

Deno.test("drbd-overview as the tutorial prints it, with the mount", () => {
  const volume = volumeFixture({ resource: "drbd", minor: 0 });
  assert.deepEqual(overviewLines(statusFixture(volume), () => MOUNTED), [
    "  0:drbd/0  Connected Primary/Secondary UpToDate/UpToDate C r----- /mnt ext4 2.0G 68M 1.9G 4%",
  ]);
});

Deno.test("drbd-overview: no letter when alone, a bar in a resync, columns", () => {
  const alone = volumeFixture({
    state: { connection: "StandAlone", peerRole: "Unknown" },
  });
  const lines = overviewLines(
    statusFixture(alone, syncingFixture({ resource: "web", minor: 12 })),
    () => undefined,
  );
  assert.deepEqual(lines, [
    "  1:mysql/0  StandAlone Primary/Unknown   UpToDate/UpToDate     r-----",
    " 12:web/0    SyncTarget Secondary/Primary Inconsistent/UpToDate C r-----",
    "\t[=========>..........] sync'ed: 52.3% (1003000/2103412)K",
  ]);
});

Deno.test("sizes as df -h shows them", () => {
  assert.equal(shortSize(0), "0");
  assert.equal(shortSize(1024), "1.0K");
  assert.equal(shortSize(10 * 1024), "10K");
  assert.equal(shortSize(1.91 * GIB), "2.0G");
  assert.equal(
    useText({ ...MOUNTED, usedBytes: 0, availableBytes: 0 }),
    "/mnt ext4 2.0G 0 0 0%",
  );
});

Deno.test("mounts with spaces in their names", () => {
  assert.deepEqual(parseMounts("/dev/drbd1 /my\\040disk xfs rw 0 0\n"), [
    { source: "/dev/drbd1", mountPoint: "/my disk", type: "xfs" },
  ]);
});
