/**
 * How both nodes come to one set of blocks that a resync copies.
 *
 * The target sends its bitmap; the source merges it with its own, saves the
 * result and sends that back with the interim generation. The target is durably
 * Inconsistent before it says `SyncTarget`. The handlers before a resync may
 * refuse it, each on its node: then the connection is dropped.
 *
 * Source: DRBD 8.4, reference §2.2, §2.9, §4.3; promises.md B10.
 *
 * @module
 */

import { MIRROR_PAYLOAD_BYTES_MAX } from "@kedge/schema/wire/mirror";
import type { ConnectionState } from "../decisions/mirror_state.ts";
import type { VolumeCore } from "./volume_core.ts";

/** What `before-resync-source` says where the userland is an old one. */
const OLD_USERLAND = 3;

/** Where pieces of the peer's bitmap are expected. */
const RECEIVING: ReadonlySet<ConnectionState> = new Set([
  "WFBitMapS",
  "WFBitMapT",
  "Behind",
]);
/** Where our word makes the peer a target. */
const BEGINNING: ReadonlySet<ConnectionState> = new Set([
  "WFBitMapS",
  "Ahead",
]);
/** Where the source's word makes us a target. */
const AWAITING: ReadonlySet<ConnectionState> = new Set([
  "WFSyncUUID",
  "Behind",
]);

/** See the module comment. */
export class BitmapExchange {
  /**
   * As source: the target has the merged bitmap of this handshake. Before that
   * its word `SyncTarget` is one of an earlier handshake.
   */
  isAnswered = false;
  /** The handler of the source is asked; writes only mark blocks meanwhile. */
  isHeld = false;
  #generation: bigint | undefined;
  /** Counts handshakes and handlers: the answer of an earlier one is void. */
  #run = 0;

  constructor(readonly volume: VolumeCore) {}

  /** A handshake was decided: what belongs to an earlier one is void. */
  begin(): void {
    this.#run++;
    this.isAnswered = this.isHeld = false;
    this.#generation = undefined;
  }

  /** The connection is gone. */
  stop(): void {
    this.begin();
  }

  /** Send our bitmap; pieces without a bit are left out. */
  send(): void {
    const { bitmap, effects } = this.volume;
    if (bitmap === undefined) return;
    const end = bitmap.usedBytes;
    for (let at = 0; at < end; at += MIRROR_PAYLOAD_BYTES_MAX) {
      const behind = Math.min(end, at + MIRROR_PAYLOAD_BYTES_MAX);
      const payload = bitmap.bytes.subarray(at, behind);
      const last = behind === end;
      if (!last && payload.every((byte) => byte === 0)) continue;
      effects.send({ kind: "bitmap", atByte: at, payload, last });
    }
  }

  /** A piece of the peer's bitmap. */
  piece(atByte: number, payload: Uint8Array, last: boolean): void {
    const { volume } = this;
    const { bitmap } = volume;
    const { connection } = volume.state;
    if (!RECEIVING.has(connection)) return;
    // Both nodes are about to decide anew.
    if (bitmap === undefined || volume.link.negotiation.reports.isOpen) return;
    if (atByte + payload.length > bitmap.bytes.length) {
      return volume.link.protocolError("a bitmap larger than the volume");
    }
    bitmap.merge(atByte, payload);
    if (!last) return;
    if (connection === "WFBitMapS") this.beginAsSource();
    else if (connection === "WFBitMapT") {
      volume.change({ connection: "WFSyncUUID" });
    }
  }

  /** Everything that the target must know before it may begin. */
  beginAsSource(): void {
    const { volume } = this;
    if (!volume.saveBitmap()) return;
    this.send();
    if (!volume.config.handlers.has("before-resync-source")) {
      return this.#tellTarget();
    }
    this.isHeld = true;
    const run = ++this.#run;
    volume.handlers.run(
      "before-resync-source",
      (exitCode) => this.#sourceMay(run, exitCode),
    );
  }

  #tellTarget(): void {
    const { volume } = this;
    const generation = volume.generations.beginSyncSource();
    if (generation === undefined) return;
    this.isAnswered = true;
    // First our names: the target takes them when it is done.
    volume.link.tellState();
    volume.effects.send({ kind: "syncGeneration", generation });
  }

  /** The source's interim name. */
  syncGeneration(generation: bigint): void {
    const { volume } = this;
    if (!AWAITING.has(volume.state.connection)) return;
    if (volume.link.negotiation.reports.isOpen) return;
    this.#generation = generation;
    if (!volume.config.handlers.has("before-resync-target")) {
      return this.#becomeTarget();
    }
    const run = ++this.#run;
    volume.handlers.run(
      "before-resync-target",
      (exitCode) => this.#targetMay(run, exitCode),
    );
  }

  /** `before-resync-source` has ended. */
  #sourceMay(run: number, exitCode: number): void {
    if (run !== this.#run) return;
    this.isHeld = false;
    if (!BEGINNING.has(this.volume.state.connection)) return;
    const isAllowed = exitCode === 0 || exitCode === OLD_USERLAND;
    if (isAllowed) this.#tellTarget();
    else this.#refuse("before-resync-source", exitCode);
  }

  /** `before-resync-target` has ended. */
  #targetMay(run: number, exitCode: number): void {
    if (run !== this.#run) return;
    if (exitCode === 0) this.#becomeTarget();
    else this.#refuse("before-resync-target", exitCode);
  }

  #refuse(handler: string, exitCode: number): void {
    const why = `${handler} failed (${exitCode})`;
    this.volume.effects.log("error", `${why}: connection dropped`);
    this.volume.roles.dropConnection(why);
  }

  #becomeTarget(): void {
    const { volume } = this;
    const generation = this.#generation;
    this.#generation = undefined;
    if (generation === undefined) return;
    // The source may have lost its disk while a handler ran.
    if (!AWAITING.has(volume.state.connection)) return;
    if (!volume.saveBitmap()) return;
    if (!volume.generations.beginSyncTarget(generation)) return;
    const { isDiscarding } = volume.link.negotiation;
    if (isDiscarding) volume.effects.keepUndo(true);
    volume.target.begin();
  }
}
