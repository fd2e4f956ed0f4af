/**
 * `kedge volume resolve`: what each side of a split brain has written, and the
 * two commands that end it. Pure.
 *
 * @module
 */

import { z } from "zod";
import type {
  ResourceStatus,
  VolumeStatus,
} from "@kedge/schema/mirror/control-api";
import { sizeText } from "../text/units.ts";

/** Bytes of a block that the bitmap counts. */
const BLOCK_BYTES = 4096;

/** What one side knows of itself. */
export const SideReport = z.object({
  host: z.string(),
  resource: z.string(),
  volumes: z.array(z.object({
    volume: z.int(),
    role: z.string(),
    connection: z.string(),
    disk: z.string(),
    /** Generation identifiers: current, bitmap, history. */
    generations: z.array(z.string()),
    /** What this side has written since the two parted, at most. */
    changedBytes: z.int(),
    /** First and last write since then, in ms since 1970 by that host's clock. */
    written: z.object({ fromMs: z.int(), untilMs: z.int() }).optional(),
    sizeBytes: z.int(),
    /** Where its node is mounted there. */
    mounted: z.string().optional(),
  })),
});
/** What one side knows of itself. */
export type SideReport = z.infer<typeof SideReport>;

/** What this side knows of itself. */
export function reportOf(
  resource: ResourceStatus,
  mountOf: (volume: VolumeStatus) => string | undefined = () => undefined,
): SideReport {
  return {
    host: resource.node,
    resource: resource.resource,
    volumes: resource.volumes.map((volume: VolumeStatus) => ({
      volume: volume.volume,
      role: volume.state.role,
      connection: volume.state.connection,
      disk: volume.state.disk,
      generations: [...volume.generations ?? []],
      changedBytes: volume.outOfSyncBytes,
      ...(volume.written === undefined ? {} : { written: volume.written }),
      sizeBytes: volume.sizeBytes,
      mounted: mountOf(volume),
    })),
  };
}

/** How the two stand to one another. */
export function verdictOf(
  here: SideReport,
  there: SideReport | undefined,
): "connected" | "unknown" | "same" | "split" | "one-sided" {
  const isConnected = here.volumes.every(({ connection }) =>
    connection !== "StandAlone" && connection !== "WFConnection"
  );
  if (isConnected) return "connected";
  if (there === undefined) return "unknown";
  const pairs = here.volumes.map((mine) =>
    [mine, there.volumes.find(({ volume }) => volume === mine.volume)] as const
  );
  const name = (text: string | undefined) =>
    // The lowest bit says who is Primary; it is no part of the name.
    text === undefined ? 0n : BigInt(`0x${text.replace(/^0x/, "")}`) & ~1n;
  const isSame = pairs.every(([mine, other]) =>
    name(mine.generations[0]) === name(other?.generations[0])
  );
  if (isSame) return "same";
  const isSplit = pairs.some(([mine, other]) =>
    name(mine.generations[1]) !== 0n && name(other?.generations[1]) !== 0n
  );
  return isSplit ? "split" : "one-sided";
}

/** The whole text. */
export function resolveLines(
  here: SideReport,
  peerHost: string,
  there: SideReport | undefined,
): string[] {
  const { resource } = here;
  const verdict = verdictOf(here, there);
  if (verdict === "connected") {
    return ["The two are connected: nothing to resolve."];
  }
  const sides = [
    ...sideLines(`here, ${here.host}`, here),
    ...(there === undefined
      ? [`there, ${peerHost}`, ...UNSEEN.map((line) => fill(line, resource))]
      : sideLines(`there, ${there.host}`, there)),
    "",
  ];
  const pair = { here, there, peerHost };
  return [...sides, ...adviceLines(verdict, pair)];
}

const UNSEEN = [
  '  not known: run "kedge volume resolve NAME --json > side.json" there,',
  '  bring the file here, and say "kedge volume resolve NAME --peer-status side.json"',
];

function sideLines(title: string, report: SideReport): string[] {
  return [
    title,
    ...report.volumes.flatMap((volume) => [
      `  volume ${volume.volume}: ${volume.role}, ${volume.disk}, ${volume.connection}`,
      `    written since they parted: at most ${
        sizeText(volume.changedBytes)
      } (${volume.changedBytes / BLOCK_BYTES} blocks of 4 KiB) of ${
        sizeText(volume.sizeBytes)
      }`,
      ...whenLines(volume.written),
      `    generations: ${volume.generations.join(" ")}`,
    ]),
  ];
}

function whenLines(
  written: SideReport["volumes"][number]["written"],
): string[] {
  if (written === undefined) return [];
  const text = (ms: number) =>
    new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
  return [
    `    first write ${text(written.fromMs)}, last ${
      text(written.untilMs)
    } (clock of that host)`,
  ];
}

function adviceLines(
  verdict: ReturnType<typeof verdictOf>,
  { here, there, peerHost }: {
    readonly here: SideReport;
    readonly there: SideReport | undefined;
    readonly peerHost: string;
  },
): string[] {
  const { resource, host } = here;
  const ours = { host, report: here };
  const theirs = { host: peerHost, report: there };
  switch (verdict) {
    case "same":
      return [
        "Both hold the same generation: nothing was lost. Connect them:",
        `  on ${host} and on ${peerHost}:  drbdadm connect ${resource}`,
      ];
    case "one-sided":
      return [
        "Only one side went on: connecting them copies what is missing.",
        `  on ${host} and on ${peerHost}:  drbdadm connect ${resource}`,
      ];
    default:
      return [
        ...(verdict === "split"
          ? [
            "SPLIT BRAIN: both sides wrote. One of them has to give up its part.",
          ]
          : ["If it is a split brain, one side has to give up what it wrote."]),
        "",
        ...choice("Keep the data of this host", {
          winner: ours,
          loser: theirs,
          resource,
        }),
        "",
        ...choice(`Keep the data of ${peerHost}`, {
          winner: theirs,
          loser: ours,
          resource,
        }),
        "",
        "The loser keeps what is overwritten in an undo file:",
        fill(
          '  "kedge volume undo NAME list" there shows it, restore brings it back.',
          resource,
        ),
      ];
  }
}

function choice(
  title: string,
  { winner, loser, resource }: {
    readonly winner: Side;
    readonly loser: Side;
    readonly resource: string;
  },
): string[] {
  const mounted = loser.report?.volumes.flatMap((each) => each.mounted ?? []);
  const steps = [
    ...(mounted ?? []).map((path) => `umount ${path}`),
    `drbdadm secondary ${resource}`,
    // Else it looks for the peer already, and would not take the option.
    ...isSeeking(loser) ? [`drbdadm disconnect ${resource}`] : [],
    `drbdadm connect --discard-my-data ${resource}`,
  ];
  return [
    `${title}:`,
    `  on ${loser.host}:  ${steps.join(" && ")}`,
    isSeeking(winner)
      ? `  on ${winner.host}:  nothing, it waits for ${loser.host} already`
      : `  on ${winner.host}:  drbdadm connect ${resource}`,
  ];
}

/** A host, and what is known of it. */
interface Side {
  readonly host: string;
  readonly report: SideReport | undefined;
}

function isSeeking({ report }: Side): boolean {
  return report?.volumes.some(({ connection }) =>
    connection === "WFConnection"
  ) ?? false;
}

function fill(text: string, resource: string): string {
  return text.replaceAll("NAME", resource);
}
