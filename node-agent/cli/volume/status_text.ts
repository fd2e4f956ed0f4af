/** `kedge volume list`, `status` and `watch` as text. Pure. */

import type {
  MirrorStatus,
  ResourceStatus,
  VolumeStatus,
} from "@kedge/schema/mirror/control-api";
import { permilleDone } from "../drbdadm/proc_drbd_text.ts";
import { tableLines } from "../text/table.ts";
import { durationText, rateText, sizeText } from "../text/units.ts";
import { healthOf } from "./health.ts";

/** Cells of the progress bar. */
const BAR_CELLS = 30;
/** So long after the start nobody expects a speed, in milliseconds. */
const BEGINNING_MS = 5000;

const HEAD = [
  "VOLUME",
  "ROLE",
  "STATE",
  "SIZE›",
  "DIFFERS›",
  "PEER",
  "DEVICE",
] as const;

/** One line per volume. */
export function listLines(
  resources: readonly ResourceStatus[],
  columns: number | undefined,
): string[] {
  const rows = resources.flatMap((resource) =>
    resource.volumes.map((volume) => [
      nameOf(resource, volume),
      volume.state.role,
      healthOf(volume).words,
      sizeText(volume.sizeBytes),
      volume.outOfSyncBytes === 0 ? "-" : sizeText(volume.outOfSyncBytes),
      resource.peerNode,
      volume.deviceNode ?? "-",
    ])
  );
  return tableLines(HEAD, rows, columns);
}

/** One line per resource that died and does not run. */
export function fallenLines({ fallen = [] }: MirrorStatus): string[] {
  return fallen.map(({ resource, why }) => `${resource}  DOWN: ${why}`);
}

/** Everything about one resource. */
export function statusLines(resource: ResourceStatus): string[] {
  return resource.volumes.flatMap((volume) => [
    `${nameOf(resource, volume)}  ${volume.state.role}, ${
      healthOf(volume).words
    }`,
    ...volumeLines(resource, volume),
    "",
  ]);
}

function volumeLines(resource: ResourceStatus, volume: VolumeStatus): string[] {
  const { state, counters } = volume;
  const facts: [string, string][] = [
    [
      "here",
      `${resource.node}  ${resource.local}  ${state.disk}  ${
        volume.backingDisk ?? "no disk"
      }`,
    ],
    [
      "peer",
      `${resource.peerNode}  ${resource.remote}  ${state.peerDisk}  ${state.peerRole}  ${state.connection}`,
    ],
    ...(resource.pending.length === 0 ? [] : [[
      "pending",
      `${resource.pending.join(", ")}: from the next connection on ("kedge ` +
      `volume adjust ${resource.resource} --reconnect" on the Primary, when ` +
      `both hosts have it)`,
    ] as [string, string]]),
    ["size", `${sizeText(volume.sizeBytes)}, protocol ${volume.protocol}`],
    ["device", volume.deviceNode ?? `${volume.device} (made on promotion)`],
    ...exportsOf(resource, volume).map((uri): [string, string] => [
      "export",
      uri,
    ]),
    [
      "traffic",
      `sent ${sizeText(counters.sentBytes)}, received ${
        sizeText(counters.receivedBytes)
      }, written ${sizeText(counters.writtenBytes)}`,
    ],
    [
      "differs",
      volume.outOfSyncBytes === 0
        ? "nothing that is known"
        : sizeText(volume.outOfSyncBytes),
    ],
    ...discardFacts(volume),
    ...progressFacts(volume),
    ...nextFacts(resource, volume),
  ];
  return facts.map(([name, text]) => `  ${name.padEnd(8)} ${text}`);
}

function nextFacts(
  { resource }: ResourceStatus,
  volume: VolumeStatus,
): [string, string][] {
  const { next } = healthOf(volume);
  return next === undefined
    ? []
    : [["next", next.replaceAll("NAME", resource)]];
}

/** What a former Primary of protocol A lost to the peer's data (B5). */
function discardFacts(
  { resource, discarded }: VolumeStatus,
): [string, string][] {
  if (discarded === undefined) return [];
  const { blocks, keptIn, keptBlocks = blocks, isWhole, atMs } = discarded;
  const when = atMs === undefined
    ? ""
    : `, ${new Date(atMs).toISOString().replace(/\.\d+Z$/, "Z")}`;
  const many = `at most ${sizeText(blocks * 4096)} that the peer had not ` +
    `confirmed${when}`;
  const part = keptBlocks === blocks
    ? ""
    : `only ${sizeText(keptBlocks * 4096)} `;
  return [[
    "lost",
    (blocks === 0 ? "nothing of what the peer had not confirmed" : many) +
    (keptIn === undefined
      ? blocks === 0
        ? ""
        : `; "kedge volume undo ${resource}" lists what is kept`
      : `; ${part}kept in ${keptIn}`) +
    (isWhole
      ? keptIn === undefined ? "" : " (said until that file is removed)"
      : "; so far, the resync goes on"),
  ]];
}

/** The exports are in the order of the volumes, as many for each. */
function exportsOf(
  { exports, volumes }: ResourceStatus,
  volume: VolumeStatus,
): string[] {
  const each = exports.length / Math.max(1, volumes.length);
  const at = volumes.indexOf(volume) * each;
  return exports.slice(at, at + each);
}

function progressFacts(
  { progress, state }: VolumeStatus,
): [string, string][] {
  if (progress === undefined) return [];
  const permille = permilleDone(progress);
  const full = Math.floor(permille * BAR_CELLS / 1000);
  const bar = "█".repeat(full) + "·".repeat(BAR_CELLS - full);
  const { totalBytes, leftBytes, bytesPerSecond, etaSeconds } = progress;
  const left = etaSeconds === undefined
    ? progress.elapsedMs < BEGINNING_MS ? "just begun" : "no progress now"
    : `${durationText(etaSeconds * 1000)} left`;
  const word = state.connection.startsWith("Paused") ? "paused" : progress.kind;
  return [[
    word,
    `${bar} ${(permille / 10).toFixed(1)} %  ${
      sizeText(totalBytes - leftBytes)
    } of ${sizeText(totalBytes)}  ${rateText(bytesPerSecond)}  ${left}`,
  ]];
}

/** What a verify has found, once nothing is compared any more. */
export function verifiedLines(resource: ResourceStatus): string[] {
  return resource.volumes.map((volume) => {
    const name = nameOf(resource, volume);
    const { state: { connection }, outOfSyncBytes } = volume;
    if (connection !== "Connected") {
      return `${name}: not compared to the end, it is ${connection} now`;
    }
    return outOfSyncBytes === 0
      ? `${name}: compared, both copies are equal`
      : `${name}: compared, ${sizeText(outOfSyncBytes)} are DIFFERENT`;
  });
}

/** `NAME`, or `NAME/VOLUME` where there is more than volume 0. */
export function nameOf(
  { resource, volumes }: ResourceStatus,
  { volume }: VolumeStatus,
): string {
  return volumes.length === 1 && volume === 0
    ? resource
    : `${resource}/${volume}`;
}
