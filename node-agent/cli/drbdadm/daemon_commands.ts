/** Commands that the daemon does: one request per resource. */

import type {
  CommandReply,
  MirrorCommand,
} from "@kedge/schema/mirror/control-api";
import type { VolumeConfig } from "@kedge/schema/drbd-conf";
import { isDone, refusalLines, setupExit } from "./replies.ts";
import type { Session, Target } from "./session.ts";
import { saidOptions } from "./said_options.ts";
import { metaLine, type OptionPairs, setupLine } from "./setup_lines.ts";
import { FORCES } from "./table.ts";
import { sizeOption } from "./values.ts";

/** A command as the daemon and as drbdsetup take it. */
interface Row {
  /** One per resource, where others are one per volume. */
  readonly isOfResource?: true;
  make(session: Session): MirrorCommand;
}

const ROWS = {
  "attach": { make: () => ({ kind: "attach" }) },
  "detach": {
    make: (session) => ({ kind: "detach", force: session.asks("force") }),
  },
  "connect": {
    isOfResource: true,
    make: (session) => ({
      kind: "connect",
      discardMyData: session.asks("discard-my-data"),
      tentative: session.asks("tentative"),
    }),
  },
  "disconnect": {
    isOfResource: true,
    make: (session) => ({ kind: "disconnect", force: session.asks("force") }),
  },
  "primary": {
    make: (session) => ({ kind: "primary", force: session.asks(...FORCES) }),
  },
  "secondary": { make: () => ({ kind: "secondary" }) },
  "invalidate": { make: () => ({ kind: "invalidate" }) },
  "invalidate-remote": { make: () => ({ kind: "invalidate-remote" }) },
  "outdate": { make: () => ({ kind: "outdate" }) },
  "pause-sync": { make: () => ({ kind: "pause-sync" }) },
  "resume-sync": { make: () => ({ kind: "resume-sync" }) },
  "suspend-io": { make: () => ({ kind: "suspend-io" }) },
  "resume-io": { make: () => ({ kind: "resume-io" }) },
  "verify": {
    make: (session) => {
      const fromByte = sizeOption(session.line.setup.get("start"), "start");
      const toByte = sizeOption(session.line.setup.get("stop"), "stop");
      return {
        kind: "verify",
        ...(fromByte === undefined ? {} : { fromByte }),
        ...(toByte === undefined ? {} : { toByte }),
      };
    },
  },
  "new-current-uuid": {
    make: (session) => ({
      kind: "new-current-uuid",
      clearBitmap: session.asks("clear-bitmap"),
    }),
  },
  "resize": {
    make: (session) => ({
      kind: "resize",
      sizeBytes: wholeSectors(
        sizeOption(session.line.setup.get("size"), "size") ?? 0,
      ),
      assumePeerHasSpace: session.asks("assume-peer-has-space"),
      assumeClean: session.asks("assume-clean"),
    }),
  },
} as const satisfies Readonly<Record<string, Row>>;

function wholeSectors(bytes: number): number {
  return bytes - bytes % 512;
}

/** Name of such a command. */
export type DaemonCommand = keyof typeof ROWS;

/** Run one of them for every target. Returns the highest exit code. */
export async function runDaemonCommand(
  name: DaemonCommand,
  session: Session,
): Promise<number> {
  let exit = 0;
  for (const target of session.targets()) {
    exit = Math.max(exit, await runFor(name, target, session));
  }
  return exit;
}

/** Run one of them for one target; a refusal is printed. */
export async function runFor(
  name: DaemonCommand,
  target: Target,
  session: Session,
): Promise<number> {
  const lines = linesOf(name, target, session);
  for (const [index, line] of lines.entries()) {
    const volume = volumesOf(target)[index];
    if (name === "attach" && volume?.disk !== undefined) {
      session.trace(metaLine("apply-al", volume));
    }
    session.trace(line);
  }
  if (session.isDry) return 0;
  const command = ROWS[name].make(session);
  const reply = await send(session, target, command);
  return report(session, target, {
    reply,
    command: name,
    setup: lines[0] ?? name,
  });
}

/** Print a refusal, if it is one. Returns the exit code. */
export function report(
  session: Session,
  { config }: Target,
  { reply, command, setup }: {
    readonly reply: CommandReply;
    readonly command: string;
    readonly setup: string;
  },
): number {
  if (isDone(reply)) {
    // Done, but something beside it went wrong: say so, do not fail.
    if (reply.why !== undefined) session.warn(`${config.name}: ${reply.why}`);
    return 0;
  }
  session.given.onRefusal?.(config.name, reply);
  refusalLines(config.name, reply, { command, setup })
    .forEach((line) => session.warn(line));
  return setupExit(reply);
}

/** Ask the daemon. A resource that does not run is a refusal like the kernel's. */
export async function send(
  session: Session,
  { config, volume }: Target,
  command: MirrorCommand,
): Promise<CommandReply> {
  const isOfResource = command.kind === "connect" ||
    command.kind === "disconnect";
  if (await session.running(config.name) === undefined) {
    const why = notRunning(config.name);
    return { code: isOfResource ? 158 : 127, why };
  }
  const request = volume === undefined || isOfResource
    ? { command }
    : { command, volume };
  const reply = await session.client.command(config.name, request);
  if (command.kind !== "primary" || reply.code !== -1) return reply;
  // The peer may have been demoted just now: as DRBD does, ask once more after
  // the time in which the news must have come.
  const { context } = session;
  await context.sleep(config.net.pingTimeoutMs, context.signal);
  const again = await session.client.command(config.name, request);
  if (again.code !== -1 || !config.net.allowTwoPrimaries) return again;
  return {
    code: -1,
    why: "allow-two-primaries is configured, but dual-primary is not " +
      "available yet: demote the peer first (drbdadm secondary " +
      `${config.name})`,
  };
}

/** Why nothing can be done with it. */
export function notRunning(name: string): string {
  return `${name} does not run here; start it with "drbdadm up ${name}"`;
}

/** The volumes of a target. */
export function volumesOf({ config, volume }: Target): VolumeConfig[] {
  return config.volumes.filter((each) =>
    volume === undefined || each.volume === volume
  );
}

function linesOf(
  name: DaemonCommand,
  target: Target,
  session: Session,
): string[] {
  const { config } = target;
  const row: Row = ROWS[name];
  const extra: OptionPairs = [...session.line.setup]
    .map(([option, value]) => [option, value === "yes" ? "" : value]);
  const said = saidOptions(session.conf(), config, session.given.identity);
  if (row.isOfResource) return [setupLine(name, config, { said, extra })];
  return volumesOf(target).map((volume) =>
    setupLine(name, config, { volume, said, extra })
  );
}

/** Actions by name. */
export const COMMANDS = Object.fromEntries(
  Object.keys(ROWS).map((name) => [
    name,
    (session: Session) => runDaemonCommand(name as DaemonCommand, session),
  ]),
) as Readonly<Record<DaemonCommand, (session: Session) => Promise<number>>>;
