/**
 * Files over a bulk connection: asking for them, and taking their bytes into the
 * store. What came is compared with its entry before it is used for anything.
 *
 * @module
 */

import type { GroupName } from "@kedge/schema";
import type { FileEntry } from "@kedge/schema/change";
import { wrongEntryId } from "@kedge/schema/wire/records";
import { ContentHead, End } from "@kedge/schema/wire/sync";
import type { ContentSource, LocalFiles, Staged, UsedKey } from "../ports.ts";
import type { BulkCall } from "./bulk_pool.ts";

/** What a peer has of one file. */
export interface PeerFile {
  readonly id: string;
  /** `undefined`: it never had it. */
  readonly entry: FileEntry | undefined;
  /** The bytes, checked; `undefined` when there are none or they are bad. */
  readonly staged: Staged | undefined;
  /** Whether the peer's own copy is missing or wrong. */
  readonly damaged: boolean;
  /** Whether its "never had it" counts. */
  readonly whole: boolean;
  /** Whether it may serve reads now: it would know of a delete. */
  readonly serves: boolean;
  /** The `Idempotency-Key` that made it. */
  readonly usedKey: UsedKey | undefined;
}

/** How to ask. */
export interface Asking {
  readonly files: LocalFiles;
  readonly group: GroupName;
  /** Whether the bytes are wanted too. */
  readonly content: boolean;
}

/**
 * Ask a peer for files, in order.
 *
 * @param ids At most `FILES_PER_REQUEST_MAX`.
 * @yields One answer per ID, as it comes. The caller owns what is staged.
 * @throws {Error} When the connection fails or the peer breaks the protocol.
 */
export async function* askFor(
  call: BulkCall,
  ids: readonly string[],
  asking: Asking,
): AsyncGenerator<PeerFile, void, void> {
  const { files, group, content } = asking;
  call.say("content-request", { ids, content });
  for (const id of ids) {
    const head = call.parse(ContentHead, await call.hear("content-head"));
    const entry = head.entry ?? undefined;
    const wrong = head.id !== id || (entry !== undefined && entry.id !== id)
      ? "answered about another file"
      : entry === undefined
      ? undefined
      : wrongEntryId(id, group);
    if (wrong !== undefined || (head.follows && entry === undefined)) {
      const why = wrong ?? "sends bytes of a file that it does not have";
      call.link.close(why);
      throw new Error(`the peer ${why}`);
    }
    const staged = head.follows && entry !== undefined
      ? await takeBytes(call, entry, files)
      : undefined;
    yield {
      id,
      entry,
      staged,
      damaged: head.damaged || (head.follows && staged === undefined),
      whole: head.whole,
      serves: head.serves,
      usedKey: head.usedKey,
    };
  }
}

/** Whether staged bytes are the content of an entry. */
export function isContentOf(staged: Staged, entry: FileEntry): boolean {
  return staged.sizeBytes === entry.sizeBytes &&
    staged.crc32 === entry.crc32 &&
    (entry.sha256 === null || staged.sha256 === entry.sha256);
}

/** Staged bytes as the content of a change. */
export function contentOf(staged: Staged | undefined): ContentSource {
  if (staged === undefined) return { kind: "none" };
  return staged.inline === undefined
    ? { kind: "staged", staged }
    : { kind: "inline", bytes: staged.inline };
}

async function takeBytes(
  call: BulkCall,
  entry: FileEntry,
  files: LocalFiles,
): Promise<Staged | undefined> {
  const source = new ChunkSource(call);
  let staged: Staged;
  try {
    staged = await files.stage({
      body: source.stream(),
      sizeBytesMax: entry.sizeBytes,
      sizeBytes: entry.sizeBytes,
    });
  } catch (error) {
    // The peer's bad copy leaves the connection in order; our full disk does not.
    if (source.isRefused) return undefined;
    throw error;
  }
  if (isContentOf(staged, entry)) return staged;
  await files.discard(staged);
  return undefined;
}

/** The chunks up to an `end` frame, as a stream that the store pulls. */
export class ChunkSource {
  readonly #call: BulkCall;
  /** The sender found its own bytes wrong; the connection is in order. */
  isRefused = false;

  /** Nothing is read before the stream is pulled. */
  constructor(call: BulkCall) {
    this.#call = call;
  }

  /** The bytes; fails when the sender says that they are not good. */
  stream(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        const frame = await this.#call.hear("chunk", "end");
        if (frame.kind === "chunk") return controller.enqueue(frame.body);
        if (this.#call.parse(End, frame).ok) return controller.close();
        this.isRefused = true;
        throw new Error("the sender's bytes are not good");
      },
      cancel: () => this.#call.link.close("the bytes are not wanted"),
    }, { highWaterMark: 0 });
  }
}
