/** `sh-*`: facts of the configuration for scripts, one per line. */

import type { VolumeConfig } from "@kedge/schema/drbd-conf";
import { volumesOf } from "./daemon_commands.ts";
import { resourcesHere, type Session } from "./session.ts";
import {
  shResourceHead,
  shStatusHead,
  shVolumeLines,
} from "./sh_status_text.ts";

/** What each prints for a volume. */
const OF_VOLUME = {
  "sh-dev": ({ device }: VolumeConfig) => device,
  "sh-minor": ({ minor }: VolumeConfig) => String(minor),
  "sh-ll-dev": ({ disk }: VolumeConfig) => disk ?? "none",
  "sh-md-dev": ({ disk, metaDisk }: VolumeConfig) =>
    metaDisk.kind === "internal" ? disk ?? "none" : metaDisk.path,
  "sh-md-idx": ({ metaDisk }: VolumeConfig) =>
    metaDisk.kind === "internal"
      ? "internal"
      : metaDisk.kind === "flexible"
      ? "flexible"
      : String(metaDisk.index),
} as const;

/** The module is loaded with room for at least so many minors. */
const MINOR_COUNT_MIN = 32;

/** `-n NAME` prints `NAME=VALUE`. */
function say(session: Session, value: string): number {
  const name = session.line.own.get("sh-varname");
  session.say(name === undefined ? value : `${name}=${value}`);
  return 0;
}

function ofVolumes(name: keyof typeof OF_VOLUME) {
  return (session: Session): Promise<number> => {
    for (const target of session.targets()) {
      for (const volume of volumesOf(target)) {
        say(session, OF_VOLUME[name](volume));
      }
    }
    return Promise.resolve(0);
  };
}

/** An action that only prints. */
function printing(print: (session: Session) => void) {
  return (session: Session): Promise<number> => {
    print(session);
    return Promise.resolve(0);
  };
}

/** Facts for udev's rules, which ask for `minor-N`. */
function udev(session: Session): void {
  for (const target of session.targets()) {
    const { config } = target;
    for (const volume of volumesOf(target)) {
      const isOnly = config.volumes.length === 1 && volume.volume === 0;
      const name = isOnly ? config.name : `${config.name}/${volume.volume}`;
      const bare = (path: string) => path.replace(/^\/dev\//, "");
      session.say(`RESOURCE=${name}`);
      session.say(`DEVICE=${bare(volume.device)}`);
      session.say(`DISK=${bare(volume.disk ?? "none")}`);
    }
  }
}

/** Parameters for the module, if there were one. */
function modParms(session: Session): void {
  const said = session.conf().global?.find(({ name }) =>
    name === "minor-count"
  );
  const count = Number(said?.values[0] ?? MINOR_COUNT_MIN);
  session.say(`minor_count=${Math.max(MINOR_COUNT_MIN, count)}`);
}

async function status(session: Session): Promise<number> {
  shStatusHead(session.configPath).forEach((line) => session.say(line));
  for (const target of session.targets()) {
    const { config } = target;
    shResourceHead(config).forEach((line) => session.say(line));
    const running = await session.running(config.name);
    for (const volume of volumesOf(target)) {
      const found = running?.volumes.find((each) =>
        each.volume === volume.volume
      );
      shVolumeLines(config, volume, found).forEach((line) => session.say(line));
    }
  }
  return 0;
}

/** Actions by name. */
export const COMMANDS = {
  "sh-resources": printing((session) =>
    say(session, resourcesHere(session).join(" "))
  ),
  "sh-resource": printing((session) =>
    session.targets().forEach(({ config }) => say(session, config.name))
  ),
  "sh-dev": ofVolumes("sh-dev"),
  "sh-minor": ofVolumes("sh-minor"),
  "sh-ll-dev": ofVolumes("sh-ll-dev"),
  "sh-md-dev": ofVolumes("sh-md-dev"),
  "sh-md-idx": ofVolumes("sh-md-idx"),
  "sh-ip": printing((session) =>
    session.targets().forEach((target) =>
      volumesOf(target).forEach(() =>
        say(session, target.config.self.address?.ip ?? "")
      )
    )
  ),
  "sh-udev": printing(udev),
  "sh-nop": printing((session) => session.conf()),
  "sh-mod-parms": printing(modParms),
  "sh-status": status,
} as const;
