/** `kedge volume undo NAME list|restore FILE`: what a split brain threw away. */

import { basename, join, resolve } from "node:path";
import type { CommandContext } from "../context.ts";
import { mountedUses } from "../drbdadm/mounts.ts";
import { CliError, messageOf, UsageError } from "../errors.ts";
import { EXIT } from "../exit_codes.ts";
import { loadUndoTools } from "../mirror_module.ts";
import { tableLines } from "../text/table.ts";
import { sizeText } from "../text/units.ts";
import { findResource, splitName, type VolumeCall } from "./actions.ts";
import { undoDirOf } from "../mirror/run_dir.ts";
import { NbdWriter } from "./nbd_writer.ts";

/** Run a verb of `undo`. */
export async function undo(
  [word, verb = "list", file, ...more]: readonly string[],
  call: VolumeCall & { readonly runDir: string },
): Promise<number> {
  if (word === undefined || more.length > 0) {
    throw new UsageError("Say undo NAME list, or undo NAME restore FILE");
  }
  const dir = undoDirOf(call.runDir, call.context.env);
  if (verb === "list") return await list(word, dir, call);
  if (verb === "restore" && file !== undefined) {
    const path = file.includes("/") ? resolve(file) : join(dir, file);
    return await restore(word, path, call);
  }
  throw new UsageError("Say undo NAME list, or undo NAME restore FILE");
}

async function list(
  word: string,
  dir: string,
  { values, context }: VolumeCall,
): Promise<number> {
  const { name, volume } = splitName(word);
  const { listUndoFiles } = await loadUndoTools();
  const files = listUndoFiles(dir).filter((each) =>
    each.resource === name && (volume === undefined || each.volume === volume)
  );
  if (values.json) {
    context.out.line(JSON.stringify(files));
    return EXIT.ok;
  }
  if (files.length === 0) {
    context.out.line(`nothing of ${word} was thrown away (${dir})`);
    return EXIT.ok;
  }
  const rows = files.map((each) => [
    basename(each.path),
    String(each.volume),
    new Date(each.createdMs).toISOString(),
    sizeText(each.keptBytes),
    each.isWhole ? "whole" : "the resync did not end",
  ]);
  const head = ["FILE", "VOLUME", "BEGUN", "KEPT›", "STATE"];
  tableLines(head, rows, context.out.columns)
    .forEach((line) => context.out.line(line));
  context.err.line(
    `to bring one back: "kedge volume undo ${name} restore FILE" on the ` +
      "Primary, not mounted; copy the file there, if that is the other host",
  );
  return EXIT.ok;
}

async function restore(
  word: string,
  path: string,
  { client, values, context }: VolumeCall,
): Promise<number> {
  const { name } = splitName(word);
  const tools = await loadUndoTools();
  using reader = opened(name, () => new tools.UndoReader(path));
  const { head } = reader;
  if (head.resource !== name) {
    throw new CliError(`${path} is of ${head.resource}, not of ${name}`);
  }
  const resource = await findResource(client, name);
  const volume = resource.volumes.find((each) => each.volume === head.volume);
  const { role } = volume?.state ?? {};
  if (volume === undefined || role !== "Primary") {
    throw new CliError(
      `${name} is ${role ?? "not there"}: only a Primary can be written`,
      `"kedge volume promote ${name}", then again`,
    );
  }
  const mounted = mountedUses()(volume);
  if (mounted !== undefined) {
    throw new CliError(
      `${name} is mounted on ${mounted.mountPoint}: its file system would not ` +
        "know of the change",
      `umount ${mounted.mountPoint}`,
    );
  }
  const isOnly = resource.volumes.length === 1;
  const socket = exportSocket(resource.exports);
  const target = isOnly ? name : `${name}/${head.volume}`;
  await using writer = await NbdWriter.open(socket, target);
  const restored = await tools.restoreUndo(path, writer);
  tell(context, values.json, { name, path, ...restored });
  return EXIT.ok;
}

/** An undo file, or how to find one. */
function opened<T>(name: string, open: () => T): T {
  try {
    return open();
  } catch (error) {
    throw new CliError(
      error instanceof Deno.errors.NotFound
        ? `there is no such undo file: ${error.message.split("open ").at(-1)}`
        : messageOf(error),
      `"kedge volume undo ${name}" lists those of this host`,
      EXIT.notFound,
    );
  }
}

function tell(
  context: CommandContext,
  isJson: boolean,
  done: {
    readonly name: string;
    readonly path: string;
    readonly writtenBytes: number;
    readonly isWhole: boolean;
  },
): void {
  if (!done.isWhole) {
    context.err.line(
      `${done.path} has no end: the resync did not end, or the file is ` +
        "damaged; only what stands before that place was brought back",
    );
  }
  context.out.line(
    isJson
      ? JSON.stringify(done)
      : `${done.name}: ${sizeText(done.writtenBytes)} are as they were; ` +
        "blocks written elsewhere since then are not touched: check the file " +
        "system before you mount it",
  );
}

/** Path of the socket in `nbd+unix:///NAME?socket=PATH`. */
function exportSocket(exports: readonly string[]): string {
  const found = exports.map((uri) => /[?&]socket=([^&]+)/.exec(uri)?.[1])
    .find((path) => path !== undefined);
  if (found !== undefined) return found;
  throw new CliError("the volume has no export on this host");
}
