/** `dump` and `dump-xml`: the configuration as it was understood. */

import { printDrbdConf } from "@kedge/schema/drbd-conf";
import { dumpXml } from "./dump_xml_text.ts";
import type { Session } from "./session.ts";

/** Names to print; undefined: everything. */
function wanted(session: Session): readonly string[] | undefined {
  const { words } = session.line;
  if (words.length === 0 || words.includes("all")) return undefined;
  return session.targets().map(({ config }) => config.name);
}

function dump(session: Session): Promise<number> {
  const conf = session.conf();
  const resources = wanted(session);
  session.context.out.write(printDrbdConf(conf, {
    host: session.given.identity.host,
    ...(resources === undefined ? {} : { resources }),
  }));
  return Promise.resolve(0);
}

function xml(session: Session): Promise<number> {
  const conf = session.conf();
  const lines = dumpXml(conf, wanted(session));
  session.context.out.write(lines.join("\n") + "\n");
  return Promise.resolve(0);
}

/** Actions by name. */
export const COMMANDS = { "dump": dump, "dump-xml": xml } as const;
