import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import {
  COMMAND,
  encodeAnswer,
  encodeFileId,
  encodeFileInfo,
  encodeGroupRecord,
  encodeMetadata,
  encodeOldGroupRecord,
  encodeOldStorageRecord,
  encodePlace,
  encodeStorageRecord,
  encodeStorageStat,
  encodeTrackerStat,
  encodeVolumeStat,
  readDownload,
  readFileQuery,
  readGroupAlone,
  readGroupMember,
  readHeader,
  readMetadata,
  readMetaHead,
  readModifyHead,
  readNamedFile,
  readSizedHead,
  readSlaveHead,
  readText,
  readU64,
  readUploadHead,
  writeHeader,
  writeText,
  writeU64,
} from "./mod.ts";

const NAME = "M00/03/4C/fwALAmsCk_yAZCHIAAAADvqdFXc323.txt";
const group = (name: string) => Buffer.from(name.padEnd(16, "\0"));
const u64 = (value: bigint | number) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
};

Deno.test("a header survives, and its length is signed and safe", () => {
  const length = fc.maxSafeNat();
  const byte = fc.integer({ min: 0, max: 255 });
  fc.assert(fc.property(length, byte, byte, (bodyBytes, command, status) => {
    const bytes = new Uint8Array(10);
    writeHeader(bytes, { bodyBytes, command, status });
    assert.deepEqual(readHeader(bytes), { bodyBytes, command, status });
  }));
  for (const value of [-1n, -(2n ** 63n), 2n ** 53n, 2n ** 63n - 1n]) {
    assert.equal(
      readHeader(Buffer.concat([u64(value), Buffer.alloc(2)])),
      undefined,
    );
  }
});

Deno.test("an answer is a header with command 100 and its body", () => {
  const bytes = encodeAnswer(2);
  assert.equal(Buffer.from(bytes).toString("hex"), "0000000000000000" + "6402");
  const some = encodeAnswer(0, Buffer.from("ab"));
  assert.equal(
    Buffer.from(some).toString("hex"),
    "0000000000000002" + "6400" + "6162",
  );
  assert.equal(COMMAND.response, 100);
});

Deno.test("numbers and texts survive their fields", () => {
  fc.assert(fc.property(fc.maxSafeNat(), (value) => {
    const bytes = new Uint8Array(9);
    writeU64(bytes, 1, value);
    assert.equal(readU64(bytes, 1), value);
    assert.equal(readU64(bytes, 2), undefined, "no field there");
  }));
  const text = fc.stringMatching(/^[A-Za-z0-9._-]{0,16}$/);
  fc.assert(fc.property(text, (value) => {
    const bytes = new Uint8Array(16);
    writeText(bytes, { at: 0, widthBytes: 16 }, value);
    assert.equal(readText(bytes, 0, 16), value);
  }));
  const field = { at: 0, widthBytes: 3 };
  assert.throws(() => writeText(new Uint8Array(3), field, "four"), RangeError);
});

Deno.test("what stands behind a NUL is not read", () => {
  const stale = Buffer.from("group1\0 11.1\0xyz");
  assert.equal(readGroupAlone(stale), "group1");
});

Deno.test("file queries have their bounds", () => {
  const query = (name: string) =>
    Buffer.concat([group("group1"), Buffer.from(name)]);
  assert.deepEqual(readFileQuery(query(NAME)), { group: "group1", name: NAME });
  assert.equal(readFileQuery(query("x".repeat(21))), undefined);
  assert.notEqual(readFileQuery(query("x".repeat(22))), undefined);
  assert.notEqual(readFileQuery(query("x".repeat(127))), undefined);
  assert.equal(readFileQuery(query("x".repeat(128))), undefined);
  assert.equal(readNamedFile(query("")), undefined);
  assert.equal(readNamedFile(query("a\0b")), undefined);
  assert.equal(
    readNamedFile(Buffer.concat([group("no-name"), Buffer.from(NAME)])),
    undefined,
  );
});

Deno.test("a group alone, and with a member", () => {
  assert.equal(readGroupAlone(group("group1")), "group1");
  assert.equal(readGroupAlone(group("group1").subarray(1)), undefined);
  assert.equal(readGroupAlone(group("")), undefined);
  const member = (id: string) =>
    readGroupMember(Buffer.concat([group("group1"), Buffer.from(id)]));
  assert.deepEqual(member(""), { group: "group1", id: "" });
  assert.deepEqual(member("127.0.11.2"), { group: "group1", id: "127.0.11.2" });
  assert.equal(member("x".repeat(16)), undefined);
});

Deno.test("heads of uploads and of changes", () => {
  const size = fc.maxSafeNat();
  const path = fc.integer({ min: 0, max: 255 });
  fc.assert(fc.property(size, path, (sizeBytes, index) => {
    const head = Buffer.concat([
      Buffer.from([index]),
      u64(sizeBytes),
      Buffer.from("tar.gz"),
    ]);
    const pathIndex = index === 255 ? undefined : index;
    assert.deepEqual(readUploadHead(head), {
      pathIndex,
      sizeBytes,
      extension: "tar.gz",
    });
  }));
  const slave = Buffer.concat([
    ...[u64(44), u64(7), group("_150x150")],
    Buffer.from("jpg\0\0\0"),
  ]);
  assert.deepEqual(readSlaveHead(slave), {
    nameBytes: 44,
    sizeBytes: 7,
    prefix: "_150x150",
    extension: "jpg",
  });
  const append = Buffer.concat([u64(44), u64(7)]);
  assert.deepEqual(readSizedHead(append), { nameBytes: 44, sizeBytes: 7 });
  const modify = Buffer.concat([u64(44), u64(9), u64(7)]);
  assert.deepEqual(readModifyHead(modify), {
    nameBytes: 44,
    offset: 9,
    sizeBytes: 7,
  });
  const meta = Buffer.concat([
    ...[u64(44), u64(7), Buffer.from("M"), group("group1")],
  ]);
  assert.deepEqual(readMetaHead(meta), {
    nameBytes: 44,
    metaBytes: 7,
    how: "merge",
    group: "group1",
  });
});

Deno.test("names longer than a buffer, and negative sizes, are refused", () => {
  for (const length of [0, 128, 2 ** 40, -1]) {
    assert.equal(
      readSizedHead(Buffer.concat([u64(length), u64(1)])),
      undefined,
    );
    const modify = Buffer.concat([u64(length), u64(0), u64(1)]);
    assert.equal(readModifyHead(modify), undefined);
  }
  assert.equal(readSizedHead(Buffer.concat([u64(44), u64(-1)])), undefined);
  assert.equal(
    readUploadHead(Buffer.concat([Buffer.from([0]), u64(-1), Buffer.alloc(6)])),
    undefined,
  );
});

Deno.test("no bytes make a reader throw", () => {
  const readers = [
    ...[readDownload, readFileQuery, readGroupAlone, readGroupMember],
    ...[readMetadata, readMetaHead, readModifyHead, readNamedFile],
    ...[readSizedHead, readSlaveHead, readUploadHead],
  ];
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    for (const read of readers) read(bytes);
  }));
});

Deno.test("a download has offset, length, group and name", () => {
  const body = Buffer.concat([
    ...[u64(6), u64(4), group("group1"), Buffer.from(NAME)],
  ]);
  assert.deepEqual(readDownload(body), {
    offset: 6,
    lengthBytes: 4,
    group: "group1",
    name: NAME,
  });
});

Deno.test("metadata survives, sorted by name", () => {
  const name = fc.stringMatching(/^[a-z é]{1,20}$/);
  const value = fc.stringMatching(/^[ -~é]{0,40}$/);
  fc.assert(fc.property(fc.dictionary(name, value), (meta) => {
    assert.deepEqual(readMetadata(encodeMetadata(meta)), { ...meta });
  }));
  assert.equal(
    String(encodeMetadata({ width: "160", author: "Ada" })),
    "author\x02Ada\x01width\x02160",
  );
  const odd = Buffer.from("\x02no name\x01no value\x01a\x021\x01a\x022\x01");
  assert.deepEqual(readMetadata(odd), { a: "2" });
  const long = Buffer.from(`${"n".repeat(70)}\x02${"v".repeat(255)}é`);
  assert.deepEqual(readMetadata(long), { ["n".repeat(64)]: "v".repeat(255) });
  assert.equal(readMetadata(Buffer.from([0xff, 2, 0x41])), undefined);
});

Deno.test("places and facts have the width of addresses", () => {
  const servers = [{ ip: "127.0.11.2", port: 23_000 }];
  const sizes = ([16, 46] as const).map((ipBytes) => [
    encodePlace({ group: "group1", servers, pathIndex: 0 }, ipBytes).length,
    encodePlace({ group: "group1", servers }, ipBytes).length,
    encodeFileInfo(FACTS, ipBytes).length,
  ]);
  assert.deepEqual(sizes, [[40, 39, 40], [70, 69, 70]]);
});

const FACTS = {
  sizeBytes: 14,
  createdS: 1_795_331_068,
  crc32: 0xfa9d_1577,
  ip: "127.0.11.2",
};

Deno.test("facts: the sum is a signed number, as FastDFS sends it", () => {
  const bytes = Buffer.from(encodeFileInfo(FACTS, 16));
  assert.equal(
    bytes.toString("hex"),
    "000000000000000e" + "000000006b0293fc" + "fffffffffa9d1577" +
      Buffer.from("127.0.11.2").toString("hex").padEnd(32, "0"),
  );
});

Deno.test("a file ID is sent as group and name", () => {
  const bytes = Buffer.from(encodeFileId(`group1/${NAME}`));
  assert.deepEqual(bytes, Buffer.concat([group("group1"), Buffer.from(NAME)]));
});

Deno.test("records have the lengths by which clients know them", () => {
  const storage = {
    status: 7,
    rwMode: 6,
    id: "100001",
    ip: "127.0.11.2",
    version: "6.16.1",
    joinedS: 1,
    startedS: 2,
    totalMb: 3.7,
    freeMb: -1,
    reservedMb: 0,
    uploadPriority: 10,
    storePathCount: 1,
    subdirCount: 256,
    port: 23_000,
    heardS: 1_795_331_068,
  };
  const one = {
    group: "group1",
    totalMb: 100,
    freeMb: 50,
    reservedMb: 60,
    storageCount: 2,
    storagePort: 23_000,
    readableCount: 2,
    writableCount: 2,
    storePathCount: 1,
    subdirCount: 256,
  };
  assert.equal(encodeGroupRecord(one).length, 113);
  assert.equal(encodeOldGroupRecord(one).length, 105);
  assert.equal(encodeStorageRecord(storage, 16).length, 487);
  assert.equal(encodeOldStorageRecord(storage).length, 600);
  assert.equal(encodeTrackerStat({ host: "h:1", version: "1" }).length, 90);
  assert.equal(encodeStorageStat({ ...storage, host: "h:1" }).length, 106);
  const volume = Buffer.from(encodeVolumeStat(one));
  assert.equal(volume.length, 59);
  assert.equal(volume[57], 0, "the reserve leaves no room");

  const wide = Buffer.from(encodeStorageRecord(storage, 46));
  assert.equal(wide.length, 517);
  assert.equal(wide.readBigInt64BE(58 + 30), 1n);
  assert.equal(wide.readBigInt64BE(58 + 30 + 16), 3n, "whole MiB");
  assert.equal(wide.readBigInt64BE(58 + 30 + 24), 0n, "never negative");
  // The last of the statistics is the last heartbeat, before the trunk flag.
  assert.equal(wide.readBigInt64BE(517 - 1 - 8), 1_795_331_068n);
});
