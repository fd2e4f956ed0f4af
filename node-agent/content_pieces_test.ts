import assert from "node:assert/strict";
import type { FileEntry } from "@kedge/schema/change";
import { COMMAND, encodeFileId, GROUP_BYTES } from "@kedge/schema/wire/fastdfs";
import { FakeDoor } from "../tests/helpers/fake_door.ts";
import { Random } from "../tests/helpers/random.ts";
import type { FileOperations } from "./operation_ports.ts";
import type { ByteSpan } from "./ports.ts";
import { contentPieces } from "./content_pieces.ts";
import { Outgoing } from "./http/read/outgoing.ts";
import { ClusterSight } from "./fastdfs/cluster_sight.ts";
import { ClientBodies } from "./client_bodies.ts";
import { ReplyRooms } from "./fastdfs/reply_rooms.ts";
import { StorageSide } from "./fastdfs/storage_side.ts";
import { WireRequest } from "./fastdfs/wire_request.ts";

const MIB = 1024 * 1024;
const PIECE_BYTES = 256 * 1024;
const CLOCK = { monotonicMs: () => 0, wallMs: () => 0 };
const LOG = { info: () => {}, warn: () => {} };

/** A file, and a storage that tells which parts of it were read. */
async function setUp(
  sizeBytes: number,
  part?: (from: number, end: number) => Uint8Array<ArrayBuffer>,
) {
  const { app: { operations } } = new FakeDoor();
  const bytes = new Random(1).bytes(sizeBytes);
  const facts = { extension: "bin", appender: false };
  const id = await operations.create({ body: bytes, sizeBytes }, facts);
  const spans: (ByteSpan | undefined)[] = [];
  const watched: Pick<FileOperations, "find" | "read"> = {
    find: (name) => operations.find(name),
    read(entry: FileEntry, span, room) {
      spans.push(span);
      if (part !== undefined && span !== undefined) {
        return part(span.from, span.from + span.lengthBytes);
      }
      return operations.read(entry, span, room);
    },
  };
  const cluster = {
    fastdfsView: () => Promise.resolve({ groups: [], draws: [] }),
  };
  const side = new StorageSide({
    group: "group1",
    operations: Object.assign(Object.create(operations), watched),
    cluster: new ClusterSight({ cluster, clock: CLOCK, log: LOG }),
    isReadOnly: false,
    bodies: new ClientBodies(),
    pathCount: () => 1,
  });
  return { side, id, bytes, spans };
}

/** A request for a part of a file. */
function download(
  id: string,
  { from, lengthBytes }: ByteSpan,
  rooms: ReplyRooms,
): WireRequest {
  const name = encodeFileId(id);
  const body = new Uint8Array(16 + name.length);
  const view = new DataView(body.buffer);
  view.setBigUint64(0, BigInt(from));
  view.setBigUint64(8, BigInt(lengthBytes));
  body.set(name, 16);
  assert(name.length > GROUP_BYTES);
  const header = {
    command: COMMAND.download,
    bodyBytes: body.length,
    status: 0,
  };
  const take = () => body;
  const connection = { take, takeInto: take, glance: take };
  return new WireRequest(header, connection, { takenBytes: 0 }, rooms.open());
}

Deno.test("while many clients are slow, content waits for them in short pieces", async () => {
  const { side, id, bytes, spans } = await setUp(3 * MIB + 5);
  const rooms = new ReplyRooms();
  const span = { from: 100, lengthBytes: 2 * MIB };
  await side.answer(download(id, span, rooms));
  assert.deepEqual(spans.splice(0), [span], "there is room");
  rooms.sendingBytes = 65 * MIB;
  const { content } = await side.answer(download(id, span, rooms));
  assert(content !== undefined && !(content.bytes instanceof Uint8Array));
  assert.equal(spans.length, 1, "no more than was asked for");
  assert.equal(content.heldBytes, PIECE_BYTES);
  const parts: Uint8Array[] = [];
  for await (const part of content.bytes) {
    assert(part.buffer.byteLength <= PIECE_BYTES, "no block hangs on it");
    parts.push(part);
  }
  assert.equal(parts.length, 9);
  const whole = new Uint8Array(
    await new Blob(parts.map((part) => part.slice()))
      .arrayBuffer(),
  );
  const end = span.from + span.lengthBytes;
  assert.deepEqual(whole, bytes.subarray(span.from, end));
});

Deno.test("however many clients there are, few blocks are in memory for their pieces", async () => {
  const { app: { operations } } = new FakeDoor();
  const bytes = new Random(2).bytes(MIB);
  const facts = { extension: "bin", appender: false };
  const file = { body: bytes, sizeBytes: bytes.length };
  const entry = await operations.find(await operations.create(file, facts));
  let [now, most] = [0, 0];
  const parts = {
    async read(_: FileEntry, { from, lengthBytes }: ByteSpan) {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setTimeout(resolve, 0));
      now--;
      return bytes.slice(from, from + lengthBytes);
    },
  };
  const span = { from: 0, lengthBytes: bytes.length };
  const contents = await Promise.all(
    Array.from({ length: 100 }, () => contentPieces(parts, entry, span)),
  );
  for (const content of contents) {
    assert.deepEqual(await new Response(content).bytes(), bytes);
  }
  assert(most > 1 && most <= 16, `${most} at once`);
});

Deno.test("of a block nothing waits for who takes a short part of it", async () => {
  const { app: { operations } } = new FakeDoor();
  const block = new Random(3).bytes(MIB);
  const facts = { extension: "bin", appender: false };
  const file = { body: block, sizeBytes: MIB };
  const entry = await operations.find(await operations.create(file, facts));
  const files = {
    read: (_: FileEntry, { from, lengthBytes }: ByteSpan) =>
      block.subarray(from, from + lengthBytes),
  };
  const short = { from: 7, lengthBytes: 1000 };
  const read = new Outgoing(files).begin(entry, [short], undefined);
  const part = await read(short);
  assert(part instanceof Uint8Array);
  assert.deepEqual(part, block.subarray(7, 1007));
  assert.equal(part.buffer.byteLength, 1000);
});

Deno.test("short parts go to clients of FastDFS without their block, too", async () => {
  const block = new Random(4).bytes(MIB);
  const { side, id } = await setUp(
    MIB,
    (from, end) => block.subarray(from, end),
  );
  const rooms = new ReplyRooms();
  const span = { from: 7, lengthBytes: 1000 };
  const { content } = await side.answer(download(id, span, rooms));
  assert(content?.bytes instanceof Uint8Array);
  assert.deepEqual(content.bytes, block.subarray(7, 1007));
  assert.equal(content.bytes.buffer.byteLength, 1000);
});
