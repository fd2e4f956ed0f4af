/**
 * What every change of a file shares: who may make it, how it is committed, and
 * what the client hears.
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import type { Level, Uploaded } from "@kedge/schema";
import type { CapabilityClaims } from "@kedge/schema/capability";
import type { Change, FileEntry } from "@kedge/schema/change";
import type { Commitment, ContentSource, Staged } from "../../ports.ts";
import type { AgentHttpDeps } from "../deps.ts";
import { hasTag } from "../read/conditions.ts";
import { validatorsOf } from "../read/download.ts";
import type { Received } from "./received.ts";

/** A change together with the bytes that arrived for it. */
export interface ReceivedChange {
  readonly received: Received;
  readonly change: Change;
  readonly level: Level;
  readonly idempotencyKey?: string | undefined;
}

/** Refusals after which nothing refers to the staged bytes. */
const UNUSED: readonly string[] = ["not-in-sync", "insufficient-storage"];

/**
 * Commit a change whose bytes were received.
 *
 * The bytes are thrown away only when the refusal says that nothing was logged:
 * a record that is in doubt must find its bytes (the store sweeps the rest).
 */
export async function commitReceived(
  deps: AgentHttpDeps,
  { received, change, level, idempotencyKey }: ReceivedChange,
): Promise<Commitment> {
  received.isHandedOver = true;
  try {
    const content = contentOf(received.staged);
    return await deps.replicator.commit(change, content, level, idempotencyKey);
  } catch (error) {
    const isUnused = error instanceof Problem && UNUSED.includes(error.slug);
    if (isUnused) received.isHandedOver = false;
    throw error;
  }
}

/** The bytes of a change, from what was staged. */
function contentOf(staged: Staged): ContentSource {
  const { inline } = staged;
  if (inline === undefined) return { kind: "staged", staged };
  return { kind: "inline", bytes: inline };
}

/** The same file, one version later. */
export function nextVersion(entry: FileEntry, epoch: number): FileEntry {
  return {
    ...entry,
    epoch: Math.max(epoch, entry.epoch),
    version: entry.version + 1,
  };
}

/**
 * Changes of existing files are made at level B at least, so that an owner that
 * was cut off cannot acknowledge what the next owner does not have.
 */
export function atLeastB(level: Level): Level {
  return level === "A" ? "B" : level;
}

/** Most bytes of a body: what the capability and the group allow. */
export function sizeBytesMax(
  deps: AgentHttpDeps,
  claims: CapabilityClaims,
): number {
  const { fileBytesMax } = deps.replicator.settings();
  return Math.min(claims.s ?? Infinity, fileBytesMax);
}

/**
 * Refuse when this node takes no changes.
 *
 * @throws {Problem} `read-only`.
 */
export function checkMayWrite(deps: AgentHttpDeps): void {
  const may = deps.replicator.mayWrite();
  if (!may.ok) throw new Problem("read-only", may.why);
}

/**
 * Compare the content's hash with the one announced.
 *
 * @throws {Problem} `checksum-mismatch`.
 */
export function checkSha256(staged: Staged, sha256: string | undefined): void {
  if (sha256 === undefined || sha256 === staged.sha256) return;
  throw new Problem("checksum-mismatch", "The content has another SHA-256", {
    sha256: staged.sha256,
  });
}

/**
 * `If-Match` of a change: an entity tag, `*`, or the version as a number.
 *
 * @throws {Problem} `precondition-failed`, with the state that the file has.
 */
export function checkIfMatch(ifMatch: string | null, entry: FileEntry): void {
  if (ifMatch === null) return;
  const { etag } = validatorsOf(entry);
  const version = `"${entry.version}"`;
  if (ifMatch.trim() === String(entry.version)) return;
  if (hasTag(ifMatch, etag, "strong")) return;
  if (hasTag(ifMatch, version, "strong")) return;
  throw new Problem("precondition-failed", "The file has another version", {
    version: entry.version,
    etag,
  });
}

/** The answer to whoever made or changed a file. */
export function uploaded(
  deps: AgentHttpDeps,
  entry: FileEntry,
  { level, holders }: Commitment,
): Uploaded {
  return {
    id: entry.id,
    url: `${deps.url()}/${entry.id}`,
    size: entry.sizeBytes,
    sha256: entry.sha256,
    level,
    holders: [...holders],
  };
}
