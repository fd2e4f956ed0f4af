/**
 * What already lies at the start of a device, before metadata is put on it.
 *
 * Recognises what `drbdmeta create-md` recognises; anything else that is not
 * zero is "some data".
 *
 * Source: on-disk formats of the file systems; `drbdmeta` 9.22, by trial.
 *
 * @module
 */

/** How much of a device is looked at, in bytes. */
export const SIGNATURE_BYTES: number = 68 * 1024;

/** What was found. */
export interface ExistingData {
  /** As in DRBD's message `Found …`. */
  readonly name: string;
  /** How much of the device it uses, in bytes; `undefined`: it does not tell. */
  readonly usedBytes: number | undefined;
  /** What follows from not knowing how much it uses. */
  readonly unknownSize: "ask" | "refuse";
}

/**
 * Look at the first {@linkcode SIGNATURE_BYTES} bytes of a device.
 *
 * @param head As many bytes as the device has, up to that number.
 * @returns What is there, or `undefined` when all is zero.
 */
export function findExistingData(head: Uint8Array): ExistingData | undefined {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  for (const recognise of RECOGNISERS) {
    const found = recognise(view, head);
    if (found !== undefined) return found;
  }
  if (head.every((byte) => byte === 0)) return undefined;
  return { name: "some data", usedBytes: undefined, unknownSize: "ask" };
}

type Recogniser = (
  view: DataView,
  head: Uint8Array,
) => ExistingData | undefined;

const RECOGNISERS: readonly Recogniser[] = [
  function lvm(_view, head) {
    const has = [0, 1, 2, 3].some((sector) =>
      hasText(head, sector * 512, "LABELONE") &&
      hasText(head, sector * 512 + 24, "LVM2")
    );
    return has ? refuseUnknown("LVM2 physical volume signature") : undefined;
  },
  function swap(_view, head) {
    const has = [4096, 8192, 16_384, 65_536].some((page) =>
      hasText(head, page - 10, "SWAPSPACE2") ||
      hasText(head, page - 10, "SWAP-SPACE")
    );
    return has ? refuseUnknown("swap space signature") : undefined;
  },
  function ext(view) {
    if (view.byteLength < 2048 || view.getUint16(1080, true) !== 0xef53) {
      return undefined;
    }
    const has64Bit = (view.getUint32(1120, true) & 0x80) !== 0;
    const high = has64Bit ? view.getUint32(1024 + 0x150, true) : 0;
    const blocks = view.getUint32(1028, true) + high * 2 ** 32;
    const hasJournal = (view.getUint32(1116, true) & 0x4) !== 0;
    return fileSystem(
      hasJournal ? "ext3" : "ext2",
      blocks * 2 ** (10 + view.getUint32(1048, true)),
    );
  },
  function xfs(view, head) {
    if (!hasText(head, 0, "XFSB")) return undefined;
    const blocks = Number(view.getBigUint64(8));
    return fileSystem("xfs", blocks * view.getUint32(4));
  },
  function jfs(view, head) {
    if (!hasText(head, 32_768, "JFS1")) return undefined;
    const blocks = Number(view.getBigUint64(32_768 + 8, true));
    return fileSystem("JFS", blocks * view.getUint32(32_768 + 24, true));
  },
  function reiser(view, head) {
    const has = ["ReIsErFs", "ReIsEr2Fs", "ReIsEr3Fs"].some((magic) =>
      hasText(head, 65_536 + 52, magic)
    );
    if (!has) return undefined;
    const blocks = view.getUint32(65_536, true);
    return fileSystem("reiser", blocks * view.getUint16(65_536 + 44, true));
  },
];

/** A size of 0 or beyond any device is a damaged one: not known. */
function fileSystem(name: string, bytes: number): ExistingData {
  const isSound = bytes > 0 && Number.isSafeInteger(bytes);
  return {
    name: `${name} filesystem`,
    usedBytes: isSound ? bytes : undefined,
    unknownSize: "ask",
  };
}

function refuseUnknown(name: string): ExistingData {
  return { name, usedBytes: undefined, unknownSize: "refuse" };
}

function hasText(bytes: Uint8Array, at: number, text: string): boolean {
  if (at + text.length > bytes.length) return false;
  for (let i = 0; i < text.length; i++) {
    if (bytes[at + i] !== text.charCodeAt(i)) return false;
  }
  return true;
}
