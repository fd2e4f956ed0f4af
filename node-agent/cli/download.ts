/** `kedge download`: read files back, resume, check them. */

import { createHash } from "node:crypto";
import { join } from "node:path";
import type { FileInfo } from "@kedge/schema";
import { parse, type Values } from "./args.ts";
import { CONNECTION } from "./client/connection.ts";
import {
  download as fetchContent,
  type DownloaderPorts,
  type DownloadSink,
  fileInfo,
  fileSha256,
} from "./client/downloader.ts";
import { PartFile } from "./client/part_file.ts";
import { openClient, type TrackerClient } from "./client/tracker_client.ts";
import type { Command } from "./command.ts";
import type { CommandContext } from "./context.ts";
import { CliError, messageOf, ReaderGone, UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";
import { ProgressBar } from "./text/progress_bar.ts";
import { safeName } from "./text/safe_name.ts";
import { plainText } from "./text/table.ts";
import { sizeText } from "./text/units.ts";

const OPTIONS = {
  output: {
    kind: "text",
    short: "o",
    value: "PATH",
    help: "file, folder, or - for standard output (default: this folder)",
  },
  force: { kind: "flag", short: "f", help: "overwrite files that exist" },
  quiet: { kind: "flag", short: "q", help: "no progress" },
  ...CONNECTION,
} as const;

type DownloadValues = Values<typeof OPTIONS> & { readonly json: boolean };

/** See the module comment. */
export const download: Command = {
  name: "download",
  summary: "read files back; goes on where a broken download stopped",
  usage: ["download [-o PATH] ID…"],
  about:
    `Fetches each file from the best replica, and from the others when that one
fails. Run the same command again after a break: it asks for the rest only, on
condition that the content is still the same. The SHA-256 of the whole file is
checked before it gets its name.

Without -o, a file gets its original name, in this folder.`,
  options: OPTIONS,
  examples: [
    ["kedge download group1/M00/02/44/….jpg", "under its original name"],
    ["kedge download ID -o photo.jpg", "under another name"],
    ["kedge download ID -o - | tar x", "to standard output"],
  ],
  exits: ["partly", "unreachable", "notFound", "refused", "interrupted"],
  reads: (args) => readsTo(args) === "-",

  async run(args, context) {
    const { values, words } = parse(args, OPTIONS);
    if (words.length === 0) throw new UsageError("Missing ID");
    const client = await openClient(values, context);
    const failures: unknown[] = [];
    for (const id of words) {
      try {
        await downloadOne(client, id, { values, context });
      } catch (error) {
        context.signal.throwIfAborted();
        if (error instanceof ReaderGone) throw error;
        if (words.length === 1) throw error;
        failures.push(error);
        context.err.line(
          `kedge download: ${plainText(id)}: ${messageOf(error)}`,
        );
      }
    }
    if (failures.length === 0) return EXIT.ok;
    return failures.length < words.length ? EXIT.partly : EXIT.failed;
  },
};

/** Files are all written, whoever looks on. */
function readsTo(args: readonly string[]): string | undefined {
  try {
    return parse(args, OPTIONS).values.output;
  } catch {
    return undefined; // it will be refused
  }
}

async function downloadOne(
  client: TrackerClient,
  id: string,
  { values, context }: { values: DownloadValues; context: CommandContext },
): Promise<void> {
  const info = await fileInfo(client, id);
  using bar = new ProgressBar(
    values.quiet ? { ...context.err, columns: undefined } : context.err,
    context.nowMs,
    { label: plainText(info.name ?? id), totalBytes: info.size },
  );
  const ports: DownloaderPorts = {
    client,
    signal: context.signal,
    sleep: context.sleep,
    onBytes: (count) => bar.add(count),
    onRetry(reason) {
      bar.clear();
      context.err.line(`${plainText(id)}: ${reason}; trying again`);
    },
  };
  if (values.output === "-") {
    return await toStandardOutput(info, ports, context);
  }
  const target = await targetOf(info, values.output);
  if (!values.force && await exists(target)) {
    throw new CliError(
      `"${target}" exists already`,
      "overwrite it with --force, or name another file with -o",
    );
  }
  await toFile(info, target, { ports, bar });
  bar.clear();
  context.out.line(
    values.json
      ? JSON.stringify({
        id,
        file: target,
        size: info.size,
        sha256: info.sha256,
      })
      : `${target}\t${sizeText(info.size)}`,
  );
}

async function toFile(
  info: FileInfo,
  target: string,
  { ports, bar }: { ports: DownloaderPorts; bar: ProgressBar },
): Promise<void> {
  const wanted = { id: info.id, sizeBytes: info.size };
  const { part, plan } = await PartFile.open(target, wanted);
  await using _part = part;
  bar.add(part.haveBytes);
  if (plan.kind !== "complete") {
    const etag = plan.kind === "resume" ? plan.etag : null;
    await fetchContent(info, part, { etag, ports });
  }
  if (info.sha256 !== null && await fileSha256(part.path) !== info.sha256) {
    await part.discard();
    throw new CliError(
      `The bytes of ${info.id} do not have the checksum of the file; they were thrown away`,
      "run the command again; if it stays so: kedge scrub",
    );
  }
  await part.finish();
}

async function toStandardOutput(
  info: FileInfo,
  ports: DownloaderPorts,
  context: CommandContext,
): Promise<void> {
  const hash = createHash("sha256");
  let haveBytes = 0;
  const sink: DownloadSink = {
    get haveBytes() {
      return haveBytes;
    },
    async write(chunk) {
      hash.update(chunk);
      await context.out.bytes(chunk);
      haveBytes += chunk.length;
    },
    restart: () => Promise.resolve(haveBytes === 0),
    note: () => Promise.resolve(),
  };
  await fetchContent(info, sink, { etag: null, ports });
  if (info.sha256 !== null && hash.digest("hex") !== info.sha256) {
    throw new CliError(
      `The bytes of ${info.id} do not have the checksum of the file`,
      "throw away what was printed and run the command again",
    );
  }
}

async function targetOf(
  info: FileInfo,
  output: string | undefined,
): Promise<string> {
  const name = safeName(info.name, info.id);
  if (output === undefined) return name;
  const isFolder = output.endsWith("/") ||
    await Deno.stat(output).then((stat) => stat.isDirectory, () => false);
  return isFolder ? join(output, name) : output;
}

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}
