/**
 * Option sections to typed options: inheritance, defaults, units.
 *
 * @module
 */

import type { Setting } from "./ast.ts";
import { OptionValues } from "./option_values.ts";
import {
  DISK_OPTIONS,
  ON_IO_ERROR,
  READ_BALANCING,
  RESYNC_OPTIONS,
} from "./options/disk.ts";
import {
  AFTER_SB_0PRI,
  AFTER_SB_1PRI,
  AFTER_SB_2PRI,
  FENCING_POLICIES,
  NET_OPTIONS,
  ON_CONGESTION,
  PROTOCOLS,
  RR_CONFLICT,
} from "./options/net.ts";
import {
  HANDLER_NAMES,
  HANDLER_OPTIONS,
  ON_NO_DATA,
  RESOURCE_OPTIONS,
  STARTUP_OPTIONS,
} from "./options/resource.ts";
import type {
  DiskOptions,
  Fencing,
  NetOptions,
  ResourceConfig,
  ResourceOptions,
  ResyncAfter,
  ResyncOptions,
  StartupOptions,
} from "./resource.ts";

/** Levels that set options, from the weakest to the strongest. */
export type Levels = readonly (readonly Setting[] | undefined)[];

/** Most options about time count tenths of a second. */
const TENTH_MS = 100;

/** `net { … }`. Up to 8.4, `fencing` is in `disk { … }`. */
export function netOptions(levels: Levels, disk: Levels): NetOptions {
  const values = new OptionValues(NET_OPTIONS, levels);
  return {
    protocol: values.choice("protocol", PROTOCOLS),
    ...timing(values),
    ...buffers(values),
    ...digests(values),
    allowTwoPrimaries: values.boolean("allow-two-primaries"),
    afterSb0pri: values.choice("after-sb-0pri", AFTER_SB_0PRI),
    afterSb1pri: values.choice("after-sb-1pri", AFTER_SB_1PRI),
    afterSb2pri: values.choice("after-sb-2pri", AFTER_SB_2PRI),
    alwaysAsbp: values.boolean("always-asbp"),
    rrConflict: values.choice("rr-conflict", RR_CONFLICT),
    useRle: values.boolean("use-rle"),
    fencing: fencing(values, new OptionValues(DISK_OPTIONS, disk)),
  };
}

function timing(values: OptionValues) {
  return {
    timeoutMs: values.number("timeout") * TENTH_MS,
    koCount: values.number("ko-count"),
    pingIntMs: values.number("ping-int") * 1000,
    pingTimeoutMs: values.number("ping-timeout") * TENTH_MS,
    connectIntMs: values.number("connect-int") * 1000,
    socketCheckTimeoutMs: values.number("socket-check-timeout") * TENTH_MS,
  };
}

function buffers(values: OptionValues) {
  return {
    maxEpochSize: values.has("max-epoch-size")
      ? values.number("max-epoch-size")
      : undefined,
    maxBuffers: values.number("max-buffers"),
    sndbufSizeBytes: values.number("sndbuf-size"),
    rcvbufSizeBytes: values.number("rcvbuf-size"),
    tcpCork: values.boolean("tcp-cork"),
    onCongestion: values.choice("on-congestion", ON_CONGESTION),
    congestionFillBytes: values.number("congestion-fill"),
    congestionExtents: values.number("congestion-extents"),
  };
}

function digests(values: OptionValues) {
  return {
    cramHmacAlg: values.text("cram-hmac-alg"),
    sharedSecret: values.text("shared-secret"),
    dataIntegrityAlg: values.text("data-integrity-alg"),
    csumsAlg: values.text("csums-alg"),
    csumsAfterCrashOnly: values.boolean("csums-after-crash-only"),
    verifyAlg: values.text("verify-alg"),
  };
}

function fencing(net: OptionValues, disk: OptionValues): Fencing {
  const source = net.has("fencing") ? net : disk;
  return source.choice("fencing", FENCING_POLICIES);
}

/** `disk { … }` without the resync. */
export function diskOptions(levels: Levels): DiskOptions {
  const values = new OptionValues(DISK_OPTIONS, levels);
  return {
    sizeBytes: values.number("size"),
    onIoError: values.choice("on-io-error", ON_IO_ERROR),
    diskBarrier: values.boolean("disk-barrier"),
    diskFlushes: values.boolean("disk-flushes"),
    diskDrain: values.boolean("disk-drain"),
    mdFlushes: values.boolean("md-flushes"),
    alUpdates: values.boolean("al-updates"),
    alExtents: values.number("al-extents"),
    diskTimeoutMs: values.number("disk-timeout") * TENTH_MS,
    readBalancing: values.choice("read-balancing", READ_BALANCING),
    rsDiscardGranularityBytes: values.number("rs-discard-granularity"),
    discardZeroesIfAligned: values.boolean("discard-zeroes-if-aligned"),
    resyncAfter: parseResyncAfter(values.text("resync-after")),
  };
}

/** `RESOURCE` or `RESOURCE/VOLUME`; `-1` is nothing. */
export function parseResyncAfter(
  text: string | undefined,
): ResyncAfter | undefined {
  if (text === undefined || text === "-1") return undefined;
  const match = /^(.+)\/(\d{1,5})$/.exec(text);
  if (match === null) return { resource: text, volume: 0 };
  return { resource: match[1] ?? "", volume: Number(match[2]) };
}

/** The options about the resync. */
export function resyncOptions(levels: Levels): ResyncOptions {
  const values = new OptionValues(RESYNC_OPTIONS, levels);
  return {
    resyncRateBytesPerS: values.number("resync-rate"),
    planAheadMs: values.number("c-plan-ahead") * TENTH_MS,
    delayTargetMs: values.number("c-delay-target") * TENTH_MS,
    fillTargetBytes: values.number("c-fill-target"),
    maxRateBytesPerS: values.number("c-max-rate"),
    minRateBytesPerS: values.number("c-min-rate"),
  };
}

/** `options { … }`. */
export function resourceOptions(levels: Levels): ResourceOptions {
  const values = new OptionValues(RESOURCE_OPTIONS, levels);
  return {
    onNoDataAccessible: values.choice("on-no-data-accessible", ON_NO_DATA),
    cpuMask: values.text("cpu-mask"),
  };
}

/** `startup { … }`. */
export function startupOptions(levels: Levels): StartupOptions {
  const values = new OptionValues(STARTUP_OPTIONS, levels);
  return {
    wfcTimeoutMs: values.number("wfc-timeout") * 1000,
    degrWfcTimeoutMs: values.number("degr-wfc-timeout") * 1000,
    outdatedWfcTimeoutMs: values.number("outdated-wfc-timeout") * 1000,
    waitAfterSb: values.boolean("wait-after-sb"),
    becomePrimaryOn: values.names("become-primary-on"),
  };
}

/** `handlers { … }`. */
export function handlerCommands(levels: Levels): ResourceConfig["handlers"] {
  const values = new OptionValues(HANDLER_OPTIONS, levels);
  return Object.fromEntries(HANDLER_NAMES.flatMap((name) => {
    const command = values.text(name);
    return command === undefined ? [] : [[name, command]];
  }));
}
