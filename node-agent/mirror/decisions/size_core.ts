/**
 * How large a volume is: what two disks agree on when they meet, and what a
 * `resize` may make of it.
 *
 * The size that both agreed on is in both superblocks. It never becomes smaller
 * by itself: the node that knows the smaller one grows. DRBD 8.4 also grows a
 * volume whenever both disks turn out to be larger; here only `resize` does.
 *
 * Source: DRBD 8.4, reference §1 (online resize), §2.7 and §6.6.
 *
 * @module
 */

/** DRBD 8.4's largest device: 1 PiB. */
const BYTES_MAX = 2 ** 50;

/** What one node knows of its disk, in bytes. */
export interface SizedDisk {
  /** Room for data; 0: there is no disk. */
  readonly backingBytes: number;
  /** Size both agreed on last, as this disk knows it; 0: never. */
  readonly agreedBytes: number;
  /** The size configured for a new volume; 0 or missing: as possible. */
  readonly wantedBytes?: number | undefined;
}

/** What two disks come to when they meet. */
export type MeetingSize =
  | {
    readonly sizeBytes: number;
    /** Blocks that are new here, if any are, must be copied. */
    readonly isNewDirty: boolean;
    /** The peer, which is no new one, has such blocks. */
    readonly isPeerDirty: boolean;
  }
  | { readonly refused: string };

/** Both nodes compute this, each with itself in front. */
export function meetingSize(own: SizedDisk, peer: SizedDisk): MeetingSize {
  const agreed = Math.max(own.agreedBytes, peer.agreedBytes);
  const possible = Math.min(own.backingBytes, peer.backingBytes);
  // Of a volume that has a size the configuration says nothing any more.
  const first = Math.min(
    possible,
    own.wantedBytes || Infinity,
    peer.wantedBytes || Infinity,
  );
  if (possible < agreed) {
    const isOwn = own.backingBytes < agreed;
    const [who, room] = isOwn
      ? ["Our", own.backingBytes]
      : ["The peer's", peer.backingBytes];
    return {
      refused:
        `${who} disk size is too small: it has room for ${room} bytes, ` +
        `the volume has ${agreed}. Enlarge that disk, then connect`,
    };
  }
  // Nobody counted behind the size that was known there: copy it.
  const grows = ({ agreedBytes }: SizedDisk) =>
    agreedBytes !== 0 && agreedBytes < agreed;
  return {
    sizeBytes: agreed === 0 ? first : agreed,
    // A new disk may have grown since it was attached.
    isNewDirty: own.agreedBytes === 0 || grows(own),
    isPeerDirty: grows(peer),
  };
}

/**
 * Why a peer's size is not believed; undefined: it can be. Who has no disk has
 * nothing else to go by.
 */
export function sizeProblem(peer: SizedDisk): string | undefined {
  const { agreedBytes, backingBytes } = peer;
  if (backingBytes > BYTES_MAX) {
    return `The peer's disk has ${backingBytes} bytes, more than 1 PiB`;
  }
  if (agreedBytes <= backingBytes) return undefined;
  return `The peer's disk size is too small: it has room for ${backingBytes} ` +
    `bytes, the volume has ${agreedBytes}. Enlarge that disk, then connect`;
}

/** A node without a disk, and the size it goes by. */
export interface SizedGuest {
  /** 0: it knows none. */
  readonly sizeBytes: number;
  /** An application has this size. */
  readonly isServing: boolean;
}

/**
 * The size of a node without a disk that meets a peer: the peer's, also when
 * its own disk had grown first and the peer has not heard of it. What an
 * application sees only grows.
 */
export function guestSize(
  { sizeBytes, isServing }: SizedGuest,
  peer: SizedDisk,
): { readonly sizeBytes: number } | { readonly refused: string } {
  // A new disk there says nothing about a volume that has a size.
  const peers = peer.agreedBytes || (sizeBytes === 0 ? peer.backingBytes : 0);
  if (peers === 0) return { sizeBytes };
  if (peers >= sizeBytes || !isServing) return { sizeBytes: peers };
  return {
    refused: `The peer's volume is too small: it has ${peers} bytes, this ` +
      `Primary serves ${sizeBytes}. Attach the disk here, then connect`,
  };
}

/** What a `resize` is about, in bytes. */
export interface GrowthQuestion {
  /** The size of the volume now. */
  readonly currentBytes: number;
  /** The size wanted; 0: as large as possible. */
  readonly wantedBytes: number;
  /** Room on the disk of the node that decides. */
  readonly ownBytes: number;
  /** Room on the other one's disk. */
  readonly otherBytes: number;
}

/** What it comes to. */
export type Growth =
  | {
    readonly sizeBytes: number;
    /** Why it is no larger, when that may surprise. */
    readonly note?: string;
  }
  | { readonly code: 111 | 170; readonly why: string };

/** Judge a `resize`. The texts are read on either node: they name no side. */
export function growthOf(question: GrowthQuestion): Growth {
  const { currentBytes, wantedBytes, ownBytes, otherBytes } = question;
  const possible = Math.min(ownBytes, otherBytes);
  if (possible < currentBytes) {
    return {
      code: 111,
      why: `a disk has room for ${possible} bytes, less than the volume's ` +
        `${currentBytes}: give it back its size before anything else`,
    };
  }
  if (wantedBytes !== 0 && wantedBytes < currentBytes) {
    return {
      code: 170,
      why: `the volume has ${currentBytes} bytes; whatever lies behind ` +
        `${wantedBytes} would be lost. Volumes only grow: for a smaller one ` +
        "create another volume and copy the files",
    };
  }
  if (wantedBytes > possible) {
    return {
      code: 111,
      why: `${wantedBytes} bytes are wanted, the smaller disk has room for ` +
        `${possible}: enlarge it first (lvextend, or losetup -c)`,
    };
  }
  if (wantedBytes !== 0) return { sizeBytes: wantedBytes };
  if (possible > currentBytes) return { sizeBytes: possible };
  return { sizeBytes: currentBytes, note: notGrown(question) };
}

function notGrown({ currentBytes, ownBytes, otherBytes }: GrowthQuestion) {
  const larger = Math.max(ownBytes, otherBytes);
  const rest = larger > currentBytes
    ? `one disk has room for ${larger}, the other one for no more: enlarge it`
    : "no disk has room for more: enlarge both (lvextend, or losetup -c)";
  return `The volume keeps its ${currentBytes} bytes: ${rest}, then resize ` +
    "again";
}
