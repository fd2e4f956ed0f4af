/** `role`, `cstate`, `dstate`: one line per volume, as 8.4 prints them. */

import type {
  MirrorStateView,
  VolumeStatus,
} from "@kedge/schema/mirror/control-api";
import { offlineDataState } from "./offline.ts";
import { volumesOf } from "./daemon_commands.ts";
import { tellNotOpen } from "./disk_tool.ts";
import type { Session } from "./session.ts";
import { metaLine, setupLine } from "./setup_lines.ts";

/** What 8.4 says of a minor that nobody set up. */
const UNCONFIGURED = "Unconfigured";

/** The text of each. */
const TEXTS = {
  role: (state: MirrorStateView) => `${state.role}/${state.peerRole}`,
  cstate: (state: MirrorStateView) => state.connection,
  dstate: (state: MirrorStateView) => `${state.disk}/${state.peerDisk}`,
} as const;

/** Whether nothing is configured: no disk, no peer, no role. */
export function isUnconfigured(
  { connection, disk, role }: MirrorStateView,
): boolean {
  return connection === "StandAlone" && disk === "Diskless" &&
    role === "Secondary";
}

async function show(
  name: keyof typeof TEXTS,
  session: Session,
): Promise<number> {
  const shown: Readonly<Record<string, unknown>>[] = [];
  let exit = 0;
  for (const target of session.targets()) {
    const resource = await session.running(target.config.name);
    for (const volume of volumesOf(target)) {
      session.trace(setupLine(name, target.config, { volume }));
      if (session.isDry) {
        if (name === "dstate") session.trace(metaLine("dstate", volume));
        continue;
      }
      const status = resource?.volumes.find((each) =>
        each.volume === volume.volume
      );
      let text = textOf(name, status);
      if (text === UNCONFIGURED && name === "dstate") {
        session.trace(metaLine("dstate", volume));
        const found = await offlineDataState(volume, session.sizesDir);
        if (typeof found === "object") {
          exit = tellNotOpen(session, found.problem);
          const line = metaLine("dstate", volume);
          session.warn(`Command '${line}' terminated with exit code ${exit}`);
          continue;
        }
        text = found ?? UNCONFIGURED;
      }
      const { volume: number, minor } = volume;
      const { name: resourceName } = target.config;
      shown.push({
        resource: resourceName,
        volume: number,
        minor,
        [name]: text,
      });
      if (!session.has("json")) session.say(text);
    }
  }
  if (session.has("json")) session.say(JSON.stringify(shown));
  return exit;
}

function textOf(
  name: keyof typeof TEXTS,
  status: VolumeStatus | undefined,
): string {
  return status === undefined || isUnconfigured(status.state)
    ? UNCONFIGURED
    : TEXTS[name](status.state);
}

/** Actions by name. */
export const COMMANDS = {
  role: (session: Session) => show("role", session),
  cstate: (session: Session) => show("cstate", session),
  dstate: (session: Session) => show("dstate", session),
} as const;
