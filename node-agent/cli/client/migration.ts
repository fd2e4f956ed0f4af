/** Starting, watching and stopping an import or export of a node. */

import {
  MIGRATION_PROBLEMS_PAGE,
  MigrationProblem,
  type MigrationRequest,
  MigrationView,
} from "@kedge/schema/migration";
import type { CommandContext } from "../context.ts";
import { CliError, UsageError } from "../errors.ts";
import { EXIT } from "../exit_codes.ts";
import {
  migrationLine,
  migrationText,
  nextStep,
  noted,
} from "../text/migration_text.ts";
import { cutTo } from "../text/table.ts";
import type { Progress } from "../text/progress_core.ts";
import { allNodes, nodeIn, nodeNumber } from "./cluster.ts";
import type { TrackerClient } from "./tracker_client.ts";

const LOOK_MS = 300;
/** How often a line is written where there is no terminal, in ms. */
const SAY_MS = 10_000;
/** Where nobody has that many problems: only the figures are wanted. */
const NO_PROBLEMS = Number.MAX_SAFE_INTEGER;

/** How to show a run. */
export interface Showing {
  readonly json: boolean;
  /** File on this machine that gets all problems, one per line. */
  readonly report: string | undefined;
}

/**
 * The node that does it: the one named, or the only one that is alive.
 *
 * @throws {UsageError} When there are several.
 */
export async function nodeFor(
  client: TrackerClient,
  named: string | undefined,
): Promise<number> {
  const nodes = await allNodes(client);
  if (named !== undefined) return nodeIn(nodes, nodeNumber(named)).node;
  const alive = nodes.filter((node) => node.alive);
  if (alive.length === 0) throw new CliError("No node is alive", "kedge nodes");
  const [only, ...more] = alive;
  if (only !== undefined && more.length === 0) return only.node;
  throw new UsageError(
    "Say with --node on which node's host the folder is: one of " +
      alive.map(({ node }) => node).join(", "),
  );
}

/**
 * The node whose run is meant: the one named, else the only one that runs, else
 * the only one that ran any.
 *
 * @throws {UsageError} When there are several.
 */
export async function nodeOfRun(
  client: TrackerClient,
  named: string | undefined,
): Promise<number> {
  if (named !== undefined) return await nodeFor(client, named);
  const alive = (await allNodes(client)).filter((node) => node.alive);
  const views = await Promise.all(
    alive.map(async ({ node }) => ({ node, view: await viewOf(client, node) })),
  );
  const ran = views.filter(({ view }) => view !== null);
  const running = ran.filter(({ view }) => view?.state === "running");
  const [only, ...more] = running.length > 0 ? running : ran;
  if (only !== undefined && more.length === 0) return only.node;
  if (only === undefined) return await nodeFor(client, undefined);
  throw new UsageError(
    "Several nodes have one; say with --node which: " +
      [only, ...more].map(({ node }) => node).join(", "),
  );
}

/** Begin; the node does the work, whether somebody looks or not. */
export async function startMigration(
  client: TrackerClient,
  node: number,
  request: MigrationRequest,
): Promise<void> {
  const path = `/v1/nodes/${node}/migration`;
  await client.done(path, { method: "POST", body: request });
}

/** What runs on a node, or ran last. */
export async function lookAt(
  client: TrackerClient,
  node: number,
  after = 0,
): Promise<MigrationView> {
  const view = await viewOf(client, node, after);
  if (view !== null) return view;
  throw new CliError(
    `Node ${node} has run no import or export since it was started`,
    "if it was stopped in the middle, give the same command again: it goes on",
    EXIT.notFound,
  );
}

async function viewOf(
  client: TrackerClient,
  node: number,
  after = NO_PROBLEMS,
): Promise<MigrationView | null> {
  const query = { after: String(after) };
  const path = `/v1/nodes/${node}/migration`;
  return await client.json(path, MigrationView.nullable(), { query });
}

/** Stop what runs on a node. */
export async function stopMigration(
  client: TrackerClient,
  node: number,
): Promise<void> {
  const path = `/v1/nodes/${node}/migration`;
  await client.done(path, { method: "DELETE" });
}

/** Watch until it ends. Returns the exit code. */
export async function followMigration(
  client: TrackerClient,
  node: number,
  { showing, context }: { showing: Showing; context: CommandContext },
): Promise<number> {
  const { columns } = context.err;
  let progress: Progress | undefined;
  let saidMs = context.nowMs();
  for (;;) {
    const view = await lookAt(client, node, NO_PROBLEMS);
    if (view.state !== "running") {
      if (columns !== undefined) context.err.write("\r\x1b[2K");
      const whole = await lookAt(client, node);
      return await showEnd(client, node, { view: whole, showing, context });
    }
    progress = noted(progress, view, context.nowMs());
    const line = `node ${node}: ${migrationLine(view, progress)}`;
    if (columns !== undefined) {
      context.err.write(`\r\x1b[2K${cutTo(line, columns - 1)}`);
    } else if (context.nowMs() - saidMs >= SAY_MS) {
      saidMs = context.nowMs();
      context.err.line(line); // for a log
    }
    await context.sleep(LOOK_MS, context.signal);
  }
}

/** Print the result. Returns the exit code. */
export async function showEnd(
  client: TrackerClient,
  node: number,
  { view, showing, context }: {
    readonly view: MigrationView;
    readonly showing: Showing;
    readonly context: CommandContext;
  },
): Promise<number> {
  if (showing.report !== undefined) {
    await saveReport(client, node, showing.report);
  }
  context.out.line(
    showing.json ? JSON.stringify({ node, ...view }) : migrationText(view),
  );
  if (view.state === "running") return EXIT.ok;
  if (!showing.json) context.err.line(`next: ${nextStep(view, node)}`);
  if (view.state !== "done") return EXIT.failed;
  return view.damaged === 0 ? EXIT.ok : EXIT.partly;
}

async function saveReport(
  client: TrackerClient,
  node: number,
  path: string,
): Promise<void> {
  const lines: string[] = [];
  for (let after = 0;; after += MIGRATION_PROBLEMS_PAGE) {
    const { problems } = await lookAt(client, node, after);
    lines.push(
      ...problems.map((problem) =>
        JSON.stringify(MigrationProblem.parse(problem)) + "\n"
      ),
    );
    if (problems.length < MIGRATION_PROBLEMS_PAGE) break;
  }
  await Deno.writeTextFile(path, lines.join(""));
}
