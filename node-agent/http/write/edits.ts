/**
 * What a change of an existing file's content comes to: who may make it, what
 * the entry says afterwards. Shared by the HTTP door and by other doors.
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import type { FileEntry } from "@kedge/schema/change";
import type { ContentEdit } from "../../ports.ts";
import type { AgentHttpDeps } from "../deps.ts";
import { validatorsOf } from "../read/download.ts";
import type { Finder } from "../read/finder.ts";
import { nextVersion } from "./changes.ts";
import { tooLarge } from "./receive.ts";

/** The next state of a file, with what changes in it. */
export function nextEntry(
  deps: AgentHttpDeps,
  entry: FileEntry,
  change: Partial<FileEntry>,
): FileEntry {
  const { epoch } = deps.replicator.register();
  return { ...nextVersion(entry, epoch), ...change };
}

/** The entry after a change of content: no hash any more, but a CRC. */
export async function editedEntry(
  deps: AgentHttpDeps,
  finder: Finder,
  { entry, edit }: { readonly entry: FileEntry; readonly edit: ContentEdit },
): Promise<FileEntry> {
  const { sizeBytes, crc32 } = await foresee(deps, finder, { entry, edit });
  return nextEntry(deps, entry, { sizeBytes, crc32, sha256: null });
}

async function foresee(
  { files }: AgentHttpDeps,
  finder: Finder,
  { entry, edit }: { readonly entry: FileEntry; readonly edit: ContentEdit },
): Promise<{ readonly sizeBytes: number; readonly crc32: number }> {
  try {
    return await files.foresee(entry, edit);
  } catch (error) {
    if (!(error instanceof Problem) || error.slug !== "damaged") throw error;
  }
  const repaired = await finder.repair(entry.id);
  if (validatorsOf(repaired).etag !== validatorsOf(entry).etag) {
    throw new Problem("unavailable", "The file changed while it was repaired");
  }
  return await files.foresee(repaired, edit);
}

/** The version that a change applies to. */
export function baseOf({ epoch, version }: FileEntry) {
  return { baseEpoch: epoch, baseVersion: version };
}

/** @throws {Problem} `not-an-appender`. */
export function mustBeAppender({ id, appender }: FileEntry): void {
  if (appender) return;
  throw new Problem("not-an-appender", "This file is immutable", { id });
}

/** @throws {Problem} `range-not-satisfiable` behind the end of the file. */
export function checkOffset(
  offset: number | undefined,
  entry: FileEntry,
): void {
  if (offset === undefined || offset <= entry.sizeBytes) return;
  const { sizeBytes } = entry;
  throw new Problem(
    "range-not-satisfiable",
    `offset lies behind the end of the file, which has ${sizeBytes} bytes`,
    { sizeBytes },
  );
}

/** @throws {Problem} `too-large` for the group. */
export function checkSize(deps: AgentHttpDeps, sizeBytes: number): void {
  const { fileBytesMax } = deps.replicator.settings();
  if (sizeBytes > fileBytesMax) throw tooLarge(fileBytesMax);
}

/**
 * A file as it is under its lock, if this node still owns it.
 *
 * @throws {Problem} `file-not-found`, `wrong-node`.
 */
export function ownedEntry(deps: AgentHttpDeps, id: string): FileEntry {
  const entry = presentEntry(deps, id);
  const owner = deps.replicator.ownerOf(entry.origin);
  if (owner === deps.node) return entry;
  throw new Problem("wrong-node", "The owner of the file has changed", {
    node: owner,
  });
}

/** @throws {Problem} `file-not-found`. */
export function presentEntry(deps: AgentHttpDeps, id: string): FileEntry {
  const entry = deps.files.lookup(id);
  if (entry?.state === "present") return entry;
  throw new Problem("file-not-found", "The file was deleted", { id });
}
