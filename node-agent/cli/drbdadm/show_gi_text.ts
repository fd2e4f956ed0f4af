/**
 * `drbdadm show-gi`: the generation identifiers with a drawing that says what
 * each of them is, as drbdmeta prints it. Pure.
 *
 * @module
 */

import { generationText } from "@kedge/schema/disk/metadata-text";
import type { MetaSuperblock } from "@kedge/schema/disk/superblock";

const HEAD = `
       +--<  Current data generation UUID  >-
       |               +--<  Bitmap's base data generation UUID  >-
       |               |                 +--<  younger history UUID  >-
       |               |                 |         +-<  older history  >-
       V               V                 V         V
`;

const LEGEND = `
                                                                    ^ ^ ^ ^ ^ ^ ^
                                      -<  Data consistency flag  >--+ | | | | | |
                             -<  Data was/is currently up-to-date  >--+ | | | | |
                                  -<  Node was/is currently primary  >--+ | | | |
                                  -<  Node was/is currently connected  >--+ | | |
         -<  Node was in the progress of setting all bits in the bitmap  >--+ | |
                        -<  The peer's disk was out-dated or inconsistent  >--+ |
      -<  This node was a crashed primary, and has not seen its peer since   >--+
`;

/** The whole text. */
export function showGiText(superblock: MetaSuperblock): string {
  return `${drawing(generationText(superblock))}
flags: ${flagsText(superblock)}
meta-data: ${superblock.isClean ? "clean" : "need apply-al"}
${sizeText(superblock)}${bioText(superblock)}`;
}

/** The identifiers between head and legend. */
export function drawing(generations: string): string {
  return HEAD + generations + LEGEND;
}

function flagsText({ flags }: MetaSuperblock): string {
  const states = [
    flags.has("PrimaryInd") ? "Primary" : "Secondary",
    flags.has("ConnectedInd") ? "Connected" : "StandAlone",
    !flags.has("Consistent")
      ? "Inconsistent"
      : flags.has("WasUpToDate")
      ? "UpToDate"
      : "Outdated",
  ];
  if (flags.has("FullSync")) states.push("need full sync");
  if (flags.has("PeerOutDated")) states.push("peer Outdated");
  if (flags.has("CrashedPrimary")) states.push("crashed primary");
  return states.join(", ");
}

function sizeText({ laSizeSectors }: MetaSuperblock): string {
  if (laSizeSectors === 0) {
    return "zero size device -- never seen peer yet?\n";
  }
  const size = shortSize(laSizeSectors / 2);
  return `last agreed size: ${size} (${laSizeSectors} sectors)\n`;
}

function bioText({ laPeerMaxBioBytes }: MetaSuperblock): string {
  return laPeerMaxBioBytes === 0
    ? ""
    : `last agreed max bio size: ${laPeerMaxBioBytes} Byte\n`;
}

/** DRBD's short form of KiB: less than 10000 of KB, MB, …, rounded. */
function shortSize(kib: number): string {
  let size = kib;
  let unit = 0;
  while (size >= 10_000) {
    size = Math.floor(size / 1024 + 0.5);
    unit++;
  }
  return `${size} ${"KMGTPE"[unit]}B`;
}
