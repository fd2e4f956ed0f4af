/**
 * Options of `disk { … }`: of the device, and of the resync with a peer
 * ("peer device options" since 9). Ranges, units and defaults: `drbdsetup
 * xml-help disk-options` and `attach` of 8.4, also `peer-device-options` of
 * 9.34; where they differ, the wider range.
 *
 * @module
 */

import { FENCING } from "./net.ts";
import { boolean, choice, number, table, text } from "./row.ts";

/** Where a Primary in sync reads. The first is the default. */
export const READ_BALANCING = [
  "prefer-local",
  "prefer-remote",
  "round-robin",
  "least-pending",
  "when-congested-remote",
  "32K-striping",
  "64K-striping",
  "128K-striping",
  "256K-striping",
  "512K-striping",
  "1M-striping",
] as const;

/** What an error of the own disk leads to. The first is the default. */
export const ON_IO_ERROR = [
  "detach",
  "pass_on",
  "call-local-io-error",
] as const;

/** The options about the resync, which a `connection` may also set. */
export const RESYNC_OPTIONS = table(
  // Bytes per second.
  number("resync-rate", [1, 8_388_608, 250], { unit: "k" }),
  number("c-max-rate", [0, 4_194_304, 102_400], { unit: "k" }),
  number("c-min-rate", [0, 4_194_304, 250], { unit: "k" }),
  // Tenths of a second.
  number("c-plan-ahead", [0, 300, 20]),
  number("c-delay-target", [1, 100, 10]),
  // Bytes.
  number("c-fill-target", [0, 1_048_576, 100], { unit: "s" }),
  boolean("bitmap", true),
  boolean("resync-without-replication", true),
  boolean("peer-tiebreaker", true),
);

/** Options of `disk { … }`. */
export const DISK_OPTIONS = table(
  // Bytes; 0 is all there is.
  number("size", [0, 2_199_023_255_552, 0], {
    unit: "s",
    isCheckedLate: true,
  }),
  choice("on-io-error", ON_IO_ERROR),
  FENCING,
  boolean("disk-barrier", false),
  boolean("disk-flushes", true),
  boolean("disk-drain", true),
  boolean("md-flushes", true),
  boolean("al-updates", true),
  boolean("discard-zeroes-if-aligned", true),
  boolean("disable-write-same", false),
  boolean("diskless", false),
  // A name of a resource, or RESOURCE/VOLUME.
  text("resync-after", 128),
  number("al-extents", [67, 65_534, 1237], { isCheckedLate: true }),
  // Tenths of a second.
  number("disk-timeout", [0, 6000, 0], { isCheckedLate: true }),
  // Bytes.
  number("rs-discard-granularity", [0, 1_048_576, 0], { isCheckedLate: true }),
  number("max-bio-size", [512, 1_048_576, 1_048_576], { isCheckedLate: true }),
  number("block-size", [512, 4096, 512]),
  number("discard-granularity", [0, 134_217_728, 4_294_967_295]),
  number("max-bio-bvecs", [0, 128, 0], { isCheckedLate: true }),
  choice("read-balancing", READ_BALANCING),
  ...RESYNC_OPTIONS.values(),
);
