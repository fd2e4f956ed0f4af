/**
 * The agent's ports in memory: files that behave like those on disk, and a group
 * whose members, register and failures a test chooses.
 *
 * @module
 */

import type { NodeId, SigningKey } from "@kedge/schema";
import { signCapability } from "@kedge/schema/capability";
import type { CapabilityClaims } from "@kedge/schema/capability";
import {
  encodeFileId,
  encodeFileName,
  parseFileId,
} from "@kedge/schema/file-id";
import { FakeClock, FakeFiles, GROUP } from "./fake_files.ts";
import { type FakeGroupOptions, FakeReplicator } from "./fake_replicator.ts";

/** One node with its ports, and capabilities for it. */
export class FakeNode {
  /** Time. */
  readonly clock: FakeClock = new FakeClock();
  /** Its files. */
  readonly files: FakeFiles;
  /** Its group. */
  readonly replicator: FakeReplicator;
  /** Which node. */
  readonly node: NodeId;
  /** The key that signs. */
  readonly key: SigningKey = { id: "k1", secret: "A".repeat(43), createdMs: 0 };

  /** Make a node. */
  constructor(options: FakeGroupOptions = {}) {
    this.node = options.node ?? 1;
    this.files = new FakeFiles(this.node, this.clock);
    this.replicator = new FakeReplicator(this.files, [this.key], options);
  }

  /** A capability of this group that is good for five minutes. */
  capability(claims: Partial<Omit<CapabilityClaims, "k">>): string {
    const e = this.clock.wallMs() + 300_000;
    return signCapability({ a: "upload", g: GROUP, e, ...claims }, this.key);
  }
}

/** An ID of the fake group that nobody has: well formed, never made. */
export function unknownId(seed = 1): string {
  const name = encodeFileName({
    origin: 2,
    createdS: 1_795_000_000,
    sizeBytes: 4,
    crc32: seed,
    appender: false,
    random: seed,
    digits: seed,
    extension: "txt",
  });
  const id = encodeFileId(
    { group: GROUP, pathIndex: 0, high: 1, low: 2 },
    name,
  );
  if (parseFileId(id) === undefined) throw new Error("not an ID");
  return id;
}
