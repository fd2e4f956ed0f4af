/**
 * The first state of a new file.
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import type { FileEntry } from "@kedge/schema/change";
import { parseFileId } from "@kedge/schema/file-id";
import type { Staged } from "../../ports.ts";
import type { AgentHttpDeps } from "../deps.ts";

/** What a new file's state is made of. */
export interface NewEntry {
  readonly id: string;
  readonly staged: Staged;
  /** What its maker said. */
  readonly facts: Pick<FileEntry, "type" | "name" | "meta" | "appender">;
  /** Master of a derived file, which has its master's owner. */
  readonly master?: FileEntry | undefined;
}

/** The first state of a new file. */
export function newEntry(
  deps: AgentHttpDeps,
  { id, staged, facts, master }: NewEntry,
): FileEntry {
  return {
    id,
    state: "present",
    epoch: deps.replicator.register().epoch,
    version: 1,
    origin: master?.origin ?? deps.node,
    sizeBytes: staged.sizeBytes,
    crc32: staged.crc32,
    sha256: staged.sha256,
    type: facts.type,
    name: facts.name,
    meta: facts.meta,
    createdS: createdS(deps, master === undefined ? id : ""),
    appender: facts.appender,
    master: master?.id ?? null,
  };
}

/** As the ID says it, so that an index rebuilt from IDs says the same. */
function createdS(deps: AgentHttpDeps, id: string): number {
  return parseFileId(id)?.createdS ?? Math.floor(deps.clock.wallMs() / 1000);
}

/**
 * An ID of a derived file must never have been used.
 *
 * @throws {Problem} `already-exists`.
 */
export function checkFree({ files }: AgentHttpDeps, id: string): void {
  const entry = files.lookup(id);
  if (entry === undefined) return;
  const how = entry.state === "present" ? "exists" : "existed and was deleted";
  throw new Problem("already-exists", `This derived file ${how}`, { id });
}

/**
 * The body may have taken long: ask again who the owner is.
 *
 * @throws {Problem} `wrong-node`.
 */
export function checkOwner(deps: AgentHttpDeps, master: FileEntry): void {
  const owner = deps.replicator.ownerOf(master.origin);
  if (owner === deps.node) return;
  throw new Problem("wrong-node", "The owner of the master has changed", {
    node: owner,
  });
}
