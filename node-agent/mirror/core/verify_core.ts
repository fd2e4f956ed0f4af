/**
 * Online verify: both nodes compare digests, block range by block range; what
 * differs is marked out of sync on both, and repaired by the next resync.
 *
 * Source: DRBD 8.4, reference §4.7 (it does not repair by itself).
 *
 * @module
 */

import {
  MIRROR_PAYLOAD_BYTES_MAX,
  type VerifyRequestFrame,
} from "@kedge/schema/wire/mirror";
import { transferRefusal } from "./peer_agreement_core.ts";
import type { VolumeCore } from "./volume_core.ts";
import type { CommandDone } from "./volume_types.ts";

/** Requests that are on their way at a time. */
const WINDOW = 16;

interface Request {
  readonly id: number;
  readonly offset: number;
  readonly lengthBytes: number;
  /** A write crossed: the digests may differ for good reason; asked again. */
  isCrossed: boolean;
}

/** How far a verify is, for people. */
export interface VerifyProgress {
  readonly totalBytes: number;
  readonly doneBytes: number;
  readonly startedMs: number;
  /** Bytes that were found to differ. */
  readonly differingBytes: number;
}

/** See the module comment. */
export class Verify {
  /** Progress of the running verify; undefined without one. */
  progress: VerifyProgress | undefined;
  #asked: Request[] = [];
  #next = 0;
  #stop = 0;
  #lastId = 0;
  #differing = 0;

  constructor(readonly volume: VolumeCore) {}

  /** Compare the range; the whole volume by default. */
  start(
    range: {
      readonly fromByte?: number | undefined;
      readonly toByte?: number | undefined;
    },
    done: CommandDone,
  ): void {
    const { volume } = this;
    // To the state table it is no change, and so no wish to refuse.
    if (volume.state.connection === "VerifyS") return done({ code: -8 });
    const refused = volume.judge({ connection: "VerifyS" }).refused;
    if (refused !== undefined) return done({ code: refused });
    if (!this.#areBothGood) return done({ code: -2 });
    const { verifyAlgorithm } = volume.config;
    const wish = { connection: "VerifyS", verifyAlgorithm };
    volume.link.agreement.ask(wish, (code) => {
      if (code !== 1) return done(transferRefusal(code));
      if (volume.state.connection === "VerifyS") return done({ code: -8 });
      // A write failed meanwhile; the peer has heard of it.
      if (!this.#areBothGood) return done({ code: -2 });
      const accepted = volume.wish({ connection: "VerifyS" }) ?? 1;
      if (accepted === 1) this.#begin(range.fromByte ?? 0, range.toByte);
      done({ code: accepted });
    });
  }

  /** The link is down. */
  stop(): void {
    this.progress = undefined;
    this.#asked = [];
  }

  /** A write of the application crosses what is being compared. */
  overwrites(offset: number, lengthBytes: number): void {
    for (const request of this.#asked) {
      const isApart = request.offset >= offset + lengthBytes ||
        offset >= request.offset + request.lengthBytes;
      if (!isApart) request.isCrossed = true;
    }
  }

  /** The peer asks for a digest. */
  requested(frame: VerifyRequestFrame): void {
    this.volume.effects.send({
      kind: "verifyReply",
      id: frame.id,
      digest: this.#digest(frame.offset, frame.lengthBytes),
    });
  }

  /** The peer's digest. */
  replied(id: number, theirs: Uint8Array): void {
    const { volume } = this;
    const oldest = this.#asked[0]?.id ?? this.#lastId + 1;
    if (id < oldest) return; // of a verify that was aborted
    const request = this.#asked.shift();
    if (request?.id !== id) {
      return volume.link.protocolError("a verify answer nobody asked for");
    }
    const { offset, lengthBytes } = request;
    const ours = this.#digest(offset, lengthBytes);
    const isSame = ours.length > 0 && ours.length === theirs.length &&
      ours.every((byte, index) => byte === theirs[index]);
    const isBusy = volume.writes.busy.touches(offset, lengthBytes);
    if (!isSame && (request.isCrossed || isBusy)) this.#ask(request);
    else if (!isSame) this.#differs(request);
    this.#askMore();
    this.#endIfDone();
  }

  /** The state table would call both disks good: DRBD 8.4 does. */
  get #areBothGood(): boolean {
    const { disk, peerDisk } = this.volume.state;
    return disk === "UpToDate" && peerDisk === "UpToDate";
  }

  #begin(fromByte: number, toByte: number | undefined): void {
    const { volume } = this;
    this.stop();
    this.#next = fromByte;
    this.#stop = Math.min(toByte ?? volume.sizeBytes, volume.sizeBytes);
    this.#differing = 0;
    this.progress = {
      totalBytes: Math.max(0, this.#stop - fromByte),
      doneBytes: 0,
      startedMs: volume.nowMs,
      differingBytes: 0,
    };
    this.#askMore();
    this.#endIfDone();
  }

  #askMore(): void {
    while (this.#asked.length < WINDOW && this.#next < this.#stop) {
      const offset = this.#next;
      const lengthBytes = Math.min(
        MIRROR_PAYLOAD_BYTES_MAX,
        this.#stop - offset,
      );
      this.#next = offset + lengthBytes;
      this.#ask({ offset, lengthBytes });
    }
    this.#note();
  }

  #ask(range: { readonly offset: number; readonly lengthBytes: number }) {
    const id = ++this.#lastId;
    const { offset, lengthBytes } = range;
    this.#asked.push({ id, offset, lengthBytes, isCrossed: false });
    this.volume.effects.send({
      kind: "verifyRequest",
      id,
      offset,
      lengthBytes,
    });
  }

  #differs({ offset, lengthBytes }: Request): void {
    const { volume } = this;
    this.#differing += lengthBytes;
    volume.bitmap?.set(offset, lengthBytes);
    volume.effects.send({ kind: "dirty", offset, lengthBytes });
    const sectors = `start=${offset / 512}, size=${lengthBytes / 512}`;
    volume.effects.log("warn", `Out of sync: ${sectors} (sectors)`);
  }

  #digest(offset: number, lengthBytes: number): Uint8Array {
    const { effects, config } = this.volume;
    if (!this.volume.hasLocalDisk) return new Uint8Array(0);
    const bytes = new Uint8Array(lengthBytes);
    if (!effects.readData(offset, bytes)) return new Uint8Array(0);
    return effects.digest(config.verifyAlgorithm, bytes);
  }

  #note(): void {
    if (this.progress === undefined) return;
    const asked = this.#asked.reduce((sum, each) => sum + each.lengthBytes, 0);
    this.progress = {
      ...this.progress,
      doneBytes: this.progress.totalBytes - (this.#stop - this.#next) - asked,
      differingBytes: this.#differing,
    };
  }

  #endIfDone(): void {
    const { volume } = this;
    if (this.#asked.length > 0 || this.#next < this.#stop) return;
    if (volume.state.connection !== "VerifyS") return;
    this.stop();
    volume.saveBitmap();
    const found = `${this.#differing / 1024} KiB differ`;
    volume.effects.log("info", `Online verify done: ${found}`);
    if (this.#differing > 0 && volume.config.handlers.has("out-of-sync")) {
      volume.effects.runHelper("out-of-sync", 0);
    }
    volume.change({ connection: "Connected" });
  }
}
