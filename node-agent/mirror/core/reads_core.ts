/**
 * Reads: from our disk where it is good, else from the peer.
 *
 * A read of a block with a write under way waits for it (promises.md R11). A
 * resync target that is Primary reads what is still out of sync from the peer.
 * A local error is never shown while the peer has the data (B12).
 *
 * @module
 */

import { MIRROR_PAYLOAD_BYTES_MAX } from "@kedge/schema/wire/mirror";
import { isConnected, isSuspended } from "../decisions/mirror_state.ts";
import type { Owed } from "./answer_watch_core.ts";
import type { VolumeCore } from "./volume_core.ts";

/** Called once: whether `into` is filled. */
export type ReadDone = (ok: boolean) => void;

interface Read {
  readonly offset: number;
  readonly into: Uint8Array;
  readonly done: ReadDone;
}

/** See the module comment. */
export class Reads {
  #waiting: Read[] = [];
  readonly #remote = new Map<number, Read>();
  #lastId = 0;

  constructor(readonly volume: VolumeCore) {}

  /** Reads that the peer has not answered. */
  get pending(): number {
    return this.#remote.size + this.#waiting.length;
  }

  /** What the peer is to read. */
  get owed(): Owed {
    const [oldest = 0] = this.#remote.keys();
    return { what: "a read", isOpen: oldest > 0, answered: oldest };
  }

  /** Fill `into`; it is not touched after `done`. */
  read(offset: number, into: Uint8Array, done: ReadDone): void {
    this.#serve({ offset, into, done });
  }

  /** Something that reads wait for may be over. */
  retry(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const read of waiting) this.#serve(read);
  }

  /** The peer's answer to a read request. */
  reply(id: number, payload: Uint8Array): void {
    const read = this.#remote.get(id);
    if (read === undefined) return;
    this.#remote.delete(id);
    if (payload.length !== read.into.length) return this.#notServed(read);
    read.into.set(payload);
    read.done(true);
  }

  /** The link is down: what the peer was asked is asked again, or fails. */
  peerLost(): void {
    const asked = [...this.#remote.values()];
    this.#remote.clear();
    this.#waiting.push(...asked);
  }

  /** The peer asks us. */
  requested(id: number, offset: number, lengthBytes: number): void {
    const payload = new Uint8Array(lengthBytes);
    const { volume } = this;
    const ok = volume.state.disk === "UpToDate" &&
      offset + lengthBytes <= volume.sizeBytes &&
      this.#fromDisk(offset, payload);
    volume.effects.send({
      kind: "readReply",
      id,
      payload: ok ? payload : new Uint8Array(0),
    });
  }

  #serve(read: Read): void {
    const { volume } = this;
    const { offset, into } = read;
    // Nothing to wait for: who lost the role answers nothing from here any more.
    if (volume.state.role !== "Primary") return read.done(false);
    const mustWait = isSuspended(volume.state) || !volume.fence.mayRead() ||
      volume.writes.busy.touches(offset, into.length);
    if (mustWait) {
      this.#waiting.push(read);
    } else if (this.#isGoodHere(offset, into.length)) {
      if (this.#fromDisk(offset, into)) return read.done(true);
      this.#fromPeer(read);
    } else {
      this.#fromPeer(read);
    }
  }

  #isGoodHere(offset: number, lengthBytes: number): boolean {
    const { state, bitmap } = this.volume;
    if (state.disk === "UpToDate") return true;
    const isSyncing = state.connection === "SyncTarget" ||
      state.connection === "PausedSyncT";
    return isSyncing && bitmap !== undefined &&
      !bitmap.touches(offset, lengthBytes);
  }

  #fromDisk(offset: number, into: Uint8Array): boolean {
    if (this.volume.effects.readData(offset, into)) return true;
    this.volume.disk.readFailed(offset, into.length);
    return false;
  }

  /** Nobody has it. Somebody may still come back; the state says so. */
  #notServed(read: Read): void {
    if (isSuspended(this.volume.state)) this.#waiting.push(read);
    else read.done(false);
  }

  #fromPeer(read: Read): void {
    const { volume } = this;
    const { state } = volume;
    const canAsk = isConnected(state.connection) &&
      state.peerDisk === "UpToDate";
    if (!canAsk) return this.#notServed(read);
    for (const part of split(read)) {
      const id = ++this.#lastId;
      this.#remote.set(id, part);
      const { offset, into } = part;
      const lengthBytes = into.length;
      volume.effects.send({ kind: "readRequest", id, offset, lengthBytes });
    }
  }
}

/** A read as pieces that fit into a frame each; done when all of them are. */
function split(read: Read): Read[] {
  const { offset, into } = read;
  if (into.length <= MIRROR_PAYLOAD_BYTES_MAX) return [read];
  const parts: Read[] = [];
  let left = Math.ceil(into.length / MIRROR_PAYLOAD_BYTES_MAX);
  let allOk = true;
  const done = (ok: boolean) => {
    allOk &&= ok;
    if (--left === 0) read.done(allOk);
  };
  for (let at = 0; at < into.length; at += MIRROR_PAYLOAD_BYTES_MAX) {
    const end = Math.min(into.length, at + MIRROR_PAYLOAD_BYTES_MAX);
    parts.push({ offset: offset + at, into: into.subarray(at, end), done });
  }
  return parts;
}
