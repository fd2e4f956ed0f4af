/**
 * What `mirror_child.ts` lives through.
 *
 * @module
 */

import type { MirrorCommand } from "@kedge/schema/mirror/control-api";

/** A step of a story. */
export type Step =
  | { readonly do: "write"; readonly number: number }
  | { readonly do: "flush" }
  | { readonly do: "untilEqual" }
  | { readonly do: "command"; readonly command: MirrorCommand };

/** A story, and which node lives it. */
export interface Story {
  readonly name: "a" | "b";
  readonly steps: readonly Step[];
}

/** An extent of the activity log, in bytes. */
export const EXTENT_BYTES = 4 * 1024 * 1024;
/** Extents of the device. */
export const EXTENTS = 5;

/** The n-th write: another extent each time, bytes that say whose they are. */
export function writeOf(number: number) {
  const turn = Math.floor(number / EXTENTS);
  const offset = (number % EXTENTS) * EXTENT_BYTES + turn * 12_288 + 512;
  const data = new Uint8Array(4096).fill(number + 1);
  return { offset, data };
}

const command = (command: MirrorCommand): Step => ({ do: "command", command });
const attach = command({ kind: "attach" });
const connect = command({
  kind: "connect",
  discardMyData: false,
  tentative: false,
});
const primary = command({ kind: "primary", force: false });
const secondary = command({ kind: "secondary" });
const detach = command({ kind: "detach", force: false });
const disconnect = command({ kind: "disconnect", force: false });
const write = (number: number): Step => ({ do: "write", number });
const flush: Step = { do: "flush" };
const untilEqual: Step = { do: "untilEqual" };

/** Writes to more extents than the activity log has slots. */
const writes: readonly Step[] = [
  ...[0, 1, 2].map(write),
  flush,
  ...[3, 4, 5, 6, 7, 8, 9].map(write),
  flush,
];

/** Every story by name. */
export const STORIES = {
  /** Nobody else is there. */
  alone: { name: "a", steps: [attach, primary, ...writes, secondary, detach] },
  /** The Primary of two. */
  primary: {
    name: "a",
    steps: [
      ...[attach, connect, untilEqual, primary, ...writes],
      ...[secondary, disconnect, detach],
    ],
  },
  /** The Primary whose peer leaves: bits are set, a generation begins. */
  left: {
    name: "a",
    steps: [
      ...[attach, connect, untilEqual, primary, write(0), flush],
      ...[disconnect, ...writes.slice(1), secondary, detach],
    ],
  },
  /** A resync makes the disk equal. */
  target: { name: "b", steps: [attach, connect, untilEqual, detach] },
} as const satisfies Record<string, Story>;

/** Name of a story. */
export type StoryName = keyof typeof STORIES;

/** Whether it is one. */
export function isStory(name: string): name is StoryName {
  return name in STORIES;
}
