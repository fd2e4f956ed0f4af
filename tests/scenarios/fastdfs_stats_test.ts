/**
 * What the FastDFS gateway counts, as a monitor reads it byte by byte, and the
 * lines of its access log.
 */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { FastdfsStats } from "@kedge/schema/fastdfs-stats";
import type { FastdfsView } from "@kedge/schema/fastdfs-view";
import { eventually } from "../helpers/eventually.ts";
import { TestGateway } from "../helpers/fastdfs_gateway.ts";
import {
  downloadBody,
  field,
  idIn,
  named,
  nameOf,
  u64,
  uploadBody,
} from "../helpers/fastdfs_raw.ts";
import { Scope } from "../helpers/scope.ts";

const GROUP = field("group1", 16);
const META = Buffer.from("width\x02160");

/** Numbers of the statistics block at the offsets of fastdfs-protocol.md §3. */
function statisticsAt(record: Buffer, at: number) {
  const u32 = [0, 1, 2].map((n) => record.readUInt32BE(at + 4 * n));
  const u64s = Array.from(
    { length: 42 },
    (_, n) => Number(record.readBigInt64BE(at + 12 + 8 * n)),
  );
  return { connections: u32, numbers: u64s };
}

/** A view in which the first node says what this gateway counted. */
function withStats(
  stats: () => FastdfsStats | undefined,
  more: object = {},
): (view: FastdfsView) => FastdfsView {
  return (view) => ({
    ...view,
    groups: view.groups.map((group) => ({
      ...group,
      nodes: group.nodes.map((node) =>
        node.node === 1 ? { ...node, stats: stats() } : { ...node, ...more }
      ),
    })),
  });
}

Deno.test("fastdfs: what was done is counted, and monitors see it", async () => {
  await using scope = new Scope();
  const lines: string[] = [];
  const made: TestGateway = TestGateway.open(scope, {
    accessLog: (line) => lines.push(line),
    view: withStats(() => FastdfsStats.parse(made.gateway.stats())),
  });
  using storage = await made.storage();
  using _other = await made.storage();
  const content = Buffer.alloc(300, "x");
  const id = idIn((await storage.call(11, uploadBody(content))).body);
  const appender = idIn((await storage.call(23, uploadBody(content))).body);
  const name = Buffer.from(nameOf(appender));
  const five = Buffer.from("12345");
  const sized = (number: number) =>
    Buffer.concat([u64(name.length), u64(number)]);
  await storage.call(24, Buffer.concat([sized(5), name, five]));
  await storage.call(34, Buffer.concat([sized(1), u64(5), name, five]));
  await storage.call(36, Buffer.concat([sized(100), name]));
  await storage.call(
    13,
    Buffer.concat([
      u64(nameOf(id).length),
      u64(META.length),
      Buffer.from("O"),
      GROUP,
      Buffer.from(nameOf(id)),
      META,
    ]),
  );
  await storage.call(15, named(id));
  await storage.call(14, downloadBody(id));
  await storage.call(14, downloadBody(id, 100, 50));
  await storage.call(12, named(id));
  assert.equal((await storage.call(14, downloadBody(id))).status, 2);
  assert.equal((await storage.call(20)).status, 95);
  await storage.call(111);
  made.marks = { own: 4, others: 0 };

  const about = Math.floor(Date.now() / 1000);
  using tracker = await made.tracker();
  const { numbers, connections } = await eventually(async () => {
    made.aheadMs += 3_000;
    const { body } = await tracker.call(92, GROUP);
    assert.equal(body.length, 2 * 487);
    const found = statisticsAt(body, 138);
    assert.equal(found.numbers[16], 1, "the last request is counted");
    return found;
  }, { what: "the counters" });
  assert.deepEqual(connections, [2, 2, 2]);
  assert.deepEqual(numbers.slice(0, 20), [
    ...[2, 2], // upload
    ...[1, 1, 1, 1, 1, 1], // append, modify, truncate
    ...[1, 1, 1, 1], // set metadata, delete
    ...[3, 2], // download: one was of a file that is gone
    ...[1, 1], // get metadata
    ...[1, 0], // create link: refused
    ...[0, 0], // delete link
  ]);
  assert.deepEqual(numbers.slice(20, 28), [600, 600, 5, 5, 5, 5, 350, 350]);
  assert(Math.abs((numbers[38] ?? 0) - about) < 60, "last_source_update");
  assert.equal(numbers[39], 0, "nothing came from others");
  assert((numbers[41] ?? 0) > 0, "heartbeat");

  assert.equal(lines.length, 12, "active tests are no lines");
  assert.match(
    lines[0] ?? "",
    /^\[20\d\d-\S+Z\] 127\.0\.0\.1 upload group1\/M00\/\S+ 0 \d+\.\d 325 /,
  );
  assert.match(lines[8] ?? "", /download group1\/M00\/\S+ 0 \d+\.\d \d+ 60$/);
  assert.match(lines[10] ?? "", /download group1\/M00\/\S+ 2 \d+\.\d \d+ 10$/);
  assert.match(lines[11] ?? "", / create_link - 95 /);
});

Deno.test("fastdfs: who has everything has no delay, who lacks changes has one", async () => {
  await using scope = new Scope();
  const { gateway: idle } = TestGateway.open(scope);
  const synced = async (lagChanges: number) => {
    const made: TestGateway = TestGateway.open(scope, {
      view: withStats(
        () => ({ ...made.gateway.stats(), sourceUpdateS: 1_000 }),
        {
          lagChanges,
          stats: { ...idle.stats(), syncUpdateS: 1_200 },
        },
      ),
    });
    using tracker = await made.tracker();
    const { body } = await tracker.call(92, GROUP);
    return statisticsAt(body, 487 + 138).numbers.slice(38, 41);
  };
  assert.deepEqual(await synced(0), [0, 1_200, 1_200]);
  assert.deepEqual(await synced(3), [0, 1_200, 999], "never up to date");
});

Deno.test("fastdfs: names in the access log cannot make lines", async () => {
  await using scope = new Scope();
  const lines: string[] = [];
  const made = TestGateway.open(scope, {
    accessLog: (line) => lines.push(line),
  });
  using storage = await made.storage();
  await storage.call(14, downloadBody("group1/M00/00/00/a b\n[x] \x01\xe9"));
  await eventually(() => lines.length === 1, { what: "a line" });
  const [line = ""] = lines;
  assert.equal(line.split(" ").length, 8, line);
  assert.match(line, /^[ -~]+$/);
});

Deno.test("fastdfs: a client that leaves within its upload is no success", async () => {
  await using scope = new Scope();
  const lines: string[] = [];
  const made = TestGateway.open(scope, {
    accessLog: (line) => lines.push(line),
  });
  {
    using storage = await made.storage();
    const body = uploadBody(Buffer.alloc(1000));
    const head = Buffer.concat([u64(body.length), Buffer.from([11, 0])]);
    await storage.send(Buffer.concat([head, body.subarray(0, 100)]));
  }
  await eventually(() => {
    const { upload } = made.gateway.stats();
    assert.equal(upload.success, 0);
    return upload.total === 1;
  }, { what: "the failed upload" });
  assert.match(lines[0] ?? "", / upload - 104 /);
});
