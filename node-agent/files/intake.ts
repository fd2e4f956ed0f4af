/**
 * What is asked of everything that a peer sends, before it is stored. Peers may
 * be broken or hostile.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { Problem } from "@kedge/schema";
import type { Change } from "@kedge/schema/change";
import type { ContentSource } from "../ports.ts";
import { mustParse } from "./layout.ts";
import type { StoreParts } from "./local_files.ts";

/** The bytes themselves, if they are at hand. */
export function inlineOf(source: ContentSource): Uint8Array | undefined {
  if (source.kind === "inline") return source.bytes;
  return source.kind === "staged" ? source.staged.inline : undefined;
}

/**
 * Deletes are always taken; bytes only where there is room for them.
 *
 * @throws {Problem} `insufficient-storage`, or `read-only`.
 */
export function checkRoom(
  { paths, isDatabaseFull }: StoreParts,
  given: readonly { readonly content: ContentSource }[],
): void {
  let sizeBytes = 0;
  for (const { content } of given) sizeBytes += inlineOf(content)?.length ?? 0;
  if (sizeBytes === 0) return;
  if (isDatabaseFull()) {
    throw new Problem("insufficient-storage", "The database's disk is full");
  }
  paths.promise(paths.take(sizeBytes, undefined), -sizeBytes);
}

/**
 * Compare an entry with its ID, and whole content with its entry.
 *
 * @throws {Problem} `checksum-mismatch`, `invalid-request`, `invalid-file-id`.
 */
export function checkEntry(
  group: string,
  { entry, body }: Change,
  source: ContentSource,
): void {
  const id = mustParse(entry.id);
  if (id.group !== group) throw hostile("is of another group");
  if (typeof id.origin === "number" && id.origin !== entry.origin) {
    throw hostile("names another origin than its ID");
  }
  if (entry.state === "tombstone") return;
  if (id.kind === "normal" && id.sizeBytes !== entry.sizeBytes) {
    throw hostile("names another length than its ID");
  }
  if (body.kind !== "whole" || source.kind === "none") return;
  const given = source.kind === "staged" ? source.staged : {
    sizeBytes: source.bytes.length,
    crc32: crc32(source.bytes),
    sha256: entry.sha256 === null ? "" : sha256(source.bytes),
  };
  const isRight = given.sizeBytes === entry.sizeBytes &&
    given.crc32 === entry.crc32 &&
    (entry.sha256 === null || given.sha256 === entry.sha256);
  if (isRight) return;
  throw new Problem(
    "checksum-mismatch",
    `A peer sent other bytes for ${entry.id} than it announced`,
  );
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function hostile(what: string): Problem {
  return new Problem("invalid-request", `An entry of a peer ${what}`);
}
