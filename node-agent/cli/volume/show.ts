/** `kedge volume list|status|watch|resolve`: what there is to see. */

import { parseDuration } from "@kedge/schema/config/units";
import { mountedUses } from "../drbdadm/mounts.ts";
import { CliError, messageOf, UsageError } from "../errors.ts";
import { EXIT } from "../exit_codes.ts";
import type { MirrorClient } from "../mirror_client.ts";
import { findResource, splitName, type VolumeCall } from "./actions.ts";
import { healthOf } from "./health.ts";
import { reportOf, resolveLines, SideReport } from "./resolve_text.ts";
import {
  fallenLines,
  listLines,
  statusLines,
  verifiedLines,
} from "./status_text.ts";

/** One line per volume. */
export async function list(
  { client, values, context }: VolumeCall,
): Promise<number> {
  const all = await client.status();
  const { resources } = all;
  const lines = [
    ...resources.length === 0
      ? ['no volumes run here; "kedge volume up NAME" starts one']
      : listLines(resources, context.out.columns),
    ...fallenLines(all),
  ];
  context.out.line(values.json ? JSON.stringify(resources) : lines.join("\n"));
  return EXIT.ok;
}

/** Everything about some volumes; exit code 1: not all are well. */
export async function status(
  words: readonly string[],
  { client, values, context }: VolumeCall,
): Promise<number> {
  const all = words.length === 0 ? await client.status() : undefined;
  const resources = all?.resources ?? await Promise.all(
    words.map((word) => findResource(client, splitName(word).name)),
  );
  const fallen = all?.fallen ?? [];
  const isWell = fallen.length === 0 &&
    resources.every(({ volumes }) =>
      volumes.every((each) => healthOf(each).isWell)
    );
  context.out.line(
    values.json
      ? JSON.stringify({ healthy: isWell, resources, fallen })
      : [...resources.flatMap(statusLines), ...all ? fallenLines(all) : []]
        .join("\n").trimEnd(),
  );
  return isWell ? EXIT.ok : EXIT.failed;
}

/** Look again and again; with "verify" until it has ended. */
export async function watch(
  word: string | undefined,
  { client, values, context }: VolumeCall,
  until: "for ever" | "verify",
): Promise<number> {
  const pauseMs = parseDuration(values.interval);
  if (pauseMs === undefined) {
    throw new UsageError("--interval must be a duration such as 1s");
  }
  const { out, signal } = context;
  while (!signal.aborted) {
    const looked = await look(word, client);
    if (values.json) out.line(JSON.stringify(looked));
    else {
      const lines = typeof looked === "string"
        ? [`NO ANSWER: ${looked}`]
        : looked.flatMap(statusLines);
      out.write(
        out.columns === undefined
          ? `${lines.join("\n")}\n`
          : `\x1b[H${lines.map((line) => `${line}\x1b[K\n`).join("")}\x1b[J`,
      );
    }
    const isOver = until === "verify" && typeof looked !== "string" &&
      !looked.some(({ volumes }) =>
        volumes.some(({ state }) => state.connection.startsWith("Verify"))
      );
    if (isOver && !values.json) {
      looked.flatMap(verifiedLines).forEach((line) => out.line(line));
    }
    if (isOver) break;
    await context.sleep(pauseMs, signal).catch(() => {});
  }
  return EXIT.ok;
}

async function look(word: string | undefined, client: MirrorClient) {
  try {
    if (word === undefined) return (await client.status()).resources;
    return [await findResource(client, splitName(word).name)];
  } catch (error) {
    return messageOf(error);
  }
}

/** What a split brain has done, and the ways out of it. */
export async function resolveSplit(
  word: string,
  { client, values, context }: VolumeCall,
): Promise<number> {
  const resource = await findResource(client, splitName(word).name);
  const useOf = mountedUses();
  const here = reportOf(resource, (volume) => useOf(volume)?.mountPoint);
  if (values.json) {
    context.out.line(JSON.stringify(here));
    return EXIT.ok;
  }
  const file = values["peer-status"];
  const there = file === undefined ? undefined : await readReport(file);
  resolveLines(here, resource.peerNode, there)
    .forEach((line) => context.out.line(line));
  return EXIT.ok;
}

async function readReport(path: string): Promise<SideReport> {
  try {
    return SideReport.parse(JSON.parse(await Deno.readTextFile(path)));
  } catch (error) {
    throw new CliError(
      `cannot read the other side from "${path}": ${messageOf(error)}`,
      'make it on the peer: "kedge volume resolve NAME --json > FILE"',
    );
  }
}
