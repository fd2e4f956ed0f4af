/**
 * The words of `create-md`: what `drbdmeta` prints, line for line.
 *
 * @module
 */

import type { MetaGeometry } from "@kedge/schema/disk/geometry";
import type { ExistingData } from "@kedge/schema/disk/signatures";
import { SECTOR_BYTES } from "@kedge/schema/disk/units";

/** Why `create-md` does nothing. */
export interface CreateRefusal {
  /** 10: the device cannot hold it. 40: it would destroy a file system. */
  readonly exitCode: 10 | 40;
  /** For standard output. */
  readonly stdout: string;
  /** For standard error. */
  readonly stderr: string;
}

/** Something to be confirmed with `yes`, else exit code 1. */
export interface CreateQuestion {
  /** For standard output, before the question. */
  readonly stdout: string;
  /** The question itself, for standard error. */
  readonly stderr: string;
  /** For standard output, when the answer is not `yes`. */
  readonly cancelled: string;
}

/** Exit code when a question was not answered with `yes`. */
export const CREATE_CANCELLED = 1;

/** Follows a question when standard input is no terminal: taken as "no". */
export const NO_TERMINAL = "stdin not a TTY, not waiting for confirmation\n";

/** Follows a question when `--force` was given: taken as "yes". */
export const FORCED = "*** confirmation forced via --force option ***\n";

/** The prompt on a terminal. */
export const PROMPT = "[need to type 'yes' to confirm] ";

/** What is printed while the metadata is written. */
export function createdTexts(
  geometry: MetaGeometry,
): { readonly stdout: string; readonly stderr: string } {
  return {
    stdout: "initializing activity log\nWriting meta data...\n" +
      "New drbd meta data block successfully created.\n",
    stderr: `initializing bitmap (${
      kilobytes(geometry.bmRoomBytes)
    } KB) to all zero\n`,
  };
}

/** The device is too small. */
export function tooSmall(path: string, bytes: number): CreateRefusal {
  const stderr = `${path} is only ${bytes} bytes. That's not enough.\n`;
  return { exitCode: 10, stdout: "", stderr };
}

/** There is metadata already. */
export function metadataInPlace(
  geometry: MetaGeometry,
  options: { readonly path: string; readonly version: string },
): CreateQuestion {
  const { path, version } = options;
  const cancelled = "Operation cancelled.\n";
  if (geometry.placement.kind !== "internal") {
    return {
      stdout: "",
      stderr: "\nValid meta data seems to be in place.\n" +
        "Do you really want to overwrite?\n",
      cancelled,
    };
  }
  const question = version === "v08"
    ? "Do you really want to overwrite the existing meta-data?\n"
    : `So you want me to replace the ${version} meta-data\n` +
      "with newly initialized v08 meta-data?\n";
  return {
    stdout: "",
    stderr:
      "You want me to create a v08 style flexible-size internal meta data block.\n" +
      `There appears to be a ${version} flexible-size internal meta data block\n` +
      `already in place on ${path} at byte offset ${geometry.superblockOffset}\n\n` +
      question,
    cancelled,
  };
}

/** There is something else in the way. */
export function dataInPlace(
  found: ExistingData,
  geometry: MetaGeometry,
): CreateQuestion | CreateRefusal {
  const intro = offsets(geometry) + `\nFound ${found.name}\n`;
  const isFileSystem = found.unknownSize === "refuse" ||
    found.usedBytes !== undefined;
  if (!isFileSystem) {
    return proceed(`${intro}\n ==> This might destroy existing data! <==\n`);
  }
  if (geometry.placement.kind !== "internal") {
    return refuse(`${intro}\nThis would corrupt existing data.\n` + ZERO_IT);
  }
  const usableBytes = geometry.usableSectors * SECTOR_BYTES;
  const left = kilobyteLine(usableBytes, "left usable");
  if (found.usedBytes === undefined) {
    const unknown = found.name.startsWith("LVM2")
      ? "Could not determine the size of the actually used data area.\n\n"
      : "";
    return refuse(intro + left + unknown + TRUNCATED + ZERO_IT);
  }
  const sizes = intro + kilobyteLine(found.usedBytes, "apparently used") + left;
  if (found.usedBytes > usableBytes) {
    return refuse(`${sizes}\n${TRUNCATED}${WHAT_TO_DO}`);
  }
  return proceed(
    `${sizes}\nEven though it looks like this would place the new meta data into\n` +
      "unused space, you still need to confirm, as this is only a guess.\n",
  );
}

const TRUNCATED = "Device size would be truncated, which\n" +
  "would corrupt data and result in\n" +
  "'access beyond end of device' errors.\n";

const ZERO_IT =
  "If you want me to do this, you need to zero out the first part\n" +
  "of the device (destroy the content).\n" +
  "You should be very sure that you mean it.\n" +
  "Operation refused.\n\n";

const WHAT_TO_DO = "You need to either\n" +
  "   * use external meta data (recommended)\n" +
  "   * shrink that filesystem first\n" +
  "   * zero out the device (destroy the filesystem)\n" +
  "Operation refused.\n\n";

function offsets(geometry: MetaGeometry): string {
  const { superblockOffset, alOffset, bmOffset } = geometry;
  return `md_offset ${superblockOffset}\nal_offset ${alOffset}\n` +
    `bm_offset ${bmOffset}\n`;
}

function kilobyteLine(bytes: number, what: "left usable" | "apparently used") {
  const number = String(kilobytes(bytes)).padStart(12);
  return what === "left usable"
    ? `${number} kB left usable by current configuration\n`
    : `${number} kB data area apparently used\n`;
}

function kilobytes(bytes: number): number {
  return Math.floor(bytes / 1024);
}

function refuse(stdout: string): CreateRefusal {
  return { exitCode: 40, stdout, stderr: "" };
}

function proceed(stdout: string): CreateQuestion {
  return {
    stdout,
    stderr: "\nDo you want to proceed?\n",
    cancelled: "Operation canceled.\n",
  };
}
