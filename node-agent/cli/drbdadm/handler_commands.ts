/** `drbdadm split-brain` and the like: run the handler of the configuration. */

import type { VolumeConfig } from "@kedge/schema/drbd-conf";
import { loadHandlers } from "../mirror_module.ts";
import type { Action } from "./table.ts";
import type { Session, Target } from "./session.ts";

/** The exit code of a handler that was not run. */
const NOT_RUN = 127;

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
      const spec = config.volumes.find((each) => each.volume === volume);
      if (spec === undefined) continue;
      const { environmentOf, isHeldBack } = await loadHandlers();
      if (isHeldBack(command)) {
        session.warn(
          `${config.name}: the handler ${name} would restart or stop this ` +
            "host; it is run only with KEDGE_HOST_HANDLERS=yes",
        );
        exit = Math.max(exit, NOT_RUN);
        continue;
      }
      const { code } = await new Deno.Command("/bin/sh", {
        args: ["-c", command],
        env: environmentOf(config, placeOf(spec)),
        stdin: "inherit",
        stdout: "inherit",
        stderr: "inherit",
      }).output();
      exit = Math.max(exit, code);
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
  return session.targets().flatMap(({ config, volume }) =>
    volume === undefined
      ? config.volumes.map((each) => ({ config, volume: each.volume }))
      : [{ config, volume }]
  );
}
