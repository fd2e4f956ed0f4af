/**
 * One flush of both disks, and when it may be answered (promises.md B6).
 *
 * @module
 */

/** Called once: whether the flush succeeded. */
export type FlushAnswered = (ok: boolean) => void;

/** One flush of both disks. */
export class RunningFlush {
  local: "running" | "stable" | "failed" | "none";

  constructor(
    readonly waiters: readonly FlushAnswered[],
    /** Everything up to this write is covered. */
    readonly ordinal: number,
    /** The flush frame's number; 0: the peer is not asked. */
    public sequence: number,
    /** With what it began: an option may change meanwhile. */
    readonly begun: {
      readonly hasDisk: boolean;
      readonly protocol: "A" | "B" | "C";
    },
  ) {
    this.local = begun.hasDisk ? "running" : "none";
  }

  /** The peer is gone: it is not waited for. */
  forgetPeer(): void {
    this.sequence = 0;
  }

  verdict(
    peer: { received: number; stable: number },
  ): "wait" | "ok" | "failed" {
    const { protocol } = this.begun;
    const isStableThere = this.sequence > 0 && this.sequence <= peer.stable;
    if (this.local !== "stable") {
      // The peer has the only copy that counts, whatever the protocol.
      if (this.sequence === 0) return "failed";
      return isStableThere ? "ok" : "wait";
    }
    if (this.sequence === 0 || protocol === "A" || isStableThere) return "ok";
    return protocol === "B" && this.sequence <= peer.received ? "ok" : "wait";
  }
}
