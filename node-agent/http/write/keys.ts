/**
 * `Idempotency-Key`: what was done under a key before, and how to confirm it.
 *
 * A key stands for one upload or one change of a file's content. It is stored in
 * the same transaction as the record and travels with it, so whoever holds the
 * change answers a retry without making it again.
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import type { Level } from "@kedge/schema";
import type { Change, FileEntry } from "@kedge/schema/change";
import type { Commitment } from "../../ports.ts";
import type { AgentHttpDeps } from "../deps.ts";
import { nextVersion } from "./changes.ts";

/**
 * Whether a content change was made under this key already.
 *
 * The record of such a change leaves no hash of the file, so its key has none:
 * that tells it from the key of an upload.
 *
 * @param id The file that is to be changed now.
 * @throws {Problem} `idempotency-conflict` when the key was used for an upload,
 * or for another file.
 */
export function isRepeated(
  deps: AgentHttpDeps,
  key: string | undefined,
  id: string,
): boolean {
  const before = key === undefined ? undefined : deps.files.remembered(key);
  if (before === undefined) return false;
  if (before.id === id && before.sha256 === "") return true;
  throw conflict("for something else", before.id);
}

/**
 * What can be said about a file that was committed before. Our log is in order,
 * so a change that changes nothing, made after it, reaches a level only when the
 * file has reached it too.
 */
export async function confirm(
  { node, replicator }: AgentHttpDeps,
  entry: FileEntry,
  level: Level,
): Promise<{ readonly entry: FileEntry; readonly done: Commitment }> {
  const isOurs = replicator.ownerOf(entry.origin) === node;
  if (level === "A" || !isOurs) {
    return { entry, done: { level: "A", holders: [node] } };
  }
  const next = nextVersion(entry, replicator.register().epoch);
  const change: Change = { entry: next, body: { kind: "none" } };
  const done = await replicator.commit(change, { kind: "none" }, level);
  return { entry: next, done };
}

/** A key that stands for something else. */
export function conflict(how: string, id: string): Problem {
  return new Problem(
    "idempotency-conflict",
    `This Idempotency-Key was used before ${how}`,
    { id },
  );
}
