/**
 * Options of `options { … }`, `startup { … }` and `handlers { … }`. Ranges and
 * defaults: `drbdsetup xml-help resource-options` of 8.4 and 9.34; startup:
 * the 8.4 user guide and drbdadm's own range checks.
 *
 * @module
 */

import { boolean, choice, number, table, text } from "./row.ts";

/** What a Primary does without reach of good data. The first is the default. */
export const ON_NO_DATA = ["io-error", "suspend-io"] as const;

const OFF_MAJORITY_ALL = ["off", "majority", "all"] as const;

/** Options of `options { … }`. */
export const RESOURCE_OPTIONS = table(
  text("cpu-mask", 255),
  choice("on-no-data-accessible", ON_NO_DATA),
  boolean("auto-promote", true),
  number("peer-ack-window", [2048, 204_800, 4096], { unit: "s" }),
  // Milliseconds.
  number("peer-ack-delay", [1, 10_000, 100]),
  // Tenths of a second.
  number("twopc-timeout", [50, 600, 300]),
  number("twopc-retry-timeout", [1, 50, 1]),
  number("auto-promote-timeout", [0, 600, 20]),
  number("max-io-depth", [4, 4_294_967_295, 8000]),
  number("quorum", [1, 32, 0], { symbols: OFF_MAJORITY_ALL }),
  number("quorum-minimum-redundancy", [1, 32, 0], {
    symbols: OFF_MAJORITY_ALL,
  }),
  choice("on-no-quorum", ["suspend-io", "io-error"]),
  choice("on-suspended-primary-outdated", ["disconnect", "force-secondary"]),
  boolean("drbd8-api-compatibility", false),
);

/** Options of `startup { … }`. Timeouts in seconds, 0 is for ever. */
export const STARTUP_OPTIONS = table(
  number("wfc-timeout", [0, 300_000, 0]),
  number("degr-wfc-timeout", [0, 300_000, 0]),
  number("outdated-wfc-timeout", [0, 300_000, 0]),
  boolean("wait-after-sb", false),
  { kind: "flag", name: "stacked-timeouts" },
  { kind: "names", name: "become-primary-on" },
);

/** Names of `handlers { … }`, in drbdadm's order. */
export const HANDLER_NAMES = [
  "pri-on-incon-degr",
  "pri-lost-after-sb",
  "pri-lost",
  "initial-split-brain",
  "split-brain",
  "fence-peer",
  "unfence-peer",
  "local-io-error",
  "before-resync-target",
  "after-resync-target",
  "before-resync-source",
  "out-of-sync",
  "quorum-lost",
  "disconnected",
] as const;

/** Name of a handler. */
export type HandlerName = typeof HANDLER_NAMES[number];

/** Handlers: each a command line. */
export const HANDLER_OPTIONS = table(
  ...HANDLER_NAMES.map((name) => text(name)),
);
