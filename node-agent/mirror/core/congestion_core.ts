/**
 * What a Primary does when the way to its peer is full (`on-congestion`,
 * protocol A).
 *
 * ```text
 * Connected / SyncSource ── too much queued, or too many extents in use ─▶ Ahead
 *   Ahead: writes are no longer sent, their blocks are marked on both nodes
 *   everything sent is stable there, and was so for a while ─▶ our bitmap,
 *     interim generation ─▶ the peer is durably Inconsistent: SyncTarget
 *   ─▶ SyncSource: from that frame on writes are replicated again
 * ```
 *
 * The peer is Behind meanwhile: what it has is whole, but old (Outdated). The
 * wait grows each time that the resync itself is congested, so that a load that
 * the network never carries does not make the two nodes flap.
 *
 * Source: DRBD 8.4 (maybe_pull_ahead), reference §2.2 and §9.
 *
 * @module
 */

import {
  type ConnectionState,
  isConnected,
  type MirrorState,
} from "../decisions/mirror_state.ts";
import { RESYNC_QUEUE_BYTES_MAX } from "./resync_source_core.ts";
import type { VolumeCore } from "./volume_core.ts";
import type { VolumeConfig } from "./volume_types.ts";

/** Bytes that are kept in memory for a slow peer at most. */
const FILL_BYTES_MAX = 256 * 1024 * 1024;
/** How long nothing must be on the way before a resync begins, in ms. */
const QUIET_MS = 1_000;
/** The longest such wait after resyncs that were congested, in ms. */
const QUIET_MS_MAX = 32_000;
/** Words about blocks wait while more than this is queued, in bytes. */
const WORDS_BYTES_MAX = 1024 * 1024;

/** How long the peer alone must hold all those extents, in ms. */
const EXTENTS_MS = 1_000;

/** What a peer says that has heard of its target. */
const HEARD: ReadonlySet<ConnectionState> = new Set([
  "Connected",
  "SyncSource",
  "PausedSyncS",
]);

/** What congestion is judged by. */
export interface Load {
  /** Bytes that the network has not taken. */
  readonly queuedBytes: number;
  /** Of these, what may be a resync's. */
  readonly resyncBytes: number;
  /** For how long the peer has held too many extents, in ms. */
  readonly heldMs: number;
}

/** Bytes in the queue from which on it is congested; Infinity: never. */
export function congestionFillOf(
  { onCongestion, congestionFillBytes }: VolumeConfig,
): number {
  if (onCongestion === "block" || congestionFillBytes === 0) return Infinity;
  return Math.min(congestionFillBytes, FILL_BYTES_MAX);
}

/** Which limit a load has reached, in DRBD's words; undefined: none. */
export function congestedBy(
  config: VolumeConfig,
  load: Load,
): string | undefined {
  if (load.queuedBytes - load.resyncBytes >= congestionFillOf(config)) {
    return "Congestion-fill threshold reached";
  }
  return load.heldMs >= EXTENTS_MS
    ? "Congestion-extents threshold reached"
    : undefined;
}

/** See the module comment. */
export class Congestion {
  /** The peer has said that it is Behind, on this occasion. */
  #peerIsBehind = false;
  /** The peer was told to become a target. */
  #isStarting = false;
  /** We were Behind, and the peer has not said that it is our source. */
  #isUnheard = false;
  /** Our resync has ended, and the peer has not said that it knows. */
  #isUnended = false;
  #quietSinceMs = 0;
  #heldSinceMs = Infinity;
  #quietMs = QUIET_MS;

  constructor(readonly volume: VolumeCore) {}

  /** The end of a batch: leave, or run ahead of, a peer that is too slow. */
  settle(): void {
    const { config, effects, state } = this.volume;
    if (config.onCongestion === "block" || !this.#mayLeave()) {
      this.#heldSinceMs = Infinity;
      return;
    }
    const isSource = state.connection === "SyncSource";
    const why = congestedBy(config, {
      queuedBytes: effects.queuedBytes(),
      resyncBytes: isSource ? RESYNC_QUEUE_BYTES_MAX : 0,
      heldMs: this.#heldMs(),
    });
    if (why === undefined) return;
    effects.log("info", why);
    if (config.onCongestion === "pull-ahead") return this.#pullAhead();
    effects.log("warn", "Congested: disconnecting from the peer");
    this.volume.roles.dropConnection("congested");
  }

  /** Whether the peer is told of a block that is marked, `isNews`: just now. */
  tells(isNews: boolean): boolean {
    const { state, effects } = this.volume;
    // Until the resync begins: then it gets the whole bitmap.
    if (state.connection !== "Ahead" || this.#isStarting) return true;
    return isNews && effects.queuedBytes() < WORDS_BYTES_MAX +
          this.volume.config.congestionFillBytes;
  }

  /** Begin the resync when nothing has been on the way for long enough. */
  tick(nowMs: number): void {
    const { state, writes, effects } = this.volume;
    if (state.connection !== "Ahead" || this.#isStarting) return;
    const isQuiet = this.#peerIsBehind && writes.isStableThere &&
      effects.queuedBytes() === 0 && this.volume.mayWrite();
    if (!isQuiet) this.#quietSinceMs = nowMs;
    if (nowMs - this.#quietSinceMs < this.#quietMs) return;
    this.#isStarting = true;
    this.volume.link.bitmaps.beginAsSource();
  }

  /** What the peer says of itself. Whether the resync may begin here, too. */
  told(peerAt: ConnectionState): boolean {
    if (peerAt === "Behind") this.#peerIsBehind = true;
    return this.#isStarting &&
      (peerAt === "SyncTarget" || peerAt === "PausedSyncT");
  }

  /**
   * What the peer says of itself, to us who have what it has. Whether it runs
   * ahead; not, if it has not heard yet that we are its target.
   */
  isLeft(peerAt: ConnectionState): boolean {
    if (HEARD.has(peerAt)) this.#isUnheard = false;
    if (peerAt === "Connected") this.#isUnended = false;
    return peerAt === "Ahead" && !this.#isUnheard;
  }

  /** What follows from a change of state. */
  stateChanged(before: MirrorState, after: MirrorState): void {
    const isWhole = after.connection === "Connected" &&
      after.peerDisk === "UpToDate";
    if (isWhole && before.connection === "SyncSource") this.#quietMs = QUIET_MS;
    if (before.connection === after.connection) return;
    this.#isUnended = before.connection === "SyncTarget" &&
      after.connection === "Connected";
    if (before.connection === "Behind") {
      this.#isUnheard = isConnected(after.connection);
    } else if (!isConnected(after.connection)) this.#isUnheard = false;
    if (after.connection !== "Ahead") return;
    this.#peerIsBehind = this.#isStarting = false;
    this.#quietSinceMs = this.volume.nowMs;
  }

  /** A full log alone says nothing: nobody may have asked for a flush. */
  #heldMs(): number {
    const { config, log, writes, nowMs } = this.volume;
    const isFull = log.used >= config.congestionExtents;
    if (isFull) writes.stabilise();
    const isHeld = isFull && writes.waitsForPeer;
    if (!isHeld) this.#heldSinceMs = Infinity;
    else if (this.#heldSinceMs === Infinity) this.#heldSinceMs = nowMs;
    return isHeld ? nowMs - this.#heldSinceMs : 0;
  }

  /** There is somebody to leave, and enough here to go on alone. */
  #mayLeave(): boolean {
    const { state, fence, link } = this.volume;
    if (state.role !== "Primary" || state.disk !== "UpToDate") return false;
    // What the peer agrees to meanwhile must not find another state here.
    if (!fence.mayWrite() || link.agreement.isAsking) return false;
    // A source makes its data stable first: it would not understand.
    if (this.#isUnended) return false;
    return state.connection === "Connected"
      ? state.peerDisk === "UpToDate"
      : state.connection === "SyncSource";
  }

  #pullAhead(): void {
    const { volume } = this;
    const wasSyncing = volume.state.connection === "SyncSource";
    this.#quietMs = wasSyncing
      ? Math.min(this.#quietMs * 2, QUIET_MS_MAX)
      : QUIET_MS;
    volume.source.stop();
    volume.writes.endStream();
    volume.change({ connection: "Ahead" });
  }
}
