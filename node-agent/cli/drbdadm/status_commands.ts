/** `status` and `events2`. */

import type { ResourceStatus } from "@kedge/schema/mirror/control-api";
import { events2 } from "./events_command.ts";
import { knownConfigs, wantedNames } from "./known_names.ts";
import { type NodeIds, nodeIdsOf } from "./node_ids.ts";
import type { Session } from "./session.ts";
import { setupLine } from "./setup_lines.ts";
import { statusJson } from "./status_json.ts";
import { NOTHING_CONFIGURED, statusLines } from "./status_text.ts";

/** Exit code for a resource that does not run. */
const NO_SUCH_RESOURCE = 10;

async function status(session: Session): Promise<number> {
  if (session.isDry) {
    for (const { config } of session.targets()) {
      session.trace(setupLine("status", config));
    }
    return 0;
  }
  const { resources, fallen } = await session.status();
  const names = wantedNames(session);
  const missing = names.filter((name) =>
    !resources.some(({ resource }) => resource === name)
  );
  const shown = names.length === 0
    ? resources
    : resources.filter(({ resource }) => names.includes(resource));
  const ids = nodeIdsOf(knownConfigs(session));
  if (session.has("json")) {
    session.say(
      JSON.stringify(shown.map((each) => statusJson(each, ids)), null, 4),
    );
  } else {
    show(session, shown, ids, resources.length === 0);
  }
  for (const name of missing) {
    session.warn(`${name}: No such resource`);
    const died = fallen?.find(({ resource }) => resource === name);
    if (died !== undefined) session.warn(`${name}: ${died.why}`);
    session.warn(
      `Command 'drbdsetup status ${name}' terminated with exit code ${NO_SUCH_RESOURCE}`,
    );
  }
  return missing.length === 0 ? 0 : NO_SUCH_RESOURCE;
}

function show(
  session: Session,
  resources: readonly ResourceStatus[],
  ids: NodeIds,
  isEmpty: boolean,
): void {
  if (isEmpty) return session.say(NOTHING_CONFIGURED);
  const style = {
    verbose: session.has("verbose") || session.asks("verbose"),
    statistics: session.asks("statistics"),
  };
  for (const resource of resources) {
    statusLines(resource, ids, style).forEach((line) => session.say(line));
  }
}

/** Actions by name. */
export const COMMANDS = { status, events2 } as const;
