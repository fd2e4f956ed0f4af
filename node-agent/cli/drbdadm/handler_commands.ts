/** `drbdadm split-brain` and the like: run the handler of the configuration. */

import type { VolumeConfig } from "@kedge/schema/drbd-conf";
import { loadHandlers } from "../mirror_module.ts";
import type { Action } from "./table.ts";
import type { Session, Target } from "./session.ts";
import { LineError } from "./line.ts";

/** The action of one handler. DRBD names a volume `minor-N`; people RES[/VOL]. */
export function handler(name: string): Action {
  return async (session) => {
    let exit = 0;
    for (const { config, volume } of volumesNamed(session)) {
      const handlers: Readonly<Record<string, string | undefined>> =
        config.handlers;
      const command = handlers[name];
      if (command === undefined) continue;
      session.trace(command);
      if (session.isDry) continue;
      const { runHandler } = await loadHandlers();
      const [spec] = config.volumes.filter((each) => each.volume === volume);
      if (spec === undefined) continue;
      exit = Math.max(exit, await runHandler(config, placeOf(spec), name));
    }
    return exit;
  };
}

/** What a handler is told of its volume. */
function placeOf({ volume, minor, disk }: VolumeConfig) {
  return { volume, minor, paths: disk === undefined ? undefined : { disk } };
}

function volumesNamed(
  session: Session,
): { config: Target["config"]; volume: number }[] {
  const { words } = session.line;
  const minors = words.map((word) => /^minor-(\d+)$/.exec(word)?.[1]);
  if (!minors.some((minor) => minor !== undefined)) {
    return session.targets().flatMap(({ config, volume }) =>
      volume === undefined
        ? config.volumes.map((each) => ({ config, volume: each.volume }))
        : [{ config, volume }]
    );
  }
  return words.flatMap((word, index) => {
    for (const { config } of session.allTargets()) {
      const found = config.volumes.find(({ minor }) =>
        String(minor) === minors[index]
      );
      if (found !== undefined) return [{ config, volume: found.volume }];
    }
    throw new LineError(`'${word}' is no minor of this host's configuration.`);
  });
}
