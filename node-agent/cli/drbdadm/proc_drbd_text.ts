/**
 * The text of `/proc/drbd` of 8.4. Pure.
 *
 * Source: reference of DRBD, §6.1.
 *
 * @module
 */

import type {
  MirrorProgress,
  MirrorStatus,
  VolumeStatus,
} from "@kedge/schema/mirror/control-api";
import type { z } from "zod";

/** A resync or verify that runs. */
type Progress = z.infer<typeof MirrorProgress>;

/** Cells of the progress bar. */
const BAR_CELLS = 20;
/** After so long without progress it is called stalled, in milliseconds. */
const STALLED_MS = 180_000;
/** From this total on sizes are in MiB: 4 GiB, in KiB. */
const MEBI_FROM_KIB = 4 * 1024 * 1024;

/** The whole file. */
export function procDrbd(status: MirrorStatus): string[] {
  const volumes = status.resources.flatMap(({ volumes }) => volumes)
    .sort((a, b) => a.minor - b.minor);
  const lines = volumes.flatMap((volume, index) => {
    const before = volumes[index - 1]?.minor ?? -1;
    const gap = index > 0 && volume.minor !== before + 1 ? [""] : [];
    return [...gap, ...minorLines(volume)];
  });
  return [
    "version: 8.4.11 (api:1/proto:86-101)",
    `GIT-hash: kedge ${status.version}`,
    ...lines,
  ];
}

/** The lines of one minor. */
export function minorLines(volume: VolumeStatus): string[] {
  const { minor, state } = volume;
  const number = String(minor).padStart(2);
  const isNothing = state.connection === "StandAlone" &&
    state.disk === "Diskless" && state.role === "Secondary";
  if (isNothing) return [`${number}: cs:Unconfigured`];
  return [
    `${number}: cs:${state.connection} ro:${state.role}/${state.peerRole} ` +
    `ds:${state.disk}/${state.peerDisk} ${protocolLetter(volume)} ` +
    flagsText(volume),
    `    ${countersText(volume)}`,
    ...progressLines(volume),
  ];
}

/** The letter, or a blank without a network configuration. */
export function protocolLetter({ state, protocol }: VolumeStatus): string {
  return state.connection === "StandAlone" ? " " : protocol;
}

/** `r-----`: running or suspended, three pauses, congestion, log. */
export function flagsText({ state }: VolumeStatus): string {
  const isSuspended = state.suspendedByUser || state.suspendedNoData ||
    state.suspendedFencing;
  return (isSuspended ? "s" : "r") +
    (state.pausedByDependency ? "a" : "-") +
    (state.pausedByPeer ? "p" : "-") +
    (state.pausedByUser ? "u" : "-") +
    "--";
}

/** `ns:… nr:… … oos:…`, sizes in KiB. */
export function countersText(volume: VolumeStatus): string {
  const { counters } = volume;
  const fields = {
    ns: kibOf(counters.sentBytes),
    nr: kibOf(counters.receivedBytes),
    dw: kibOf(counters.writtenBytes),
    dr: kibOf(counters.readBytes),
    al: counters.logWrites,
    bm: counters.bitmapWrites,
    lo: 0,
    pe: volume.peerPending,
    ua: volume.unacknowledged,
    ap: volume.applicationPending,
    ep: 1,
    wo: "f",
    oos: kibOf(volume.outOfSyncBytes),
  };
  return Object.entries(fields).map(([name, value]) => `${name}:${value}`)
    .join(" ");
}

/** The bar and the speed, while a resync or verify runs and is not paused. */
export function progressLines(
  { state, progress }: VolumeStatus,
): string[] {
  const running = ["SyncSource", "SyncTarget", "VerifyS", "VerifyT"];
  if (progress === undefined || !running.includes(state.connection)) return [];
  const wants = ["SyncTarget", "VerifyS"].includes(state.connection);
  return [
    `\t${progressText(progress)}`,
    `\t${speedText(progress, wants)}`,
  ];
}

/** `[==>....] sync'ed: 12.3% (LEFT/TOTAL)K`. */
export function progressText(progress: Progress): string {
  const done = permilleDone(progress);
  const total = kibOf(progress.totalBytes);
  const left = kibOf(progress.leftBytes);
  const isLarge = total > MEBI_FROM_KIB;
  const size = (kib: number) => isLarge ? Math.floor(kib / 1024) : kib;
  const word = progress.kind === "verify" ? "verified" : "sync'ed";
  return `[${bar(done)}] ${word}:${percent(done)} ` +
    `(${size(left)}/${size(total)})${isLarge ? "M" : "K"}`;
}

/** `finish: 0:00:37 speed: 26,792 (27,076) want: 102,400 K/sec`. */
export function speedText(progress: Progress, wants: boolean): string {
  const { bytesPerSecond, totalBytes, leftBytes, elapsedMs } = progress;
  const average = (totalBytes - leftBytes) / Math.max(elapsedMs / 1000, 1);
  const isStalled = progress.etaSeconds === undefined && elapsedMs > STALLED_MS;
  // Without speed DRBD counts with one KiB per second.
  const eta = progress.etaSeconds ?? leftBytes / 1024;
  const want = wants
    ? ` want: ${thousands(kibOf(progress.wantBytesPerSecond ?? 0))}`
    : "";
  return `finish: ${timeText(eta)} ` +
    `speed: ${thousands(kibOf(bytesPerSecond))} (${
      thousands(kibOf(average))
    })${want} K/sec${isStalled ? " (stalled)" : ""}`;
}

/** Thousandths that are done, rounded down. */
export function permilleDone({ totalBytes, leftBytes }: Progress): number {
  if (totalBytes <= 0) return 1000;
  const done = Math.floor(1000 * (1 - leftBytes / totalBytes));
  return Math.min(1000, Math.max(0, done));
}

/** `H:MM:SS`. */
export function timeText(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number) => String(value).padStart(2, "0");
  return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${
    two(whole % 60)
  }`;
}

function bar(permille: number): string {
  const cells = Math.floor(permille / 50);
  return "=".repeat(Math.max(0, cells - 1)) + ">" +
    ".".repeat(BAR_CELLS - cells);
}

function percent(permille: number): string {
  return `${String(Math.floor(permille / 10)).padStart(3)}.${permille % 10}%`;
}

function thousands(value: number): string {
  return String(Math.floor(value)).replaceAll(/\B(?=(\d{3})+$)/g, ",");
}

function kibOf(bytes: number): number {
  return Math.floor(bytes / 1024);
}
