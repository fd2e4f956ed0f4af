/**
 * Why a disk cannot be attached, with DRBD's numbers and words.
 *
 * Source: reference of DRBD, §6.6.
 *
 * @module
 */

import type { GeometryProblem } from "@kedge/schema/disk/geometry";
import type { SuperblockProblem } from "@kedge/schema/disk/superblock";

/** Texts by DRBD's number, for the refusals of an attach. */
export const ATTACH_TEXTS = {
  104: "Can not open backing device.",
  105: "Can not open meta device.",
  111: "Low.dev. smaller than requested DRBD-dev. size.",
  112: "Meta device too small.",
  114: "Lower device is already claimed. This usually means it is mounted.",
  115: "Meta device is already claimed. This usually means it is mounted.",
  118: "IO error(s) occurred during initial access to meta-data.",
  119: "No valid meta-data signature found.",
  165: "Unclean meta-data found.",
} as const;

/** DRBD's number of a refusal. */
export type AttachCode = keyof typeof ATTACH_TEXTS;

/** Why a disk is not attached: for programs and for people. */
export interface MetaProblem {
  /** DRBD's number: `NAME: Failure: (code) text`. */
  readonly code: AttachCode;
  /** DRBD's text of the code. */
  readonly text: string;
  /** One sentence of ours: the cause and the next step. */
  readonly detail: string;
}

/** Make a problem. */
export function metaProblem(code: AttachCode, detail: string): MetaProblem {
  return { code, text: ATTACH_TEXTS[code], detail };
}

/** What an unusable superblock means for an attach. */
export function superblockProblem(
  problem: SuperblockProblem,
  path: string,
): MetaProblem {
  switch (problem.kind) {
    case "no-signature":
      return metaProblem(
        119,
        `"${path}" holds no metadata; run "drbdadm create-md" first`,
      );
    case "other-version":
      return metaProblem(
        119,
        `"${path}" holds ${problem.version} metadata, v08 is needed; ` +
          `convert it with "drbdmeta create-md"`,
      );
    case "bad-field":
      return metaProblem(
        119,
        `the metadata of "${path}" is damaged: ${problem.detail}; ` +
          `"drbdadm create-md" writes new ones, and the peer's data are copied`,
      );
  }
}

/** What a layout that does not fit means for an attach. */
export function geometryProblem(
  problem: GeometryProblem,
  path: string,
): MetaProblem {
  const code = problem.kind === "data-too-small"
    ? 111
    : problem.kind === "meta-too-small"
    ? 112
    : 119;
  return metaProblem(code, `"${path}": ${problem.detail}`);
}
