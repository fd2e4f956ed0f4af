/**
 * The storage side of the FastDFS gateway, command by command and byte by byte,
 * with the errors that FastDFS gives.
 */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";
import { parseFileId } from "@kedge/schema/file-id";
import {
  TestGateway,
  type TestGatewayOptions,
} from "../helpers/fastdfs_gateway.ts";
import {
  downloadBody,
  field,
  idIn,
  named,
  nameOf,
  type RawFastdfs,
  u64,
  uploadBody,
} from "../helpers/fastdfs_raw.ts";
import { unknownId } from "../helpers/fake_ports.ts";
import { Scope } from "../helpers/scope.ts";

const text = (words: string) => Buffer.from(words);

interface Desk {
  readonly gateway: TestGateway;
  /** A new connection: an error with status 22 ends the old one. */
  connect(): Promise<RawFastdfs>;
  /** One request on a connection of its own. */
  call(command: number, body?: Uint8Array, status?: number): ReturnType<
    RawFastdfs["call"]
  >;
  upload(content: Uint8Array, command?: number): Promise<string>;
  read(id: string): Promise<string>;
}

function storageTest(
  name: string,
  work: (desk: Desk) => Promise<void>,
  options: TestGatewayOptions = {},
): void {
  Deno.test(`fastdfs storage: ${name}`, async () => {
    await using scope = new Scope();
    const gateway = TestGateway.open(scope, options);
    const call: Desk["call"] = async (command, body, status) => {
      using storage = await gateway.storage();
      return await storage.call(command, body, status);
    };
    await work({
      gateway,
      call,
      connect: () => gateway.storage(),
      async upload(content, command = 11) {
        const { status, body } = await call(command, uploadBody(content));
        assert.equal(status, 0);
        return idIn(body);
      },
      async read(id) {
        const { status, body } = await call(14, downloadBody(id));
        assert.equal(status, 0);
        return String(body);
      },
    });
    assert.deepEqual(gateway.warnings, []);
  });
}

storageTest("upload, download, delete on one connection", async (desk) => {
  using storage = await desk.connect();
  const made = await storage.call(
    11,
    uploadBody(text("hello"), { ext: "txt" }),
  );
  assert.equal(made.status, 0);
  const id = idIn(made.body);
  assert.match(id, /^group1\/M00\/\w\w\/\w\w\/[\w-]{27}\d{3}\.txt$/);
  const whole = await storage.call(14, downloadBody(id));
  assert.equal(String(whole.body), "hello");
  const middle = await storage.call(14, downloadBody(id, 1, 3));
  assert.equal(String(middle.body), "ell");
  const clamped = await storage.call(14, downloadBody(id, 3, 99));
  assert.equal(String(clamped.body), "lo");
  assert.equal((await storage.call(12, named(id))).status, 0);
  assert.equal((await storage.call(14, downloadBody(id))).status, 2);
  assert.equal((await storage.call(12, named(id))).status, 2);
});

storageTest("any extension of FastDFS is taken", async (desk) => {
  for (const ext of [".jpg", "tar.gz", "a-b_c", "."]) {
    const body = uploadBody(text("hello"), { ext });
    const made = await desk.call(11, body);
    assert.equal(made.status, 0, ext);
    const id = idIn(made.body);
    assert(id.endsWith(`.${ext}`), id);
    const read = await desk.call(14, downloadBody(id));
    assert.equal(String(read.body), "hello");
  }
  for (const ext of ["a b", "a/b", "é"]) {
    const body = uploadBody(text("hello"), { ext });
    assert.equal((await desk.call(11, body)).status, 22, ext);
  }
});

storageTest(
  "a file of no bytes can be downloaded",
  async ({ upload, call }) => {
    const id = await upload(text(""));
    const { status, body } = await call(14, downloadBody(id));
    assert.deepEqual([status, body.length], [0, 0]);
    assert.equal((await call(14, downloadBody(id, 1))).status, 22);
  },
);

storageTest("a download behind the end is invalid", async (desk) => {
  const id = await desk.upload(text("12345"));
  for (const offset of [5, 6, 2 ** 40]) {
    const { status } = await desk.call(14, downloadBody(id, offset));
    assert.equal(status, 22, `offset ${offset}`);
  }
});

storageTest("long content goes both ways in pieces", async (desk) => {
  const content = Buffer.alloc(5_000_001, "0123456789");
  const id = await desk.upload(content);
  assert.deepEqual((await desk.call(14, downloadBody(id))).body, content);
  const { body } = await desk.call(14, downloadBody(id, 4_000_000, 500_000));
  assert.deepEqual(body, content.subarray(4_000_000, 4_500_000));
});

storageTest(
  "an upload says its store path, or lets us choose",
  async (desk) => {
    const at = async (path: number) => {
      const body = uploadBody(text("x"), { path });
      return await desk.call(11, body);
    };
    assert.match(idIn((await at(1)).body), /\/M01\//);
    assert.match(idIn((await at(255)).body), /\/M0[01]\//);
    assert.equal((await at(2)).status, 22);
  },
);

storageTest("an upload must be as long as it says", async (desk) => {
  const good = uploadBody(text("12345"));
  for (const body of [good.subarray(0, -1), Buffer.concat([good, text("6")])]) {
    using storage = await desk.connect();
    assert.equal((await storage.call(11, body)).status, 22);
    assert(await storage.isEnded(), "a storage closes after status 22");
  }
  assert.equal((await desk.call(11, good.subarray(0, 14))).status, 22);
  const path = uploadBody(text("x"), { ext: "a/../b" });
  assert.equal((await desk.call(11, path)).status, 22);
});

storageTest("slave files lie beside their master", async (desk) => {
  const slave = (master: string, prefix: string, ext: string) =>
    Buffer.concat([
      u64(nameOf(master).length),
      u64(5),
      field(prefix, 16),
      field(ext, 6),
      nameOf(master),
      text("small"),
    ]);
  const master = await desk.upload(text("master"));
  const { status, body } = await desk.call(21, slave(master, "_big", "jpg"));
  assert.equal(status, 0);
  assert.equal(idIn(body), master.replace(/\.bin$/, "_big.jpg"));
  assert.equal(await desk.read(idIn(body)), "small");
  assert.equal((await desk.call(21, slave(master, "_big", "jpg"))).status, 17);
  assert.equal((await desk.call(21, slave(master, "", "jpg"))).status, 22);
  assert.equal((await desk.call(21, slave(master, "-m", ""))).status, 22);
  const nobody = unknownId();
  assert.equal((await desk.call(21, slave(nobody, "_b", "jpg"))).status, 2);
});

storageTest("appender files: append, modify, truncate", async (desk) => {
  const append = (id: string, content: Buffer) =>
    Buffer.concat([
      u64(nameOf(id).length),
      u64(content.length),
      nameOf(id),
      content,
    ]);
  const modify = (id: string, offset: number, content: Buffer) =>
    Buffer.concat([
      u64(nameOf(id).length),
      u64(offset),
      u64(content.length),
      nameOf(id),
      content,
    ]);
  const truncate = (id: string, size: number) =>
    Buffer.concat([u64(nameOf(id).length), u64(size), nameOf(id)]);
  const id = await desk.upload(text("one "), 23);
  assert.equal((await desk.call(24, append(id, text("two")))).status, 0);
  assert.equal((await desk.call(24, append(id, text("")))).status, 0);
  assert.equal(await desk.read(id), "one two");
  assert.equal((await desk.call(34, modify(id, 0, text("ONE")))).status, 0);
  assert.equal((await desk.call(34, modify(id, 7, text("!")))).status, 0);
  assert.equal(await desk.read(id), "ONE two!");
  assert.equal((await desk.call(34, modify(id, 9, text("!")))).status, 22);
  assert.equal((await desk.call(36, truncate(id, 3))).status, 0);
  assert.equal((await desk.call(36, truncate(id, 3))).status, 0);
  assert.equal((await desk.call(36, truncate(id, 5))).status, 0);
  assert.equal(await desk.read(id), "ONE\0\0");

  const normal = await desk.upload(text("fixed"));
  assert.equal((await desk.call(24, append(normal, text("!")))).status, 22);
  assert.equal((await desk.call(34, modify(normal, 0, text("!")))).status, 22);
  assert.equal((await desk.call(36, truncate(normal, 1))).status, 22);
  const nobody = unknownId();
  assert.equal((await desk.call(24, append(nobody, text("!")))).status, 2);
});

storageTest("facts of an appender have its last change", async (desk) => {
  const { upload, call, gateway } = desk;
  const changedS = () => Promise.resolve(1_700_000_000);
  Object.assign(gateway.door.files, { changedS });
  const timeOf = async (id: string) =>
    (await call(22, named(id))).body.readBigInt64BE(8);
  assert.equal(await timeOf(await upload(text("a"), 23)), 1_700_000_000n);
  const fixed = await upload(text("a"));
  assert.equal(await timeOf(fixed), BigInt(parseFileId(fixed)?.createdS ?? 0));
});

storageTest("an appender file gets a final name", async (desk) => {
  const id = await desk.upload(text("grown"), 23);
  const { status, body } = await desk.call(38, nameOf(id));
  assert.equal(status, 0);
  assert.notEqual(idIn(body), id);
  assert.equal(await desk.read(idIn(body)), "grown");
  assert.equal((await desk.call(14, downloadBody(id))).status, 2);
  assert.equal((await desk.call(38, nameOf(idIn(body)))).status, 22);
});

storageTest("metadata: overwrite, merge, remove", async (desk) => {
  const set = (id: string, flag: string, meta: string) =>
    Buffer.concat([
      u64(nameOf(id).length),
      u64(Buffer.byteLength(meta)),
      text(flag),
      named(id),
      text(meta),
    ]);
  const get = async (id: string) => {
    const { status, body } = await desk.call(15, named(id));
    return status === 0 ? String(body) : status;
  };
  const id = await desk.upload(text("x"));
  assert.equal(await get(id), 2);
  const both = "width\x02160\x01author\x02Ada";
  assert.equal((await desk.call(13, set(id, "O", both))).status, 0);
  assert.equal(await get(id), "author\x02Ada\x01width\x02160");
  assert.equal((await desk.call(13, set(id, "M", "width\x0280"))).status, 0);
  assert.equal(await get(id), "author\x02Ada\x01width\x0280");
  assert.equal((await desk.call(13, set(id, "O", ""))).status, 0);
  assert.equal(await get(id), 2);
  assert.equal((await desk.call(13, set(id, "X", "a\x021"))).status, 22);
  const nobody = unknownId();
  assert.equal((await desk.call(13, set(nobody, "O", "a\x021"))).status, 2);
});

storageTest("facts about a file", async (desk) => {
  const content = text("hello FastDFS\n");
  const id = await desk.upload(content);
  const { status, body } = await desk.call(22, named(id), 2);
  assert.deepEqual([status, body.length], [0, 40]);
  assert.equal(body.readBigInt64BE(0), 14n);
  // 0xfa9d1577 as a signed number.
  assert.equal(body.readBigInt64BE(16), BigInt(crc32(content) | 0));
  assert(body.readBigInt64BE(16) < 0n);
  assert.deepEqual(body.subarray(24), field("127.0.0.1", 16));
  const { createdS } = parseFileId(id) ?? {};
  assert.equal(Number(body.readBigInt64BE(8)), createdS);
  // "Do not compute a sum" (1) saves nothing here: it is known anyway.
  assert.deepEqual((await desk.call(22, named(id), 3)).body, body);
  assert.equal((await desk.call(22, named(unknownId()))).status, 2);
});

storageTest("another group, and names that are none", async (desk) => {
  const id = await desk.upload(text("x"));
  const other = id.replace("group1", "group2");
  assert.equal((await desk.call(14, downloadBody(other))).status, 22);
  for (
    const name of ["M00/../../etc/passwd", "x", "M00/00/00/", "\0".repeat(44)]
  ) {
    const body = downloadBody(`group1/${name}`);
    assert.equal((await desk.call(14, body)).status, 22, name);
  }
  const long = `group1/${"M".repeat(128)}`;
  assert.equal((await desk.call(12, named(long))).status, 22);
});

storageTest("active test and quit", async (desk) => {
  using storage = await desk.connect();
  assert.equal((await storage.call(111)).status, 0);
  assert.equal((await storage.call(111)).status, 0);
  await storage.send(Buffer.from("000000000000000052" + "00", "hex"));
  assert(await storage.isEnded());
});

storageTest("a read-only gateway reads", async (desk) => {
  const { id } = await desk.gateway.door.upload("kept");
  assert.equal(await desk.read(id), "kept");
  const name = nameOf(id);
  const sized = [u64(name.length), u64(1), name];
  const slave = [u64(name.length), u64(1), field("_s", 16), field("jpg", 6)];
  const meta = [u64(name.length), u64(3), text("O"), named(id), text("a\x021")];
  const refused = [
    [11, uploadBody(text("x"))],
    [23, uploadBody(text("x"))],
    [12, named(id)],
    [38, name],
    [13, Buffer.concat(meta)],
    [21, Buffer.concat([...slave, name, text("x")])],
    [24, Buffer.concat([...sized, text("x")])],
    [34, Buffer.concat([u64(name.length), u64(0), u64(1), name, text("x")])],
    [36, Buffer.concat(sized)],
  ] as const;
  for (const [command, body] of refused) {
    assert.equal((await desk.call(command, body)).status, 30);
  }
  assert.equal(await desk.read(id), "kept");
}, { config: { isReadOnly: true } });
