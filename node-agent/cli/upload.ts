/** `kedge upload`: store files and print their IDs. */

import { createHash } from "node:crypto";
import { basename } from "node:path";
import type { Uploaded } from "@kedge/schema";
import { parse, type Values, wholeNumber } from "./args.ts";
import { CONNECTION } from "./client/connection.ts";
import { openClient } from "./client/tracker_client.ts";
import { filePath, type TrackerClient } from "./client/tracker_client.ts";
import {
  isHeaderSafe,
  Uploader,
  type UploadSource,
} from "./client/uploader.ts";
import type { Command } from "./command.ts";
import type { CommandContext } from "./context.ts";
import { CliError, messageOf, UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";
import { ProgressBar } from "./text/progress_bar.ts";
import { plainText } from "./text/table.ts";
import { countText, sizeText } from "./text/units.ts";
import { parseEntries } from "./text/entries.ts";

const OPTIONS = {
  jobs: {
    kind: "text",
    short: "j",
    value: "N",
    fallback: "4",
    help: "files at a time",
  },
  level: {
    kind: "text",
    value: "LEVEL",
    choices: ["A", "B", "C"],
    help: "A: answered when one node has it, B: all, C: durable on all",
  },
  group: { kind: "text", value: "NAME", help: "store in this group" },
  name: { kind: "text", value: "NAME", help: "original name (one file only)" },
  type: {
    kind: "text",
    value: "TYPE",
    help: "content type, such as image/png",
  },
  meta: { kind: "list", value: "K=V", help: "user metadata" },
  appender: { kind: "flag", help: "make files that can be appended to" },
  idempotent: {
    kind: "flag",
    help: "same name and content: the same ID, also when run again",
  },
  quiet: { kind: "flag", short: "q", help: "no progress" },
  ...CONNECTION,
} as const;

type UploadValues = Values<typeof OPTIONS> & { readonly json: boolean };

/** See the module comment. */
export const upload: Command = {
  name: "upload",
  summary: "store files and print their IDs",
  usage: ["upload [options] FILE…", "upload [options] -   (standard input)"],
  about:
    `Prints one line per file: its ID, a tab, and the local name. The ID is all
that is needed to read the file again, from any replica.

A broken connection is tried again with the same Idempotency-Key, so that
nothing is stored twice. The checksum that the node computed is compared with
that of the bytes that were sent. Standard input is sent once only, unless it is
small.`,
  options: OPTIONS,
  examples: [
    ["kedge upload photo.jpg", "one file"],
    [
      "kedge upload -j 16 --level C *.jpg",
      "many files, durable on all replicas",
    ],
    ["tar c dir | kedge upload --name dir.tar -", "standard input"],
    ["kedge upload --meta author=ann --json a.pdf", "metadata; JSON lines"],
  ],
  exits: ["partly", "unreachable", "refused", "interrupted"],

  async run(args, context) {
    const { values, words } = parse(args, OPTIONS);
    if (words.length === 0) throw new UsageError("Missing FILE");
    if (values.name !== undefined && words.length > 1) {
      throw new UsageError("--name is for one file only");
    }
    const jobs = wholeNumber("--jobs", values.jobs, { min: 1, max: 256 });
    const meta = parseEntries(values.meta);
    const client = await openClient(values, context);
    const sources = await openSources(words, values, context);
    const uploader = new Uploader({
      client,
      signal: context.signal,
      sleep: context.sleep,
      wallMs: () => Date.now(),
    }, {
      level: values.level,
      group: values.group,
      appender: values.appender,
      type: values.type,
      isIdempotent: values.idempotent,
      meta,
    });
    return await uploadAll({ sources, jobs, uploader, client, meta }, {
      values,
      context,
    });
  },
};

/** A source with the word on the command line, or why there is none. */
interface Task {
  readonly word: string;
  readonly source: UploadSource | Error;
}

async function uploadAll(
  work: {
    readonly sources: readonly Task[];
    readonly jobs: number;
    readonly uploader: Uploader;
    readonly client: TrackerClient;
    readonly meta: Readonly<Record<string, string>>;
  },
  { values, context }: { values: UploadValues; context: CommandContext },
): Promise<number> {
  const { sources, jobs, uploader, client, meta } = work;
  const sizes = sources.map(({ source }) =>
    source instanceof Error ? 0 : source.sizeBytes
  );
  using bar = new ProgressBar(
    values.quiet ? { ...context.err, columns: undefined } : context.err,
    context.nowMs,
    {
      label: countText(sources.length, "file"),
      totalBytes: sizes.includes(undefined)
        ? undefined
        : sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0),
    },
  );
  const failures: unknown[] = [];
  let doneCount = 0;
  const queue = sources[Symbol.iterator]();
  const worker = async () => {
    for (const { word, source } of queue) {
      try {
        if (source instanceof Error) throw source;
        const uploaded = await uploader.upload(
          source,
          await keyOf(source, values.idempotent),
          {
            onBytes: (count) => bar.add(count),
            onRetry: (reason) => {
              bar.clear();
              context.err.line(`${plainText(word)}: ${reason}; trying again`);
            },
          },
        );
        await addOtherMeta(client, uploaded.id, meta);
        bar.clear();
        tell(context, { word, uploaded, values });
      } catch (error) {
        context.signal.throwIfAborted();
        failures.push(error);
        bar.clear();
        tellFailure(context, { word, error, values });
      }
      doneCount++;
      bar.label(`${doneCount}/${sources.length}`);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  if (failures.length === 0) return EXIT.ok;
  if (failures.length < sources.length) return EXIT.partly;
  const [first] = failures;
  return first instanceof CliError ? first.exit : EXIT.failed;
}

async function openSources(
  words: readonly string[],
  values: UploadValues,
  context: CommandContext,
): Promise<Task[]> {
  const tasks: Task[] = [];
  for (const word of words) {
    tasks.push({
      word,
      source: word === "-"
        ? standardInput(context, values.name)
        : await fileSource(word, values.name),
    });
  }
  return tasks;
}

async function fileSource(
  path: string,
  name: string | undefined,
): Promise<UploadSource | Error> {
  try {
    const { isFile, size } = await Deno.stat(path);
    if (!isFile) {
      return new CliError(
        `"${path}" is not a file`,
        "name files; a folder: find DIR -type f -exec kedge upload {} +",
      );
    }
    return {
      name: name ?? basename(path),
      sizeBytes: size,
      isRepeatable: true,
      open: async () => (await Deno.open(path)).readable,
    };
  } catch (error) {
    return new CliError(`Cannot read "${path}": ${messageOf(error)}`);
  }
}

function standardInput(
  context: CommandContext,
  name: string | undefined,
): UploadSource {
  return {
    name,
    sizeBytes: undefined,
    isRepeatable: false,
    open: () => Promise.resolve(context.stdin),
  };
}

/** The Idempotency-Key: random, or made from name and content. */
async function keyOf(
  source: UploadSource,
  isIdempotent: boolean,
): Promise<string> {
  if (!isIdempotent) return crypto.randomUUID();
  if (!source.isRepeatable) {
    throw new CliError(
      "--idempotent needs a file: standard input is read once",
    );
  }
  const hash = createHash("sha256").update(`${source.name ?? ""}\0`);
  for await (const chunk of await source.open()) hash.update(chunk);
  return `kedge-${hash.digest("hex")}`;
}

/** Metadata that does not fit into headers follows in a request of its own. */
async function addOtherMeta(
  client: TrackerClient,
  id: string,
  meta: Readonly<Record<string, string>>,
): Promise<void> {
  const others = Object.entries(meta)
    .filter(([name, value]) => !isHeaderSafe(name, value));
  if (others.length === 0) return;
  await client.done(filePath(id, "/meta"), {
    method: "PATCH",
    body: Object.fromEntries(others),
  });
}

function tell(
  context: CommandContext,
  { word, uploaded, values }: {
    word: string;
    uploaded: Uploaded;
    values: UploadValues;
  },
): void {
  if (values.json) {
    context.out.line(JSON.stringify({ file: word, ...uploaded }));
    return;
  }
  context.out.line(`${plainText(uploaded.id)}\t${plainText(word)}`);
  if (values.level !== undefined && uploaded.level < values.level) {
    context.err.line(
      `${
        plainText(word)
      }: reached level ${uploaded.level}, not ${values.level}: ${
        countText(uploaded.holders.length, "node")
      } hold it (${sizeText(uploaded.size)}); see kedge status`,
    );
  }
}

function tellFailure(
  context: CommandContext,
  { word, error, values }: {
    word: string;
    error: unknown;
    values: UploadValues;
  },
): void {
  const next = error instanceof CliError ? error.next : undefined;
  if (values.json) {
    context.out.line(
      JSON.stringify({ file: word, error: messageOf(error), next }),
    );
    return;
  }
  context.err.line(`kedge upload: ${plainText(word)}: ${messageOf(error)}`);
  if (next !== undefined) context.err.line(`  next: ${next}`);
}
