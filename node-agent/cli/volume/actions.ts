/** `kedge volume promote|demote|connect|…`: one request to the daemon. */

import type {
  MirrorCommand,
  ResourceStatus,
} from "@kedge/schema/mirror/control-api";
import { parseSize } from "@kedge/schema/config/units";
import type { CommandContext } from "../context.ts";
import { isDone } from "../drbdadm/replies.ts";
import { CliError, UsageError } from "../errors.ts";
import { EXIT } from "../exit_codes.ts";
import type { MirrorClient } from "../mirror_client.ts";
import { nearest } from "../nearest.ts";
import { causeText, nextStep } from "./next_steps.ts";
import type { VolumeValues } from "./options.ts";
import { statusLines } from "./status_text.ts";

/** What a verb needs. */
export interface VolumeCall {
  readonly client: MirrorClient;
  readonly values: VolumeValues;
  readonly context: CommandContext;
}

/** The request of each verb. */
export const REQUESTS: Readonly<
  Record<string, (values: VolumeValues) => MirrorCommand>
> = {
  "promote": ({ force }) => ({ kind: "primary", force }),
  "demote": () => ({ kind: "secondary" }),
  "connect": (values) => ({
    kind: "connect",
    discardMyData: values["discard-my-data"],
    tentative: false,
  }),
  "disconnect": ({ force }) => ({ kind: "disconnect", force }),
  "verify": () => ({ kind: "verify" }),
  "resize": (values) => ({
    kind: "resize",
    sizeBytes: wantedSize(values.size),
    assumePeerHasSpace: values["assume-peer-has-space"],
    assumeClean: values["assume-clean"],
  }),
  "pause": () => ({ kind: "pause-sync" }),
  "resume": () => ({ kind: "resume-sync" }),
};

/** A size of a volume: whole sectors; 0: the largest there is room for. */
function wantedSize(text: string | undefined): number {
  if (text === undefined) return 0;
  const bytes = parseSize(text);
  if (bytes === undefined || bytes === 0) {
    throw new UsageError(`--size must be a size such as 20G, not "${text}"`);
  }
  return bytes - bytes % 512;
}

/** Ask; say how it is then. */
export async function request(
  word: string,
  command: MirrorCommand,
  { client, values, context }: VolumeCall,
): Promise<number> {
  const { name, volume } = splitName(word);
  await findResource(client, name);
  const reply = await client.command(name, {
    command,
    ...(volume === undefined ? {} : { volume }),
  });
  if (!isDone(reply)) {
    throw new CliError(causeText(name, reply), nextStep(name, reply.code));
  }
  if (reply.why !== undefined) context.err.line(`kedge volume: ${reply.why}`);
  const resource = await findResource(client, name);
  context.out.line(
    values.json
      ? JSON.stringify(resource)
      : statusLines(resource).join("\n").trimEnd(),
  );
  return EXIT.ok;
}

/** `NAME` or `NAME/VOLUME`. */
export function splitName(
  word: string,
): { readonly name: string; readonly volume?: number } {
  const [, name, volume] = /^(.+)\/(\d{1,5})$/.exec(word) ?? [];
  return name === undefined || volume === undefined
    ? { name: word }
    : { name, volume: Number(volume) };
}

/**
 * A resource that runs.
 *
 * @throws {CliError} With the nearest one, or how to start it.
 */
export async function findResource(
  client: MirrorClient,
  name: string,
): Promise<ResourceStatus> {
  const { resources, fallen } = await client.status();
  const found = resources.find(({ resource }) => resource === name);
  if (found !== undefined) return found;
  const died = fallen?.find(({ resource }) => resource === name);
  if (died !== undefined) {
    throw new CliError(
      `"${name}" does not run here: ${died.why}`,
      `"kedge volume up ${name}" starts it now; the cause is in the daemon's ` +
        "log",
      EXIT.failed,
    );
  }
  const guess = nearest(name, resources.map(({ resource }) => resource));
  throw new CliError(
    `no volume "${name}" runs here` +
      (guess === undefined ? "" : `; did you mean "${guess}"?`),
    `"kedge volume up ${name}" starts one that is configured; ` +
      '"kedge volume list" shows what runs',
    EXIT.notFound,
  );
}
