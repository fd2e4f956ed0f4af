/**
 * Files that FastDFS packed into trunk files.
 *
 * A slot does not say the whole name of its file, so the names come from the
 * binlogs: created, linked and not deleted. Slots that nobody names are told.
 *
 * @module
 */

import { hexByte, parseFileId } from "@kedge/schema/file-id";
import type { FileId } from "@kedge/schema/file-id";
import {
  type BinlogLine,
  readTrunkSlot,
  slotFault,
  TRUNK_HEADER_BYTES,
  trunkFileName,
  trunkPlace,
} from "@kedge/schema/fastdfs";
import { ADDED, REMOVED } from "./binlogs.ts";
import type { Pace } from "./pace.ts";
import { SourceFault, SourceSpan } from "./source_span.ts";
import type { Oddity, SourceFolder, SourceTree } from "./source_tree.ts";

const LINK_BYTES_MAX = 127;
const LINK_TEXT =
  /^M([0-9A-F]{2})\/([0-9A-F]{2})\/([0-9A-F]{2})\/([A-Za-z0-9._-]{1,127})$/;

/** A packed file by its name. */
export interface PackedFile {
  readonly id: string;
  readonly parsed: FileId;
}

/** Names of the packed files of a storage, as its binlogs tell them. */
export class PackedNames {
  readonly #found = new Map<string, FileId>();

  /** Learn a line. @param id What it is about. */
  note({ operation }: BinlogLine, id: string): void {
    if (REMOVED.has(operation)) this.#found.delete(id);
    if (!ADDED.has(operation)) return;
    const parsed = parseFileId(id);
    if (parsed?.kind === "trunk") this.#found.set(id, parsed);
  }

  /** In the order in which they lie on the disk. */
  inOrder(): PackedFile[] {
    return [...this.#found].map(([id, parsed]) => ({ id, parsed }))
      .sort((a, b) => keyOf(a) < keyOf(b) ? -1 : 1);
  }
}

function keyOf({ parsed }: PackedFile): string {
  const place = trunkPlace(parsed);
  return `${trunkFileOf(parsed)} ${String(place?.offset).padStart(10, "0")}`;
}

/** Store path, folders and number of the trunk file of a packed file. */
export function trunkFileOf(parsed: FileId): string {
  const { pathIndex, high, low } = parsed;
  const dirs = [pathIndex, high, low].map(hexByte).join("/");
  return `${dirs}/${trunkFileName(trunkPlace(parsed)?.number ?? 0)}`;
}

/**
 * Open the bytes of a packed file.
 *
 * @returns The span, and the slot it lies in.
 * @throws {SourceFault} With the reason `gone` when its slot is free or another
 * file's: FastDFS does not find it either.
 */
export async function openPacked(
  tree: SourceTree,
  { parsed }: PackedFile,
  pace: Pace,
): Promise<SourceSpan> {
  const place = trunkPlace(parsed);
  if (place === undefined) throw new SourceFault("gone", "it names no slot");
  const path = tree.within({
    pathIndex: parsed.pathIndex,
    high: hexByte(parsed.high),
    low: hexByte(parsed.low),
    name: trunkFileName(place.number),
  });
  if (path === undefined) {
    const name = trunkFileOf(parsed);
    throw new SourceFault("no-trunk-file", `its trunk file ${name} is missing`);
  }
  const header = { from: place.offset, sizeBytes: TRUNK_HEADER_BYTES };
  using head = await SourceSpan.open(path, pace, header);
  const slot = readTrunkSlot(await head.whole());
  if (slot === undefined) throw new SourceFault("gone", "no slot begins there");
  const fault = slotFault(slot, parsed);
  if (fault !== undefined) throw new SourceFault("gone", fault);
  const from = place.offset + TRUNK_HEADER_BYTES;
  const content = { from, sizeBytes: slot.sizeBytes };
  if (slot.kind === "file") return await SourceSpan.open(path, pace, content);
  if (slot.sizeBytes > LINK_BYTES_MAX) {
    throw new SourceFault("gone", "its slot holds a link that is too long");
  }
  using link = await SourceSpan.open(path, pace, content);
  return await openLink(tree, await link.whole(), pace);
}

/** A packed link holds the name of the file that has the bytes. */
async function openLink(
  tree: SourceTree,
  bytes: Uint8Array,
  pace: Pace,
): Promise<SourceSpan> {
  const text = new TextDecoder().decode(bytes);
  const [, index = "", high = "", low = "", name = ""] = LINK_TEXT.exec(text) ??
    [];
  const pathIndex = parseInt(index, 16);
  const path = name === ""
    ? undefined
    : tree.within({ pathIndex, high, low, name });
  if (path !== undefined) return await SourceSpan.open(path, pace);
  throw new SourceFault("outside-the-tree", "it is a link to no file here");
}

/**
 * Slots with a file that no binlog names, and trunk files that cannot be looked
 * through. One by one: a trunk file may hold any number.
 *
 * @param named `trunkFileOf` and offset of every named file, as `FILE OFFSET`.
 * @throws When the run was stopped.
 */
export async function* unnamedSlots(
  folder: Pick<SourceFolder, "path" | "pathIndex" | "trunks">,
  named: ReadonlySet<string>,
  pace: Pace,
): AsyncGenerator<Oddity> {
  const [high, low] = folder.path.split("/").slice(-2);
  for (const name of folder.trunks) {
    const path = `${folder.path}/${name}`;
    const key = `${hexByte(folder.pathIndex)}/${high}/${low}/${name}`;
    try {
      for await (const offset of usedSlots(path, pace)) {
        if (named.has(`${key} ${offset}`)) continue;
        yield {
          reason: "packed-without-name",
          name: `${path} at ${offset}`,
          detail: "no binlog says which file this is",
        };
      }
    } catch (error) {
      pace.check();
      // FastDFS removes trunk files that hold nothing any more.
      if (error instanceof Deno.errors.NotFound) continue;
      const why = error instanceof Error ? error.message : String(error);
      const detail = `files in it that no binlog names are not told: ${why}`;
      yield { reason: "unreadable-trunk-file", name: path, detail };
    }
  }
}

/** Where the slots in use begin. */
async function* usedSlots(path: string, pace: Pace): AsyncGenerator<number> {
  using file = await Deno.open(path);
  const { size } = await file.stat();
  const header = new Uint8Array(TRUNK_HEADER_BYTES);
  for (let offset = 0; offset + TRUNK_HEADER_BYTES <= size;) {
    await pace.take(TRUNK_HEADER_BYTES);
    await file.seek(offset, Deno.SeekMode.Start);
    const count = await file.read(header) ?? 0;
    if (count < header.length) break;
    const slot = readTrunkSlot(header);
    // Space that was never given out has no headers.
    if (slot === undefined || slot.allocatedBytes < TRUNK_HEADER_BYTES) break;
    if (slot.kind !== "free") yield offset;
    offset += slot.allocatedBytes;
  }
}
