/**
 * Requests of one connection, one after the other: header, handler, answer.
 *
 * @module
 */

import {
  COMMAND,
  HEADER_BYTES,
  readHeader,
  STATUS,
  writeHeader,
} from "@kedge/schema/wire/fastdfs";
import type { Clock, Log } from "../ports.ts";
import {
  type ReplyRoom,
  type ReplyRooms,
  ROOM_BYTES_MAX,
} from "./reply_rooms.ts";
import { CLIENT_GONE, type Observer } from "./served.ts";
import { statusOf } from "./status_of.ts";
import { type WireConnection, WireEnd } from "./wire_connection.ts";
import {
  type Handler,
  type PieceRoom,
  type Reply,
  WireRequest,
} from "./wire_request.ts";

/** An answer and the beginning of its content go out together, up to this. */
const JOINED_BYTES_MAX = 64 * 1024;
/** Shorter pieces are left to the collector, in bytes. */
const FREED_BYTES_MIN = 8 * 1024;
/** What still arrives after a refusal is read up to this, in bytes. */
const LEFTOVER_BYTES_MAX = 1024 * 1024;

/** What the requests of a connection are served with. */
export interface WireWork {
  /** Answers, or throws what {@linkcode statusOf} understands. */
  readonly handle: Handler;
  readonly observe?: Observer | undefined;
  /** Address of the client. */
  readonly client: string;
  readonly clock: Clock;
  /** Shared by all connections. */
  readonly room: PieceRoom;
  readonly replyRooms: ReplyRooms;
  readonly log: Log;
}

/** Serve a connection until it ends. Never throws. */
export async function serveWire(
  connection: WireConnection,
  work: WireWork,
): Promise<void> {
  const { log, replyRooms } = work;
  const replyRoom = replyRooms.open();
  try {
    while (await serveOne(connection, work, replyRoom));
  } catch (error) {
    if (error instanceof WireEnd) return;
    log.warn("a FastDFS connection failed", { why: String(error) });
  } finally {
    connection.close();
  }
}

/** One request. Returns whether there may be another one. */
async function serveOne(
  connection: WireConnection,
  work: WireWork,
  replyRoom: ReplyRoom,
): Promise<boolean> {
  if (!await connection.begin()) return false;
  const bytes = connection.glance(HEADER_BYTES);
  const header = readHeader(bytes instanceof Promise ? await bytes : bytes);
  // A negative length is no length: FastDFS closes without an answer too.
  if (header === undefined) return false;
  const request = new WireRequest(header, connection, work.room, replyRoom);
  const sinceMs = connection.movedMs;
  let reply: Reply | undefined;
  let isSent = false;
  let heldBytes = 0;
  try {
    const made = answer(request, work);
    reply = made instanceof Promise ? await made : made;
    if (reply.end === "silently") return false;
    heldBytes = heldBytesOf(reply);
    work.replyRooms.sendingBytes += heldBytes;
    await send(connection, reply, replyRoom);
    isSent = true;
  } finally {
    replyRoom.release();
    work.replyRooms.sendingBytes -= heldBytes;
    request.release();
    const tookMs = connection.movedMs - sinceMs;
    tell(request, { reply, isSent, tookMs }, work);
  }
  if (request.isReading) await request.settled();
  if (reply.end === undefined && request.leftBytes === 0) return true;
  // Closed with unread bytes, a connection is reset: the client would lose the
  // answer that it has not read yet.
  await connection.end(LEFTOVER_BYTES_MAX);
  return false;
}

/** Most content of an answer that is in memory at once, in bytes. */
function heldBytesOf({ content }: Reply): number {
  if (content === undefined) return 0;
  return Math.min(content.lengthBytes, content.heldBytes ?? ROOM_BYTES_MAX);
}

function tell(
  request: WireRequest,
  { reply, isSent, tookMs }: {
    readonly reply: Reply | undefined;
    readonly isSent: boolean;
    readonly tookMs: number;
  },
  { observe, client }: WireWork,
): void {
  if (observe === undefined || reply?.end === "silently") return;
  const { header: { command, bodyBytes }, file } = request;
  const readBytes = reply?.content?.lengthBytes ?? 0;
  const bodySentBytes = reply?.body?.length ?? readBytes;
  observe({
    client,
    command,
    status: isSent ? reply?.status ?? CLIENT_GONE : CLIENT_GONE,
    file,
    requestBytes: HEADER_BYTES + bodyBytes,
    responseBytes: isSent ? HEADER_BYTES + bodySentBytes : 0,
    contentBytes: request.contentBytes + readBytes,
    tookMs,
  });
}

function answer(
  request: WireRequest,
  { handle, log }: WireWork,
): Promise<Reply> | Reply {
  try {
    const reply = handle(request);
    if (!(reply instanceof Promise)) return reply;
    return reply.catch((error) => refusal(error, log));
  } catch (error) {
    return refusal(error, log);
  }
}

function refusal(error: unknown, log: Log): Reply {
  if (error instanceof WireEnd) throw error;
  return { status: statusOf(error, log) };
}

function send(
  connection: WireConnection,
  { status, body, content }: Reply,
  room: ReplyRoom,
): Promise<void> {
  const { response: command } = COMMAND;
  if (content === undefined) {
    const header = { bodyBytes: body?.length ?? 0, command, status };
    return connection.write(room.short(header, body));
  }
  const { lengthBytes: bodyBytes, bytes } = content;
  const header = { bodyBytes, command, status: STATUS.ok };
  if (bytes instanceof Uint8Array) {
    const whole = room.answer(bytes, header);
    if (whole !== undefined) return connection.write(whole);
  }
  const head = new Uint8Array(HEADER_BYTES);
  writeHeader(head, header);
  return bytes instanceof Uint8Array
    ? writeBoth(connection, head, bytes)
    : sendStream(connection, head, { bodyBytes, stream: bytes });
}

async function sendStream(
  connection: WireConnection,
  header: Uint8Array,
  { bodyBytes, stream }: {
    readonly bodyBytes: number;
    readonly stream: ReadableStream<Uint8Array>;
  },
): Promise<void> {
  let first: Uint8Array | undefined = header;
  let leftBytes = bodyBytes;
  for await (const piece of stream) {
    leftBytes -= piece.length;
    if (leftBytes < 0) break;
    if (first === undefined) await connection.write(piece);
    else await writeBoth(connection, first, piece);
    first = undefined;
  }
  if (first !== undefined && leftBytes === 0) await connection.write(first);
  // The length was promised: only a broken connection says that it is wrong.
  if (leftBytes !== 0) throw new WireEnd("the content has another length");
}

/**
 * Give the memory of a long piece back now: new memory for each file costs more
 * than the file's way to the client, and collections come too late to reuse it.
 */
function free({ buffer, byteLength }: Uint8Array): void {
  const isWhole = byteLength === buffer.byteLength;
  if (byteLength < FREED_BYTES_MIN) return;
  if (isWhole && buffer instanceof ArrayBuffer) buffer.transfer(0);
}

async function writeBoth(
  connection: WireConnection,
  header: Uint8Array,
  bytes: Uint8Array,
): Promise<void> {
  if (bytes.length > JOINED_BYTES_MAX) {
    await connection.write(header);
    await connection.write(bytes);
    free(bytes);
    return;
  }
  const both = new Uint8Array(header.length + bytes.length);
  both.set(header);
  both.set(bytes, header.length);
  free(bytes);
  await connection.write(both);
  free(both);
}
